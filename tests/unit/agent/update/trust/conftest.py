"""A repository with one release, and a box that trusts it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.agent.update.trust.repository import Box, Repository


@pytest.fixture
def repository() -> Repository:
    made = Repository("cars", "people")
    made.release("cars", "1.0.0")
    made.publish()
    return made


@pytest.fixture
def box(tmp_path: Path, repository: Repository) -> Box:
    return Box(tmp_path, repository)
