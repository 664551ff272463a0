"""A model that counts far less is found where chance cannot explain it; one that counts the same is left alone."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from agent.counting.window import WindowCounts
from agent.drift.baseline import Baseline
from agent.drift.counts import Scatter, UsualHours
from agent.drift.hours import SECONDS
from agent.drift.judge import Judge
from agent.drift.spread import SCORES
from agent.drift.watch import DriftWatch
from agent.update.continuity import Past, Piece, difference, expectation, piece_of
from contracts.config import CameraConfig
from contracts.messages import Level, Window
from contracts.model_spec import ModelSpec
from tests.fakes.drift import MONDAY, usual_hours

WINDOW = 10.0
ALIKE = Scatter(hourly=1.5, daily=0.1)


def road(seed: int, rate: float, stay: float, seconds: int, seen: float = 1.0) -> list[Piece]:
    """Things that come by chance, ``rate`` a second, and stay for about ``stay`` seconds; a share of them is seen."""
    draw = np.random.default_rng(seed)
    lead = int(10 * stay)
    there = np.zeros(seconds + lead)
    for begin in np.flatnonzero(draw.random(seconds + lead) < rate * seen):
        there[begin : begin + 1 + int(draw.exponential(stay))] += 1
    return [Piece(float(part.sum()), WINDOW) for part in there[lead:].reshape(-1, int(WINDOW))]


def crossings(seed: int, rate: float, windows: int) -> list[Piece]:
    return [Piece(float(n), WINDOW) for n in np.random.default_rng(seed).poisson(rate * WINDOW, windows)]


def since(pieces: list[Piece]) -> list[tuple[float, Piece]]:
    return [((number + 1) * WINDOW, piece) for number, piece in enumerate(pieces)]


def told(before: list[Piece], after: list[Piece], most: float = 0.5, *, lines: bool = False) -> str | None:
    return difference(Past(tuple(before), crossings=lines), since(after), most)


class TestMinutesBefore:
    """A box that has no weeks of its own is held against the minutes before."""

    @pytest.mark.parametrize("rate", [0.01, 0.1, 0.5])
    @pytest.mark.parametrize("stay", [2.0, 20.0, 100.0])
    def test_the_same_road_is_never_found_different(self, rate: float, stay: float) -> None:
        found = [told(road(seed, rate, stay, 600), road(seed + 1000, rate, stay, 600)) for seed in range(30)]
        assert found == [None] * 30

    def test_a_model_that_sees_nothing_any_more_is_found(self) -> None:
        found = told(road(1, 0.5, 5.0, 1200), [Piece(0.0, WINDOW)] * 60)
        assert found is not None
        assert found.startswith("counted 0 things in the picture at once in 600 s, by the 20 minutes before about ")

    @pytest.mark.parametrize("cars", [1, 3])
    def test_cars_that_were_parked_and_left_are_no_reason(self, cars: int) -> None:
        assert told([Piece(10.0 * cars, WINDOW)] * 60, [Piece(0.0, WINDOW)] * 60) is None

    def test_a_minute_says_little_of_the_ten_after_it(self) -> None:
        minute = [Piece(float(n), WINDOW) for n in (2, 0, 1, 1, 2, 0)]
        assert told(minute, [Piece(0.0, WINDOW)] * 60, lines=True) is None
        assert told(minute * 60, [Piece(0.0, WINDOW)] * 60, lines=True) is not None

    def test_three_against_two_is_no_reason(self) -> None:
        assert told([Piece(30.0, WINDOW)] * 60, [Piece(20.0, WINDOW)] * 60, 0.2) is None

    @pytest.mark.parametrize("rate", [0.02, 0.2, 2.0])
    def test_the_same_crossings_are_never_found_different(self, rate: float) -> None:
        found = [told(crossings(n, rate, 60), crossings(n + 500, rate, 60), lines=True) for n in range(60)]
        assert found == [None] * 60

    def test_lines_that_nothing_crosses_any_more_are_found(self) -> None:
        found = told(crossings(1, 0.5, 60), [Piece(0.0, WINDOW)] * 60, lines=True)
        assert found is not None
        assert "counted 0 crossings" in found
        assert told(crossings(1, 0.01, 60), [Piece(0.0, WINDOW)] * 60, lines=True) is None

    def test_too_little_before_says_nothing(self) -> None:
        assert told([Piece(50.0, WINDOW)] * 5, [Piece(0.0, WINDOW)] * 60) is None
        assert told([], [Piece(0.0, WINDOW)] * 60) is None


class TestWeeksBefore:
    """The camera's own weeks say what this hour is like."""

    USUAL = UsualHours((360.0, 36.0), left=300.0, scatter=ALIKE, crossings=True)

    def test_the_hours_to_come_are_expected_each_for_itself(self) -> None:
        expected = expectation(Past(usual=self.USUAL), [(300.0, 300.0), (600.0, 300.0)])
        assert expected is not None
        assert expected.amount == pytest.approx(30.0 + 3.0)
        assert expectation(Past(usual=self.USUAL), [(SECONDS * 3, 10.0)]) is None

    def test_a_level_is_of_the_seconds_that_were_observed(self) -> None:
        usual = UsualHours((2.0,), left=1800.0, scatter=ALIKE, crossings=False)
        expected = expectation(Past(usual=usual), [(100.0, 60.0)])
        assert expected is not None
        assert (expected.amount, expected.noise) == (120.0, 1.5 * SECONDS)

    @pytest.mark.parametrize(("share", "differs"), [(1.0, False), (0.6, False), (0.3, True), (0.0, True), (1.9, False)])
    def test_what_is_far_off_is_told(self, share: float, differs: bool) -> None:
        usual = UsualHours((1200.0,), left=SECONDS, scatter=ALIKE, crossings=True)
        past = Past(usual=usual, crossings=True)
        found = difference(past, [(600.0, Piece(200.0 * share, 600.0))], 0.5)
        assert (found is not None) == differs
        assert found is None or "by this hour of the weeks before about 200 were expected" in found

    def test_in_a_quiet_hour_nothing_is_sure(self) -> None:
        usual = UsualHours((30.0,), left=SECONDS, scatter=ALIKE, crossings=True)
        assert difference(Past(usual=usual, crossings=True), [(600.0, Piece(0.0, 600.0))], 0.5) is None


