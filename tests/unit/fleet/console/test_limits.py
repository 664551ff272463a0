"""Limits hold, let go again, and remember no more than they may."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fleet.bucket import Bucket
from fleet.console.limits import network


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.floats(0, 30), max_size=80))
def test_no_more_come_through_than_at_once_and_what_came_back(pauses: list[float]) -> None:
    clock = Clock()
    bucket = Bucket(5, 10.0, clock)
    taken = 0
    for pause in pauses:
        clock.now += pause
        wait = bucket.take("a")
        if wait == 0:
            taken += 1
        else:
            clock.now += wait + 1e-6
            assert bucket.take("a") == 0, "after the wait that was told it is let through"
            taken += 1
        assert taken <= 5 + (clock.now - 1_000.0) * 0.5 + 1e-6


def test_each_is_counted_by_itself_and_what_is_given_back_does_not_count() -> None:
    bucket = Bucket(1, 10.0, Clock())
    assert bucket.take("a") == 0
    assert bucket.take("a") > 0
    assert bucket.take("b") == 0
    bucket.give_back("a")
    assert bucket.take("a") == 0


def test_it_remembers_only_so_many() -> None:
    bucket = Bucket(1, 10.0, Clock())
    for n in range(30_000):
        bucket.take(str(n))
    assert len(bucket._left) == 10_000


def test_addresses_that_one_connection_is_given_are_counted_together() -> None:
    assert network("2001:db8::1") == network("2001:db8::ffff:1") != network("2001:db8:0:1::1")
    assert network("192.0.2.1") != network("192.0.2.2")
    assert network("somewhere") == "somewhere"
