"""In which order settings are measured, and what is taken in the end: few measurements, of which the last decide.

First each form of the model in the box's usual setting, then the lanes and threads of the best two; three rounds each,
which only say where to look. What looks better than the one that serves is then measured anew, in as many rounds as it
takes to tell it from noise: what was picked for its figures is not judged by the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from agent.choose import Candidate, candidates, cores, is_undecided
from agent.tuning.rules import (
    ROUNDS_TO_DECIDE,
    ROUNDS_TO_LOOK,
    Aim,
    Record,
    Round,
    challengers,
    gains,
    is_better,
    record_of,
)
from agent.tuning.setting import Setting, lanes_to_try
from contracts.config import RuntimeConfig
from contracts.errors import ArtifactError, DeviceError
from contracts.facts import Facts
from contracts.manifest import Artifact, Manifest

_FORMS_LOOKED_INTO = 2
_FAILURE = 500  # characters of it that are kept


class Compare(Protocol):
    """Measures two settings in turn."""

    def __call__(self, base: Setting, other: Setting, rounds: int) -> Sequence[Round]:
        """Wait for so many rounds.

        Raises:
            ArtifactError: one of them does not run, or fails its golden self-test.
            DeviceError: this box cannot run it so.
        """


@dataclass(frozen=True)
class Space:
    """What may be measured.

    Args:
        forms: for each form of the model its settings, the usual one first; best form first as far as is known.
    """

    forms: tuple[tuple[Setting, ...], ...]


@dataclass
class Outcome:
    """What came of it.

    Args:
        base: what served while it was measured.
        best: what is to serve from now on; the base where nothing is better.
        decided: the rounds that it was decided by, None where nothing looked better.
        records: what each setting gave.
        failed: what each setting that does not run failed with.
    """

    base: Setting
    best: Setting
    decided: Record | None = None
    records: dict[Setting, Record] = field(default_factory=dict)
    failed: dict[Setting, str] = field(default_factory=dict)


def space_of(
    manifest: Manifest, facts: Facts, wanted: RuntimeConfig, runs: Callable[[Artifact], bool] = lambda _: True
) -> Space:
    """What may be measured on a box: what fits it, counts well enough, and is not ruled out by what is wanted.

    Args:
        manifest: the bundle's.
        facts: the box's.
        wanted: what was asked for by name.
        runs: whether an artifact can run now: its engine, where it needs one, is built.
    """
    fitting = [one for one in candidates(manifest, facts, wanted)[0] if runs(one.artifact)]
    proven = [one for one in fitting if not is_undecided(one)] or fitting
    return Space(tuple(_settings(one, facts, wanted) for one in proven))


def _settings(candidate: Candidate, facts: Facts, wanted: RuntimeConfig) -> tuple[Setting, ...]:
    pairs = lanes_to_try(candidate.artifact, wanted, cores(facts))
    return tuple(candidate.setting.model_copy(update={"lanes": lanes, "threads": threads}) for lanes, threads in pairs)


def search(
    space: Space, base: Setting, aim: Aim, compare: Compare, note: Callable[[str, float], None] = lambda *_: None
) -> Outcome:
    """Find the setting that is better than the one that serves.

    Args:
        space: what may be measured.
        base: what serves.
        aim: what it is to be best at.
        compare: measures.
        note: told what is measured next, and the share of the work that is done, 0 to 1.

    Raises:
        DeviceError: there was something to be measured, and none of it ran.
    """
    work = _Search(space, aim, compare, note, Outcome(base, base))
    work.look_at_forms()
    work.look_into(_best_forms(space, base, work.outcome.records))
    work.decide()
    outcome = work.outcome
    if outcome.failed and not outcome.records:  # the reason may be the one that serves, or the box: another day, then
        raise DeviceError(f"nothing could be measured: {next(iter(outcome.failed.values()))}")
    return outcome


class _Search:
    """One search; progress is told as if everything had to be looked at, and one challenger decided on."""

    def __init__(
        self, space: Space, aim: Aim, compare: Compare, note: Callable[[str, float], None], outcome: Outcome
    ) -> None:
        self.outcome = outcome
        self._space = space
        self._aim = aim
        self._compare = compare
        self._note = note
        looks = sum(setting != outcome.base for form in space.forms for setting in form)
        self._all = looks * ROUNDS_TO_LOOK + ROUNDS_TO_DECIDE
        self._done = 0

    def look_at_forms(self) -> None:
        for form in self._space.forms:
            self._look(form[0])

    def look_into(self, forms: Sequence[Sequence[Setting]]) -> None:
        for form in forms:
            for setting in form[1:]:
                self._look(setting)

    def decide(self) -> None:
        for setting in challengers(self.outcome.records):
            rounds = self._rounds(f"deciding on {setting}", setting, ROUNDS_TO_DECIDE)
            if rounds:
                self.outcome.records[setting] = self.outcome.decided = record_of(setting, rounds, self._aim)
                if is_better(gains(rounds, self._aim)):
                    self.outcome.best = setting
                    return

    def _look(self, setting: Setting) -> None:
        if setting == self.outcome.base:
            return
        rounds = self._rounds(f"looking at {setting}", setting, ROUNDS_TO_LOOK)
        if rounds:
            self.outcome.records[setting] = record_of(setting, rounds, self._aim)

    def _rounds(self, what: str, setting: Setting, rounds: int) -> Sequence[Round]:
        """None where it does not run; that is remembered."""
        self._note(what, min(1.0, self._done / self._all))
        self._done += rounds
        try:
            return self._compare(self.outcome.base, setting, rounds)
        except (ArtifactError, DeviceError) as error:
            self.outcome.records.pop(setting, None)
            self.outcome.failed[setting] = str(error)[:_FAILURE]
            return ()


def _best_forms(space: Space, base: Setting, records: Mapping[Setting, Record]) -> list[tuple[Setting, ...]]:
    """The form that serves and those that came nearest to it or passed it."""

    def gain(form: tuple[Setting, ...]) -> float:
        known = [records[setting].gain for setting in form if setting in records]
        return max([*known, 1.0] if form[0].form == base.form else known, default=0.0)

    return sorted((form for form in space.forms if gain(form) > 0), key=lambda form: -gain(form))[:_FORMS_LOOKED_INTO]
