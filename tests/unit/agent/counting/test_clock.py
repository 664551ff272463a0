"""When windows begin and end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.counting.clock import WindowClock, utc_text

NOON = 1_767_268_800.0  # 2026-01-01T12:00:00Z


def test_windows_are_aligned_to_utc_and_the_first_is_a_part() -> None:
    clock = WindowClock(10, NOON + 3, 100)
    assert (clock.window.start, clock.window.end) == (NOON, NOON + 10)
    assert (clock.window.begins, clock.window.ends) == (100, 107)
    assert not clock.is_over(106.9)
    assert clock.is_over(107)


def test_one_follows_the_other_without_a_gap() -> None:
    clock = WindowClock(10, NOON, 100)
    for i in range(1, 50):
        assert clock.turn(NOON + 10 * i + 0.02, 100 + 10 * i + 0.02) == 0
        assert clock.window.start == NOON + 10 * i
        assert clock.window.begins == pytest.approx(100 + 10 * i)


@given(st.floats(-0.4, 0.4))
def test_what_the_clock_was_slewed_by_goes_into_the_next_windows_length(slewed: float) -> None:
    clock = WindowClock(10, NOON, 100)
    assert clock.turn(NOON + 10 + slewed, 110) == 0
    assert (clock.window.start, clock.window.begins) == (NOON + 10, 110)
    assert clock.window.ends == pytest.approx(120 - slewed)


@pytest.mark.parametrize("jump", [86_400.0, -86_400.0, -NOON, 3_600.5, -7.0, 4.0])
def test_a_jump_of_the_clock_shows_at_the_border_and_the_next_window_is_the_one_it_shows(jump: float) -> None:
    clock = WindowClock(10, NOON, 100)
    before = clock.window
    assert clock.window == before
    assert clock.turn(NOON + 10 + jump, 110) == pytest.approx(jump)
    window = clock.window
    assert window.start % 10 == 0
    assert window.start <= NOON + 10 + jump < window.end
    assert window.begins == 110
    assert 0 < window.ends - 110 <= 10


def test_after_a_standstill_every_window_between_is_there() -> None:
    clock = WindowClock(10, NOON, 100)
    starts = []
    while clock.is_over(145):
        starts.append(clock.window.start - NOON)
        assert clock.turn(NOON + 45, 145) == 0
    assert starts == [0, 10, 20, 30]
    assert clock.window.start == NOON + 40


def test_after_a_very_long_standstill_it_goes_on_from_now() -> None:
    clock = WindowClock(10, NOON, 100)
    assert clock.turn(NOON + 86_400, 86_500) == 0
    assert clock.window.start == NOON + 86_400


@given(st.floats(1, 3600), st.floats(-1e9, 4e9), st.floats(0, 1e7))
def test_now_is_always_within_the_window(seconds: float, wall: float, monotonic: float) -> None:
    window = WindowClock(seconds, wall, monotonic).window
    assert window.start <= wall <= window.end
    assert window.begins == monotonic <= window.ends


def test_a_window_without_length_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        WindowClock(0, NOON, 0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (NOON, "2026-01-01T12:00:00Z"),
        (NOON + 2.5, "2026-01-01T12:00:02.500Z"),
        (0, "1970-01-01T00:00:00Z"),
        (-10, "1969-12-31T23:59:50Z"),
    ],
)
def test_utc_is_written_as_iso_8601(seconds: float, text: str) -> None:
    assert utc_text(seconds) == text
