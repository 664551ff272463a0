"""What holds for all tests."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # a loaded machine is slow, and no test is about that
settings.load_profile("untimed")


_OURS = ("agent", "contracts", "converters", "fleet", "runtime", "targets", "tools")


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """A command that a test runs in its own process sets the log up; the tests after it are not to notice.

    Neither are they to notice what a package does to the log while it is imported, or a fixture that lasts longer.
    """
    _log_as_python_does()
    yield
    _log_as_python_does()
    root = logging.getLogger()
    for handler in [
        one for one in root.handlers if type(one) is logging.StreamHandler
    ]:  # pytest's are of a class below
        root.removeHandler(handler)


def _log_as_python_does() -> None:
    logging.disable(logging.NOTSET)
    logging.getLogger().setLevel(logging.WARNING)
    for name, logger in logging.getLogger().manager.loggerDict.items():
        if isinstance(logger, logging.Logger) and name.partition(".")[0] in _OURS:
            logger.disabled, logger.propagate = False, True
            logger.setLevel(logging.NOTSET)