def window(quality: str = "ok", mean: float = 2.0, coverage: float = 0.5) -> WindowCounts:
    level = Level(last=mean, mean=mean, min=mean, max=mean)
    lines = {"a": {"car": {"in": 3, "out": 1}}, "b": {"van": {"in": 0, "out": 2}}}
    times = Window(start="2026-01-05T00:00:00Z", end="2026-01-05T00:00:10Z")
    return WindowCounts("gate", times, 10, {}, coverage, quality, level, {}, lines)  # type: ignore[arg-type]


def test_a_window_adds_its_crossings_or_its_things_times_seconds() -> None:
    assert piece_of(window(), WINDOW, crossings=True) == Piece(6.0, 5.0)
    assert piece_of(window(), WINDOW, crossings=False) == Piece(10.0, 5.0)
    assert piece_of(window("stale"), WINDOW, crossings=False) is None
    assert piece_of(window(coverage=0.0), WINDOW, crossings=False) is None
    assert piece_of(window(mean=float("nan")), WINDOW, crossings=False) is None


def watch(weeks: int, *, synced: bool = True) -> DriftWatch:
    spec = ModelSpec.model_validate(
        {
            "name": "m",
            "version": "1.0.0",
            "labels": ["car"],
            "input": {"width": 64, "height": 64},
            "output": {"decoder": "density"},
        }
    )
    camera = CameraConfig(id="gate", source="synthetic")
    found = DriftWatch(camera, spec, lambda: synced, lambda s: dt.datetime.fromtimestamp(s, dt.timezone.utc))
    judge = Judge(Baseline(), SCORES, crossings=True)
    for hour in usual_hours(weeks):
        judge.take(hour)
    found._judge = judge
    return found


def test_a_camera_that_knows_its_weeks_says_what_is_usual_from_any_moment_on() -> None:
    now = (MONDAY + dt.timedelta(weeks=5, hours=5, minutes=50)).timestamp()
    usual = watch(5).usual(now)
    assert usual is not None
    assert (usual.amounts[:2], usual.left, usual.crossings) == ((40.0, 400.0), 600.0, True)
    assert watch(1).usual(now) is None
    assert watch(5, synced=False).usual(now) is None
