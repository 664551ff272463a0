"""Smoothed counts follow the frames' own over time, whatever the rate, and know nothing of before a gap."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.counting.frame_counts import FrameCounts
from agent.counting.smoothing import Smoother
from contracts.config import CameraConfig


def a_smoother(seconds: float | None = 2.0, **more: object) -> Smoother:
    return Smoother(CameraConfig.model_validate({"id": "a", "source": "x", "smoothing_seconds": seconds, **more}))


def a_frame(count: float) -> FrameCounts:
    return FrameCounts(count, {"yard": count / 2})


def shown(smoother: Smoother, count: float, at: float) -> float:
    counts = smoother.update(a_frame(count), at)
    assert counts.count is not None
    assert counts.zones["yard"] == pytest.approx(counts.count / 2)
    return counts.count


def test_without_a_time_constant_counts_are_the_frames_own() -> None:
    smoother, frame = a_smoother(None), a_frame(7)
    smoother.update(a_frame(0), 0.0)
    assert smoother.update(frame, 0.1) is frame


@pytest.mark.parametrize("fps", [1, 5, 25])
def test_after_its_time_constant_a_step_is_followed_by_63_percent_at_any_rate(fps: int) -> None:
    smoother = a_smoother()
    shown(smoother, 0, 0.0)
    last = [shown(smoother, 10, i / fps) for i in range(1, 2 * fps + 1)][-1]
    assert last == pytest.approx(10 * (1 - math.exp(-1)))


def test_after_a_gap_it_begins_anew() -> None:
    smoother = a_smoother(100.0, stale_after=2)
    shown(smoother, 0, 0.0)
    assert shown(smoother, 10, 2.0) < 1
    assert shown(smoother, 10, 4.5) == 10


frames = st.lists(st.tuples(st.floats(0, 5), st.floats(0, 1e6)), min_size=1, max_size=50)


@settings(deadline=None)
@given(frames, st.floats(0.01, 3600))
def test_what_is_shown_lies_between_the_least_and_the_most_that_were_counted(
    shots: list[tuple[float, float]], seconds: float
) -> None:
    smoother, at, counts = a_smoother(seconds), 0.0, []
    for wait, count in shots:
        at += wait
        counts.append(count)
        value = smoother.update(a_frame(count), at).count
        assert value is not None
        assert min(counts) - 1e-6 <= value <= max(counts) + 1e-6
