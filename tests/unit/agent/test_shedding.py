"""Fewer frames while the box is hot, in steps, never in a hurry and never below the floor."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.shedding import CALM_ROUNDS, HYSTERESIS, Shedder, is_cool, strain
from contracts.config import SheddingConfig
from contracts.health import Telemetry, Temperature, Throttling

HOT = 80.0
HOLD = 30.0


def at(celsius: float | None, *, throttled: bool = False) -> Telemetry:
    temperatures = {} if celsius is None else {"chip": Temperature(celsius=celsius, hot=HOT)}
    return Telemetry(temperatures=temperatures, throttling=Throttling(now=throttled, reasons=("heat",) * throttled))


def run(celsius: list[float], *, floor: float = 0.25, step: float = HOLD) -> list[float]:
    """The shares, where the temperature is looked at every ``step`` seconds."""
    shedder = Shedder(SheddingConfig(floor=floor, hold_seconds=HOLD))
    shares = []
    for number, degrees in enumerate(celsius):
        shedder.look(at(degrees), number * step)
        shares.append(shedder.share)
    return shares


def test_a_cool_box_takes_all_frames() -> None:
    assert run([50.0, 79.9, 60.0]) == [1.0, 1.0, 1.0]


def test_a_hot_box_goes_down_step_by_step_to_the_floor() -> None:
    assert run([HOT] * 6) == [0.75, 0.5, 0.25, 0.25, 0.25, 0.25]
    assert run([HOT] * 6, floor=0.1) == [0.75, 0.5, 0.25, 0.125, 0.1, 0.1]
    assert run([HOT] * 3, floor=0.6) == [0.75, 0.6, 0.6]
    assert run([HOT] * 3, floor=1.0) == [1.0, 1.0, 1.0]


def test_it_comes_back_step_by_step_once_it_is_cool_for_a_while() -> None:
    cool = HOT - HYSTERESIS
    shares = run([HOT] * 3 + [cool] * 3 * CALM_ROUNDS)
    assert shares[3:] == [0.25] * 3 + [0.5] * 4 + [0.75] * 4 + [1.0]


def test_between_cool_and_hot_it_stays_where_it_is() -> None:
    assert run([HOT] + [HOT - HYSTERESIS + 0.1] * 20) == [0.75] * 21


def test_a_moment_of_heat_between_two_decisions_is_not_overlooked() -> None:
    assert run([60.0, 60.0, HOT, 60.0], step=HOLD / 3)[-1] == 0.75


def test_a_box_that_is_cool_only_at_times_does_not_take_more_again() -> None:
    cool, warm = HOT - HYSTERESIS, HOT - 1
    assert run([HOT] + [warm, cool] * 20, step=HOLD / 2) == [0.75] * 41


def test_throttling_alone_is_enough_and_where_nothing_is_known_all_frames_are_taken() -> None:
    shedder = Shedder(SheddingConfig(hold_seconds=HOLD))
    shedder.look(at(None, throttled=True), 0.0)
    assert shedder.share == 0.75
    assert shedder.state(12.0).model_dump() == {"share": 0.75, "why": "the box is throttled (heat)", "seconds": 12.0}
    for number in range(1, CALM_ROUNDS + 1):
        shedder.look(None, number * HOLD)
    assert shedder.state(200.0).model_dump() == {"share": 1.0, "why": None, "seconds": None}


def test_it_says_which_sensor_and_how_hot() -> None:
    telemetry = Telemetry(
        temperatures={
            "cpu": Temperature(celsius=96.0, hot=95.0),
            "gpu": Temperature(celsius=84.0, hot=80.0),
            "case": Temperature(celsius=99.0, hot=None),
        }
    )
    assert strain(telemetry) == "gpu is at 84.0 degrees, hot from 80.0 on"
    assert strain(Telemetry(temperatures={"case": Temperature(celsius=99.0, hot=None)})) is None
    assert strain(Telemetry()) is None
    assert is_cool(Telemetry())


def test_a_limit_of_power_is_no_reason() -> None:
    assert strain(Telemetry(throttling=Throttling(now=False, caps=("power_cap",)))) is None


readings = st.lists(
    st.tuples(st.floats(0.1, 90.0), st.floats(0.0, 100.0) | st.none(), st.booleans()), min_size=1, max_size=80
)
"""Seconds since the look before, temperature, whether it is throttled."""


@settings(deadline=None)
@given(readings=readings, floor=st.floats(0.05, 1.0), hold=st.floats(1.0, 120.0))
def test_never_faster_than_the_hold_never_more_than_a_step_and_never_below_the_floor(
    readings: list[tuple[float, float | None, bool]], floor: float, hold: float
) -> None:
    shedder = Shedder(SheddingConfig(floor=floor, hold_seconds=hold))
    allowed = [share for share in (1.0, 0.75, 0.5, 0.25, 0.125) if share > floor] + [floor]
    now, share, changed = 0.0, shedder.share, []
    for gap, celsius, throttled in readings:
        now += gap
        shedder.look(at(celsius, throttled=throttled), now)
        if shedder.share != share:
            assert abs(allowed.index(shedder.share) - allowed.index(share)) == 1
            changed.append(now)
        share = shedder.share
        state = shedder.state(now)
        assert (state.why is None) == (state.seconds is None) == (share == 1.0)
    assert floor <= share <= 1.0
    assert all(later - earlier >= hold * (1 - 1e-9) for earlier, later in pairwise(changed))


@settings(deadline=None)
@given(
    readings=st.lists(st.tuples(st.floats(0.1, 60.0), st.floats(60.0, 100.0), st.floats(0.0, 30.0)), max_size=80),
    throttled=st.lists(st.booleans(), min_size=80, max_size=80),
)
def test_a_box_that_is_hotter_throughout_never_takes_more_frames(
    readings: list[tuple[float, float, float]], throttled: list[bool]
) -> None:
    cooler, hotter = Shedder(SheddingConfig()), Shedder(SheddingConfig())
    now = 0.0
    for (gap, celsius, more), slow in zip(readings, throttled, strict=False):
        now += gap
        cooler.look(at(celsius), now)
        hotter.look(at(celsius + more, throttled=slow), now)
        assert hotter.share <= cooler.share


@pytest.mark.parametrize("celsius", [70.0, 90.0])
def test_a_steady_temperature_ends_in_a_steady_share(celsius: float) -> None:
    assert len(set(run([celsius] * 60)[30:])) == 1
