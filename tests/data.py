"""Where the real clips and pictures lie that some tests need."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).parents[2] / "shared" / "data"


def data_dir() -> Path:
    """The folder of real data: ``EDGETALLY_DATA``, else ``../shared/data`` beside the repository.

    Skips the test where it is missing; fails it in CI, where a skipped test would be a test nobody runs.
    """
    folder = Path(os.environ.get("EDGETALLY_DATA", _BESIDE))
    if folder.is_dir():
        return folder
    reason = f"no real data in {folder}; set EDGETALLY_DATA to the folder that holds videos/ and images/"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
