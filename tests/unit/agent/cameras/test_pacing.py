from __future__ import annotations

import math
import threading
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.cameras.pacing import Gate, Pace, Pacer, RateLimit, Thinning, Timeline


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


def thinned(share: float, fps: float, *, longest_gap: float = 1e9, seconds: float = 20) -> list[float]:
    thinning = Thinning(Pace(lambda: share, longest_gap))
    return [at for at in (number / fps for number in range(int(seconds * fps))) if thinning.passes(at)]


@pytest.mark.parametrize("share", [1.0, 0.75, 0.5, 0.25, 0.1])
def test_the_share_of_the_frames_that_is_wanted_is_taken_evenly(share: float) -> None:
    kept = thinned(share, 25)
    assert len(kept) == pytest.approx(share * 500, abs=1.5)
    assert max(later - earlier for earlier, later in pairwise(kept)) <= (math.ceil(1 / share) + 0.01) / 25


@pytest.mark.parametrize(("fps", "kept"), [(30, 150), (10, 100), (5, 100), (2, 40)])
def test_no_frame_is_left_out_that_would_leave_too_long_a_gap(fps: float, kept: int) -> None:
    assert len(thinned(0.25, fps, longest_gap=0.2)) == pytest.approx(kept, abs=2)


@settings(deadline=None)
@given(
    share=st.floats(0.01, 1),
    longest=st.floats(0.01, 2),
    fps=st.floats(1, 60),
    jitter=st.lists(st.floats(0, 0.4), min_size=2, max_size=100),
)
def test_two_frames_that_are_taken_lie_no_farther_apart_than_the_limit_or_the_camera_s_own_gaps(
    share: float, longest: float, fps: float, jitter: list[float]
) -> None:
    stamps = [(number + shift) / fps for number, shift in enumerate(jitter)]
    thinning = Thinning(Pace(lambda: share, longest))
    kept = [at for at in stamps if thinning.passes(at)]
    steps = [later - earlier for earlier, later in pairwise(stamps)]
    # What comes next is judged by the step before it, so a camera's own jitter adds to the limit.
    allowed = max(longest, *steps) + (max(steps) - min(steps))
    assert kept[0] == stamps[0]
    assert all(later - earlier <= allowed + 1e-5 for earlier, later in pairwise(kept))


def test_the_share_may_change_while_frames_come() -> None:
    share = [1.0]
    thinning = Thinning(Pace(lambda: share[0], 1e9))
    taken = []
    for number in range(300):
        share[0] = (1.0, 0.25, 1.0)[number // 100]
        taken.append(thinning.passes(number / 30))
    assert [sum(taken[start : start + 100]) for start in (0, 100, 200)] == pytest.approx([100, 25, 100], abs=1)


def test_what_the_rate_leaves_out_is_not_shed_too() -> None:
    gate = Gate(lambda: 10, Pace(lambda: 0.5, 1e9))
    causes = Counter(gate.left_out(number / 30) for number in range(300))
    assert causes["rate"] == pytest.approx(200, abs=4)
    assert causes["shed"] == pytest.approx(50, abs=3)


def test_a_rate_that_changes_holds_from_the_next_frame_on() -> None:
    rate: list[float | None] = [None]
    gate = Gate(lambda: rate[0], Pace())
    taken = []
    for number in range(90):
        rate[0] = (None, 10, 15)[number // 30]
        taken.append(gate.left_out(number / 30) is None)
    assert [sum(taken[start : start + 30]) for start in (0, 30, 60)] == [30, 10, 15]
