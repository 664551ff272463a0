"""A console with a user of each role."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.fleet.console.consoles import Rig, rig


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Rig]:
    made = rig(tmp_path)
    made.user("ada", "admin")
    made.user("otto", "operator")
    made.user("vera", "viewer")
    yield made
    made.database.close()
