"""A thread that a fault ends is heard of, and said."""

from __future__ import annotations

import threading

import pytest

from agent.thread_faults import ThreadFaults


class Panic(BaseException):
    """What an extension raises."""


def end_by(error: BaseException, name: str) -> None:
    def fail() -> None:
        raise error

    thread = threading.Thread(target=fail, name=name)
    thread.start()
    thread.join()


@pytest.mark.parametrize("error", [Panic("no"), RuntimeError("no"), SystemExit(0)])
def test_the_first_thread_that_ends_is_named_and_said_with_its_traceback(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[None] = []
    with ThreadFaults(lambda: told.append(None)) as faults:
        faults.raise_first()  # nothing so far
        end_by(error, "lane-0")
        end_by(Panic("later"), "mqtt")
    with pytest.raises(RuntimeError, match="ended the thread lane-0"):
        faults.raise_first()
    assert len(told) == 2
    assert "a fault ended the thread lane-0; the agent ends" in caplog.text
    assert "Traceback" in caplog.text


def test_afterwards_it_hears_no_more() -> None:
    before = threading.excepthook
    with ThreadFaults(lambda: None):
        assert threading.excepthook != before
    assert threading.excepthook == before
