"""A search finds the better setting in few rounds, judges it by fresh ones, and goes round what does not run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.tuning.rules import MARGIN, ROUNDS_TO_DECIDE, ROUNDS_TO_LOOK, Aim, Figures, Round
from agent.tuning.search import Space, search, space_of
from agent.tuning.setting import Setting
from contracts.config import RuntimeConfig
from contracts.errors import DeviceError
from contracts.facts import FactValue
from contracts.manifest import Manifest
from runtime.bundle import open_bundle
from tests.fakes.bundles import artifact, make_bundle

AIM = Aim("throughput", None)
FACTS: dict[str, FactValue] = {"arch": "x86_64", "cpu.count": 2}
FORMS, PAIRS = 4, 3


def setting(form: int, pair: int) -> Setting:
    return Setting(
        artifact=f"f{form}/fp32", digest=f"{form:064x}", execution_precision="f32", lanes=pair + 1, threads=1
    )


SPACE = Space(tuple(tuple(setting(form, pair) for pair in range(PAIRS)) for form in range(FORMS)))
BASE = setting(0, 0)
speeds_of_all = st.fixed_dictionaries(
    {one: st.floats(1, 1000) for form in SPACE.forms for one in form}  # frames a second
)


class Bench:
    """Measures exactly, and notes what it was asked."""

    def __init__(self, speeds: dict[Setting, float], broken: Sequence[Setting] = ()) -> None:
        self._speeds = speeds
        self._broken = broken
        self.asked: list[tuple[Setting, int]] = []

    def __call__(self, base: Setting, other: Setting, rounds: int) -> Sequence[Round]:
        self.asked.append((other, rounds))
        if other in self._broken:
            raise DeviceError("it does not run")
        found = Round(base=self._figures(base), other=self._figures(other))
        return [found] * rounds

    def _figures(self, one: Setting) -> Figures:
        speed = self._speeds[one]
        return Figures(fps=speed, latency_ms=1000 / speed, cpu_ms=1000 / speed)


@settings(deadline=None)
@given(speeds_of_all)
def test_what_is_taken_is_the_best_of_what_was_looked_at(speeds: dict[Setting, float]) -> None:
    bench = Bench(speeds)
    outcome = search(SPACE, BASE, AIM, bench)
    best = max([BASE, *outcome.records], key=lambda one: speeds[one])
    assert speeds[outcome.best] == (speeds[best] if speeds[best] >= speeds[BASE] * MARGIN else speeds[BASE])
    if outcome.best != BASE:
        assert (outcome.best, ROUNDS_TO_DECIDE) in bench.asked
        assert outcome.decided is not None
        assert outcome.decided.n == ROUNDS_TO_DECIDE


@settings(deadline=None)
@given(speeds_of_all)
def test_every_form_is_looked_at_and_the_best_two_are_looked_into(speeds: dict[Setting, float]) -> None:
    bench = Bench(speeds)
    search(SPACE, BASE, AIM, bench)
    looked = [one for one, rounds in bench.asked if rounds == ROUNDS_TO_LOOK]
    assert len(looked) == len(set(looked)) == FORMS - 1 + 2 * (PAIRS - 1)
    assert BASE not in looked
    assert {form[0] for form in SPACE.forms} - {BASE} <= set(looked)
    into = {one.form for one in looked if one.lanes > 1}
    slowest_in = min(speeds[form[0]] for form in SPACE.forms if form[0].form in into)
    assert all(speeds[form[0]] <= slowest_in for form in SPACE.forms if form[0].form not in into)


@settings(deadline=None)
@given(speeds_of_all, st.lists(st.sampled_from([one for form in SPACE.forms for one in form if one != BASE])))
def test_what_does_not_run_is_kept_with_its_reason_and_never_taken(
    speeds: dict[Setting, float], broken: list[Setting]
) -> None:
    broken = [one for one in broken if one != setting(1, 0)]  # where nothing runs is told below
    bench = Bench(speeds, broken)
    outcome = search(SPACE, BASE, AIM, bench)
    assert outcome.best not in broken
    assert set(outcome.failed) == {one for one, _ in bench.asked} & set(broken)
    assert all(reason == "it does not run" for reason in outcome.failed.values())


def test_where_nothing_runs_nothing_is_known() -> None:
    every = [one for form in SPACE.forms for one in form]
    with pytest.raises(DeviceError, match="nothing could be measured: it does not run"):
        search(SPACE, BASE, AIM, Bench(dict.fromkeys(every, 50.0), every))


def test_what_only_looked_better_is_judged_by_fresh_rounds_and_stays_out() -> None:
    speeds = dict.fromkeys((one for form in SPACE.forms for one in form), 50.0)

    class Lucky(Bench):
        def __call__(self, base: Setting, other: Setting, rounds: int) -> Sequence[Round]:
            if rounds == ROUNDS_TO_LOOK and other == setting(1, 0):
                self._speeds[other] = 100.0
            found = super().__call__(base, other, rounds)
            self._speeds[other] = 50.0
            return found

    outcome = search(SPACE, BASE, AIM, Lucky(speeds))
    assert outcome.best == BASE
    assert outcome.records[setting(1, 0)].gain == 1.0


def test_the_share_that_is_done_grows() -> None:
    shares: list[float] = []
    speeds = {one: 50.0 for form in SPACE.forms for one in form}
    search(SPACE, BASE, AIM, Bench(speeds), lambda _, share: shares.append(share))
    assert shares == sorted(shares)
    assert shares[0] == 0.0
    assert shares[-1] <= 1.0


class TestSpace:
    """Only what fits, counts well enough, and is not ruled out by name is measured."""

    @pytest.fixture
    def manifest(self, tmp_path: Path) -> Manifest:
        root = tmp_path / "b"
        rows: list[dict[str, Any]] = [
            artifact(root, "x86/int8", accuracy={"f32": self.accuracy("undecided")}),
            artifact(root, "x86/fp32", execution_precisions=["f32", "bf16"]),
            artifact(root, "arm/fp32", requires=[{"fact": "arch", "equals": "aarch64"}]),
        ]
        return open_bundle(make_bundle(root, rows)).manifest

    @staticmethod
    def accuracy(verdict: str) -> dict[str, Any]:
        interval = {"estimate": 0.0, "low": 0.0, "high": 0.0}
        numbers = dict.fromkeys(("mean_true", "reference_bias", "bias", "reference_mae", "mae"), 1.0)
        return {
            "truth": "labels",
            "n": 9,
            **numbers,
            "bias_change": interval,
            "error_rise": interval,
            "max_loss": 0.01,
            "verdict": verdict,
        }

    def forms(self, manifest: Manifest, **wanted: Any) -> list[tuple[str, str]]:
        space = space_of(manifest, FACTS, RuntimeConfig.model_validate(wanted))
        return [(form[0].artifact, form[0].execution_precision) for form in space.forms]

    def test_what_is_not_proven_to_count_well_is_left_out(self, manifest: Manifest) -> None:
        assert self.forms(manifest) == [("x86/fp32", "f32"), ("x86/fp32", "bf16")]

    def test_unless_there_is_nothing_else(self, manifest: Manifest) -> None:
        assert self.forms(manifest, artifact="x86/int8") == [("x86/int8", "f32")]

    def test_what_is_asked_for_by_name_is_not_changed(self, manifest: Manifest) -> None:
        assert self.forms(manifest, execution_precision="bf16") == [("x86/fp32", "bf16")]
        space = space_of(manifest, FACTS, RuntimeConfig(lanes=1, threads=2))
        assert {(one.lanes, one.threads) for form in space.forms for one in form} == {(1, 2)}

    def test_what_cannot_run_now_is_left_out(self, manifest: Manifest) -> None:
        assert space_of(manifest, FACTS, RuntimeConfig(), lambda _: False).forms == ()
