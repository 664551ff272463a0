"""How updates of simulated boxes go, by what the new model does to them: always as the agent's rules have it."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.update import rules
from contracts.desired import Desired
from tools.fleet_sim.messages import Runs
from tools.fleet_sim.scenario import Fate, SimClass
from tools.fleet_sim.truth import BoxTruth, problems
from tools.fleet_sim.updating import NEW, OLD, SLOT, Updating

FATES: tuple[Fate, ...] = ("good", "refuses", "fails", "silent", "crashes", "degrades")
BEFORE = ["resolve", "fetch", "verify", "prepare", "selftest"]


class Box:
    """A box without a connection; it starts again as soon as it died."""

    def __init__(self, fate: Fate = "good") -> None:
        kind = SimClass(name="a", share=1.0, facts={}, fails_with="no_frames", refuses_with="no_artifact_fits")
        self.truth = BoxTruth("box-1", "a", fate, OLD.manifest, online=True)
        self.deaths = 0
        self._revisions = itertools.count(1)
        ticks = itertools.count(1)
        self.updating = Updating(self, kind, self.truth, lambda: next(ticks))

    def moved(self) -> None:
        """Nobody is told."""

    def died(self) -> None:
        self.deaths += 1
        self.updating.restarted()

    def wants(self, model: Runs) -> None:
        revision = next(self._revisions)
        one = {"name": model.name, "version": model.version, "manifest": model.manifest}
        desired = Desired.model_validate(
            {
                "device": "box-1", "epoch": 1, "config_revision": 1, "config": {}, "model_revision": revision,
                "models": {SLOT: one}, "issued": "2026-01-01T00:00:00Z", "expires": "2027-01-01T00:00:00Z",
            }
        )  # fmt: skip
        self.truth.wanted, self.truth.wanted_by = model.manifest, (1, revision)
        self.updating.wish(desired)

    def run(self) -> list[str]:
        """Until it comes to its end; the states that were entered."""
        for _ in range(100):
            if not self.updating.goes_on:
                return self.states
            self.updating.step()
        raise AssertionError("it never ends")

    @property
    def states(self) -> list[str]:
        return [state for _, state, _ in self.truth.states]


@pytest.mark.parametrize(
    ("fate", "states", "code", "runs"),
    [
        ("good", [*BEFORE, "activate", "probation", "committed"], "committed", NEW),
        ("degrades", [*BEFORE, "activate", "probation", "committed"], "committed", NEW),
        ("refuses", [*BEFORE, "rejected"], "no_artifact_fits", OLD),
        ("fails", [*BEFORE, "activate", "probation", "rolling_back", "rolled_back"], "no_frames", OLD),
        ("crashes", [*BEFORE, "activate", "probation", "rolling_back", "rollback_failed"], "previous_broken", None),
    ],
)
def test_each_fate_takes_its_way(fate: Fate, states: list[str], code: str, runs: Runs | None) -> None:
    box = Box(fate)
    box.wants(NEW)
    assert box.run() == states
    assert box.truth.states[-1][2] == code
    assert box.updating.models.get(SLOT) == runs
    assert box.truth.running == (None if runs is None else runs.manifest)
    assert (box.truth.harmed_ms is not None) == (fate in {"fails", "crashes"})
    assert problems([box.truth]) == []


def test_a_box_that_dies_of_the_model_each_time_it_starts_goes_back_after_as_many_starts_as_the_rules_allow() -> None:
    box = Box("silent")
    box.wants(NEW)
    assert box.run()[-2:] == ["activate", "rolled_back"]
    assert box.deaths == rules.MOST_STARTS + 1
    assert box.truth.states[-1][2] == "does_not_start"
    assert box.updating.models[SLOT] == OLD
    assert box.truth.harmed_ms is not None
    assert problems([box.truth]) == []


def test_what_is_wanted_before_the_new_model_counts_takes_its_place_and_what_is_wanted_later_waits() -> None:
    box = Box()
    box.wants(NEW)
    box.updating.step()
    box.wants(OLD)
    assert box.run() == ["resolve", "fetch", "superseded", "resolve", "committed"]
    box.wants(NEW)
    while box.states[-1] != "probation":
        box.updating.step()
    box.wants(OLD)
    assert box.states[-1] == "probation"
    box.run()
    assert box.updating.models[SLOT] == OLD


def test_a_release_that_nobody_has_is_rejected() -> None:
    box = Box()
    box.wants(Runs("c" * 64, "m", "3", "e" * 64))
    assert box.run() == ["resolve", "rejected"]


@given(st.sampled_from(FATES), st.lists(st.sampled_from(["new", "old", "step", "start"]), max_size=60))
def test_whatever_is_wanted_whenever_and_wherever_the_power_goes_it_ends_as_it_should(
    fate: Fate, actions: list[str]
) -> None:
    box = Box(fate)
    for action in actions:
        if action in {"new", "old"}:
            box.wants(NEW if action == "new" else OLD)
        elif action == "start":
            box.updating.restarted()
        elif box.updating.goes_on:
            box.updating.step()
    box.run()
    box.truth.fate = "fails" if actions.count("start") else fate  # a box whose power goes on and on goes back, rightly
    assert problems([box.truth]) == []
