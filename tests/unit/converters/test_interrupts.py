"""A signal ends a build even where what its handler raised was lost."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

import pytest

from converters.interrupts import Interrupts


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    installed = Interrupts()
    installed.install()
    yield installed
    for number, handler in before.items():
        signal.signal(number, handler)


def deliver(number: signal.Signals) -> None:
    """What Python does when it comes: a real one could hit the worker that runs this test elsewhere."""
    handler = signal.getsignal(number)
    assert callable(handler)
    handler(number, None)


def quiet(_what: str, _done: int, _total: int) -> None:
    pass


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_the_next_step_ends_a_build_that_ignored_the_signal(
    interrupts: Interrupts, number: signal.Signals, raised: type[BaseException]
) -> None:
    step = interrupts.watched(quiet)
    step("one", 0, 2)
    with contextlib.suppress(raised):  # as the callback of a weak reference does
        deliver(number)
    with pytest.raises(raised):
        step("two", 1, 2)


def test_sigterm_gives_the_exit_code_that_shells_expect(interrupts: Interrupts) -> None:
    with pytest.raises(SystemExit) as ended:
        deliver(signal.SIGTERM)
    assert ended.value.code == 143
    assert interrupts
