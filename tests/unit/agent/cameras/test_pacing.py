from __future__ import annotations

import threading
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cameras.pacing import Pacer, RateLimit, Timeline


class FakeTime:
    def __init__(self) -> None:
        self.now = 100.0
        self.waits: list[float] = []

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += seconds
        return False


def test_frames_leave_when_they_are_due() -> None:
    time = FakeTime()
    pacer = Pacer(threading.Event(), time.clock, time.wait)
    left = []
    for number in range(4):
        assert pacer.hold(number * 0.5)
        left.append(time.now)
        time.now += 0.1  # decoding takes its time, which is not added
    assert left == pytest.approx([100.0, 100.5, 101.0, 101.5])
    assert time.waits == pytest.approx([0.4, 0.4, 0.4])


def test_a_frame_that_is_overdue_does_not_wait() -> None:
    time = FakeTime()
    pacer = Pacer(threading.Event(), time.clock, time.wait)
    pacer.hold(0.0)
    time.now += 5
    assert pacer.hold(1.0)
    assert time.waits == []


def test_a_stop_interrupts_the_wait() -> None:
    stop = threading.Event()
    pacer = Pacer(stop)
    assert pacer.hold(0.0)
    threading.Timer(0.01, stop.set).start()
    assert not pacer.hold(3600.0)
    assert not pacer.hold(0.0)


def test_stamps_that_break_off_or_jump_count_as_one_interval() -> None:
    timeline = Timeline(0.04)
    assert timeline.at(7.0) == 0.0
    assert timeline.at(7.05) == pytest.approx(0.05)
    assert timeline.at(None) == pytest.approx(0.09)
    assert timeline.at(90_000.0) == pytest.approx(0.13)
    assert timeline.at(90_000.04) == pytest.approx(0.17)
    assert timeline.at(3.0) == pytest.approx(0.21)
    timeline.begin_again()
    assert timeline.at(0.0) == pytest.approx(0.25)


def test_a_stream_whose_stamps_stand_still_goes_on_and_its_rate_is_kept() -> None:
    timeline, limit = Timeline(0.01), RateLimit(10)
    times = [timeline.at(stamp) for stamp in [None, *[0.0] * 200]]
    assert times[-1] == pytest.approx(2.0)
    assert sum(limit.passes(at) for at in times) == pytest.approx(20, abs=1)


@given(stamps=st.lists(st.none() | st.floats(-1e9, 1e9), max_size=100))
def test_the_timeline_never_falls_and_never_leaps(stamps: list[float | None]) -> None:
    timeline = Timeline(0.04)
    times = [timeline.at(stamp) for stamp in stamps]
    assert all(0 <= later - earlier <= 10.001 for earlier, later in pairwise(times))


@pytest.mark.parametrize(
    ("rate", "limit", "kept"),
    [(25, 5, 50), (25, 10, 100), (30, 30, 300), (30, 60, 300), (30, 29, 290), (10, None, 100)],
)
def test_the_rate_limit_keeps_its_rate(rate: float, limit: float | None, kept: int) -> None:
    passes = RateLimit(limit)
    count = sum(passes.passes(number / rate) for number in range(int(rate * 10)))
    assert count == pytest.approx(kept, abs=4)


def test_jitter_costs_no_frame_of_a_camera_at_its_own_rate() -> None:
    limit = RateLimit(30)
    jitter = (0.0, 0.004, -0.005, 0.003, -0.002)
    assert all(limit.passes(number / 30 + jitter[number % 5]) for number in range(300))


@given(
    gaps=st.lists(st.floats(0, 5), min_size=1, max_size=200),
    fps=st.floats(0.5, 60),
)
def test_never_more_frames_than_the_limit(gaps: list[float], fps: float) -> None:
    limit, now, kept = RateLimit(fps), 0.0, []
    for gap in gaps:
        now += gap
        if limit.passes(now):
            kept.append(now)
    for steps, least in ((1, 0.25), (5, 3.75), (20, 18.75)):
        for earlier, later in zip(kept, kept[steps:], strict=False):
            assert later - earlier >= least / fps - 1e-6
