"""Fixtures of the end-to-end tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.agents import yolox_bundle
from tests.integration.brokers import mosquitto

__all__ = ["mosquitto"]


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """YOLOX-nano, converted by us once for all workers of the run."""
    return yolox_bundle(tmp_path_factory.getbasetemp().parent / "bundles")
