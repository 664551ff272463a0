"""The end comes in time, however many parts hang, and what matters most is waited for longest."""

from __future__ import annotations

import threading
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from agent.ending import Ending, LastResort
from tests.fakes.clock import WaitedClock


def waits(ending: Ending) -> dict[str, Callable[[], float]]:
    return {"part": ending.part, "disk": ending.disk, "goodbye": ending.goodbye, "rest": ending.rest}


@given(st.lists(st.sampled_from(["part", "disk", "goodbye", "rest"])), st.floats(1.0, 100.0))
def test_parts_that_all_hang_take_no_more_than_the_deadline(order: list[str], seconds: float) -> None:
    clock = WaitedClock()
    ending = Ending(seconds, clock.clock)
    for kind in order:
        clock.wait(waits(ending)[kind]())
    assert clock.now <= seconds + 1e-9


@given(st.integers(0, 20))
def test_however_many_parts_hang_the_disk_and_the_broker_get_their_time(parts: int) -> None:
    clock = WaitedClock()
    ending = Ending(50.0, clock.clock)
    for _ in range(parts):
        clock.wait(ending.part())
    disk = ending.disk()
    assert 12.0 <= disk <= 30.0
    clock.wait(disk)
    goodbye = ending.goodbye()
    assert goodbye == 10.0
    clock.wait(goodbye)
    assert ending.rest() > 0.0


def test_time_runs_from_when_it_was_begun_and_whoever_asked_is_told_once() -> None:
    clock, told = WaitedClock(), list[float]()
    ending = Ending(50.0, clock.clock)
    ending.begun = lambda: told.append(clock.now)
    clock.wait(1000.0)
    ending.begin()
    clock.wait(49.0)
    ending.begin()
    assert 0.0 < ending.rest() <= 1.0
    assert told == [1000.0]


def test_an_end_that_does_not_come_is_ended() -> None:
    left = threading.Event()
    resort = LastResort(0.01, lambda _: left.set())
    assert not left.is_set(), "not before it has begun"
    resort.begin()
    assert left.wait(30.0)
