"""A stream is behind where it stays behind; drifting clocks, stalls and jumps are not that."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from agent.cameras.lag import Lag


def lag_after(frames: Sequence[tuple[float | None, float]], limit: float = 2.0) -> bool:
    """Whether it is too long after frames with these stamps came at these moments."""
    moments = iter([at for stamp, at in frames if stamp is not None])
    lag = Lag(limit, lambda: next(moments))
    for stamp, _ in frames:
        lag.note(stamp)
    return lag.is_too_long


@given(st.floats(0.1, 10.0), st.floats(-1e6, 1e6), st.floats(1.1, 20.0))
def test_a_decoder_slower_than_the_stream_falls_behind_wherever_its_stamps_begin(
    limit: float, begins: float, slower: float
) -> None:
    needed = int(25 * (limit / (slower - 1) + 2 * limit) * 1.2) + 10
    assert lag_after([(begins + n / 25, n / 25 * slower) for n in range(needed)], limit)


def test_a_clock_that_runs_slow_for_days_is_no_lag() -> None:
    assert not lag_after([(n * 10.0, n * 10.0 * 1.0005) for n in range(20_000)])


def test_stamps_that_begin_again_and_frames_without_are_no_lag() -> None:
    steady = [(n / 25, n / 25) for n in range(250)]
    again = [(n / 25, 500 + n / 25) for n in range(250)]
    assert not lag_after([*steady, (None, 0.0), *again])


def test_frames_that_come_in_bursts_are_no_lag() -> None:
    bursts = [(second + n / 25, second + 1.0) for second in range(60) for n in range(25)]
    assert not lag_after(bursts)
