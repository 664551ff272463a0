"""The models of a simulated box, and how they change: the states and their order are the real agent's rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from agent.update import rules
from agent.update.rules import Attempt, InstalledModel, InstalledSet, Wish
from contracts.desired import Desired
from contracts.update import WantedModel
from tools.fleet_sim.messages import Runs
from tools.fleet_sim.scenario import SimClass
from tools.fleet_sim.truth import BoxTruth

SLOT = "main"
OLD = Runs("a" * 64, "m", "1", "0" * 64)
NEW = Runs("b" * 64, "m", "2", "f" * 64)
"""What boxes run, and what is rolled out."""

_SERVER = {one.manifest: one for one in (OLD, NEW)}
_HARMLESS = {"good", "refuses", "degrades"}
"""Fates with which a model that begins to count does no harm yet."""


class Host(Protocol):
    """The box whose models they are."""

    def moved(self) -> None:
        """The newest attempt is in another state."""

    def died(self) -> None:
        """What counts took the whole box with it."""


class Updating:
    """See the module.

    Args:
        host: the box.
        kind: its hardware class.
        truth: what it notes, with its fate.
        clock: milliseconds since 1970.
    """

    def __init__(self, host: Host, kind: SimClass, truth: BoxTruth, clock: Callable[[], int]) -> None:
        self._host = host
        self._kind = kind
        self._truth = truth
        self._clock = clock
        self._running = InstalledSet(models={SLOT: _installed(OLD)})
        self._before: tuple[dict[str, Runs], InstalledSet, int | None] | None = None
        self._next: Wish | None = None
        self.models: dict[str, Runs] = {SLOT: OLD}
        self.model_revision: int | None = None
        self.attempt: Attempt | None = None

    @property
    def goes_on(self) -> bool:
        """Whether an attempt is under way."""
        return self.attempt is not None and not self.attempt.is_over

    @property
    def runs_new(self) -> bool:
        """Whether the new model counts."""
        return self.models.get(SLOT) == NEW

    def wish(self, desired: Desired) -> None:
        """A document was taken, perhaps once more."""
        if not desired.model_revision or not desired.models:
            return
        models = {
            slot: WantedModel(name=one.name, version=one.version, manifest=one.manifest)
            for slot, one in desired.models.items()
        }
        wish = Wish(epoch=desired.epoch, model_revision=desired.model_revision, models=models)
        last = self.attempt
        if not rules.asks_anew(wish, last, self._running):
            return
        if last is None or last.is_over:
            self._begin(wish)
        elif rules.can_be_superseded(last):
            self._enter(rules.superseded(last))
            self._begin(wish)
        else:
            self._next = wish

    def step(self) -> None:
        """What the state that the attempt is in does is done."""
        attempt = self.attempt
        assert attempt is not None
        if attempt.state == "resolve":
            self._enter(self._resolved(attempt))
        elif attempt.state == "selftest" and self._truth.fate == "refuses" and attempt.target.models[SLOT] == _FRESH:
            self._enter(rules.broke(attempt, self._kind.refuses_with, "the box does not take this model"))
        elif attempt.state == "activate":
            self._activate(attempt)
        elif attempt.state == "probation":
            self._enter(self._proven(attempt))
        elif attempt.state == "rolling_back":
            self._roll_back(attempt)
        else:
            self._enter(rules.passed(attempt))

    def restarted(self) -> None:
        """The box starts: the rules count it, and give up an attempt that it died of too often."""
        if self.attempt is not None:
            self.attempt = rules.started(self.attempt)

    def _begin(self, wish: Wish) -> None:
        self._next = None
        self._enter(rules.begun(wish, self.attempt))

    def _enter(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self._truth.entered(self._clock(), attempt)
        self._host.moved()
        if attempt.is_over and self._next is not None:
            self._begin(self._next)

    def _resolved(self, attempt: Attempt) -> Attempt:
        manifests = {slot: one.manifest or "" for slot, one in attempt.wish.models.items()}
        if not set(manifests.values()) <= set(_SERVER):
            return rules.broke(attempt, "unknown_release", "no release of this name and version")
        resolved = {slot: _installed(_SERVER[manifest]) for slot, manifest in manifests.items()}
        attempt = attempt.model_copy(update={"resolved": resolved})
        if {slot: runs.manifest for slot, runs in self.models.items()} != manifests:
            return rules.passed(attempt)
        self._take_over(attempt)
        return rules.settled(attempt, "committed", "it runs already")

    def _activate(self, attempt: Attempt) -> None:
        if self._running != attempt.target:  # not where a box that died of it activates it again
            self._before = (self.models, self._running, self.model_revision)
        self._take_over(attempt)
        if self.runs_new:
            self._truth.activated(self._clock(), harms=self._truth.fate not in _HARMLESS)
            if self._truth.fate == "silent":
                self._host.died()
                return
        self._enter(rules.passed(attempt))

    def _proven(self, attempt: Attempt) -> Attempt:
        if self.runs_new and self._truth.fate in {"fails", "crashes"}:
            return rules.broke(attempt, self._kind.fails_with, "what is measured is worse than it should be")
        return rules.settled(attempt, "committed", "it ran well")

    def _roll_back(self, attempt: Attempt) -> None:
        assert self._before is not None
        if self._truth.fate == "crashes":
            self.models, self._truth.running = {}, None
            self._enter(rules.broke(attempt, "previous_broken", "what ran before does not start"))
            return
        self.models, self._running, self.model_revision = self._before
        self._tell_truth()
        self._enter(rules.passed(attempt))

    def _take_over(self, attempt: Attempt) -> None:
        self._running = attempt.target
        self.models = {slot: _SERVER[one.manifest] for slot, one in attempt.resolved.items()}
        self.model_revision = attempt.wish.model_revision
        self._tell_truth()

    def _tell_truth(self) -> None:
        self._truth.running = self.models[SLOT].manifest if SLOT in self.models else None


def _installed(runs: Runs) -> InstalledModel:
    return InstalledModel(name=runs.name, version=runs.version, manifest=runs.manifest)


_FRESH = _installed(NEW)
