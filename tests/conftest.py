"""What holds for all tests."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # a loaded machine is slow, and no test is about that
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """A command that a test runs in its own process sets the log up; the tests after it are not to notice."""
    root = logging.getLogger()
    level = root.level
    yield
    root.setLevel(level)
    for handler in [
        one for one in root.handlers if type(one) is logging.StreamHandler
    ]:  # pytest's are of a class below
        root.removeHandler(handler)
