"""Noise never changes what serves; a real difference does, whatever it is spread by."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.tuning.rules import (
    CONFIDENCE,
    MARGIN,
    ROUNDS_TO_DECIDE,
    Aim,
    Figures,
    Record,
    Round,
    aim_of,
    challengers,
    gains,
    is_better,
    lower_bound,
    record_of,
)
from agent.tuning.setting import Setting
from contracts.config import CameraConfig, RuntimeConfig

THROUGHPUT = Aim("throughput", None)
positive = st.floats(0.01, 1e4)
figures = st.builds(Figures, fps=positive, latency_ms=positive, cpu_ms=positive)
rounds_of = st.lists(st.builds(Round, base=figures, other=figures), min_size=1, max_size=20)
aims = st.builds(Aim, st.sampled_from(["throughput", "latency"]), st.none() | positive) | st.builds(
    Aim, st.just("frugal"), positive
)


def figure(fps: float = 50.0, latency_ms: float = 20.0, cpu_ms: float = 20.0) -> Figures:
    return Figures(fps=fps, latency_ms=latency_ms, cpu_ms=cpu_ms)


def setting(name: str, lanes: int = 1) -> Setting:
    return Setting(artifact=name, digest="0" * 64, execution_precision="f32", lanes=lanes, threads=1)


class TestLowerBound:
    """What the median exceeds for certain."""

    @settings(deadline=None)
    @given(st.lists(positive, min_size=1, max_size=40))
    def test_it_is_one_of_the_lower_half_or_says_that_they_are_too_few(self, values: list[float]) -> None:
        bound = lower_bound(values)
        assert bound == -math.inf or (bound in values and bound <= float(np.median(values)))

    @settings(deadline=None)
    @given(st.lists(positive, min_size=7, max_size=40), st.floats(0.1, 10))
    def test_it_scales_as_the_values_do(self, values: list[float], by: float) -> None:
        assert lower_bound([value * by for value in values]) == pytest.approx(lower_bound(values) * by)

    @pytest.mark.parametrize(("number", "rank"), [(6, None), (7, 0), (12, 1), (20, 4)])
    def test_its_rank_is_that_of_the_sign_test(self, number: int, rank: int | None) -> None:
        """P(at most ``rank`` of ``number`` below the median), from tables of the binomial distribution."""
        values = [float(value) for value in range(number)]
        assert lower_bound(values, 0.99) == (-math.inf if rank is None else rank)

    def test_equal_settings_win_less_often_than_the_confidence_leaves(self) -> None:
        draw = np.random.default_rng(0)
        # Skewed, with a third of the rounds disturbed: the bound knows no distribution.
        trials = np.exp(draw.normal(0, 0.3, (4000, ROUNDS_TO_DECIDE)) * draw.choice([1, 3], (4000, ROUNDS_TO_DECIDE)))
        won = sum(lower_bound(list(row)) > 1 for row in trials)
        assert won / len(trials) <= 1 - CONFIDENCE

    def test_a_difference_beyond_the_margin_wins_in_spite_of_a_disturbed_round(self) -> None:
        found = [1.4] * (ROUNDS_TO_DECIDE - 1) + [0.1]
        assert is_better(found)
        assert not is_better([*found[1:], 0.1])

    def test_a_difference_within_the_margin_never_does(self) -> None:
        assert not is_better([MARGIN - 0.01] * 1000)


class TestGains:
    """What better means depends on the aim."""

    @settings(deadline=None)
    @given(rounds_of, aims)
    def test_they_are_no_less_than_nothing_one_a_round(self, rounds: list[Round], aim: Aim) -> None:
        found = gains(rounds, aim)
        assert len(found) == len(rounds)
        assert all(gain >= 0 and math.isfinite(gain) for gain in found)

    @settings(deadline=None)
    @given(rounds_of, aims)
    def test_what_is_better_one_way_is_not_the_other(self, rounds: list[Round], aim: Aim) -> None:
        turned = [Round(base=one.other, other=one.base) for one in rounds]
        assert not (is_better(gains(rounds, aim)) and is_better(gains(turned, aim)))

    @settings(deadline=None)
    @given(figures, aims)
    def test_the_same_is_not_better(self, one: Figures, aim: Aim) -> None:
        assert set(gains([Round(base=one, other=one)] * 20, aim)) <= {1.0}

    def test_throughput_is_of_frames(self) -> None:
        assert gains([Round(base=figure(fps=50), other=figure(fps=75, cpu_ms=99))], THROUGHPUT) == [1.5]

    def test_latency_is_of_time(self) -> None:
        better = Round(base=figure(latency_ms=20), other=figure(latency_ms=10, fps=40))
        assert gains([better], Aim("latency", None)) == [2.0]

    def test_the_frugal_one_takes_less_cpu_where_both_keep_up(self) -> None:
        better = Round(base=figure(fps=90, cpu_ms=20), other=figure(fps=60, cpu_ms=10))
        assert gains([better], Aim("frugal", 30)) == [2.0]

    @pytest.mark.parametrize("goal", ["latency", "frugal"])
    def test_what_would_not_keep_up_never_takes_over_from_what_does(self, goal: str) -> None:
        slow = Round(base=figure(fps=90), other=figure(fps=31, cpu_ms=1, latency_ms=1))
        assert gains([slow], Aim(goal, 30)) == [0.0]  # type: ignore[arg-type]

    @pytest.mark.parametrize("goal", ["latency", "frugal"])
    def test_where_what_serves_does_not_keep_up_frames_decide(self, goal: str) -> None:
        faster = Round(base=figure(fps=20), other=figure(fps=25, cpu_ms=99, latency_ms=99))
        assert gains([faster], Aim(goal, 30)) == [1.25]  # type: ignore[arg-type]


class TestAim:
    """The configuration decides what is best."""

    @staticmethod
    def aim(*rates: float | None, **runtime: object) -> Aim:
        cameras = [CameraConfig(id=f"c{i}", source="synthetic", fps=rate) for i, rate in enumerate(rates)]
        return aim_of(RuntimeConfig.model_validate(runtime), cameras)

    def test_cameras_that_say_their_rate_want_the_least_cpu_that_keeps_up(self) -> None:
        assert self.aim(5, 10) == Aim("frugal", 15)

    def test_one_that_does_not_wants_every_frame(self) -> None:
        assert self.aim(5, None) == Aim("throughput", None)

    def test_a_goal_that_is_named_stands(self) -> None:
        assert self.aim(5, goal="latency") == Aim("latency", 5)


@settings(deadline=None)
@given(st.dictionaries(st.integers(1, 30).map(lambda lanes: setting("a", lanes)), positive, max_size=10))
def test_challengers_are_the_best_that_look_better(gain_of: dict[Setting, float]) -> None:
    records = {
        one: Record(setting=one, figures=figure(), base=figure(), gain=gain, n=3) for one, gain in gain_of.items()
    }
    found = [gain_of[one] for one in challengers(records)]
    assert found == sorted((gain for gain in gain_of.values() if gain >= MARGIN), reverse=True)[:3]


@settings(deadline=None)
@given(rounds_of)
def test_a_record_holds_medians_of_its_rounds(rounds: list[Round]) -> None:
    record = record_of(setting("a"), rounds, THROUGHPUT)
    assert record.n == len(rounds)
    assert record.figures.fps == pytest.approx(float(np.median([one.other.fps for one in rounds])))
    assert record.base.cpu_ms == pytest.approx(float(np.median([one.base.cpu_ms for one in rounds])))
