"""Counting a classifier's answers: which state the camera's view is in, and how often it got there."""

from __future__ import annotations

from agent.counting.counted_model import CountedModel
from agent.counting.frame_counts import FrameCounts
from agent.counting.gaps import longest_gap
from agent.counting.states import StateMachine, StateRules, questions_of
from contracts.config import CameraConfig, StatesConfig
from contracts.model_spec import ModelSpec
from runtime.results import Classes, Result

_LEAST_SCORE = 0.6
"""Probability of an answer that counts, where neither camera nor model ask for more: of two answers, a clear one."""

_STAY = 0.75  # of the score; down to it the state's own answer counts


class StateCounter:
    """Follows the states of a classifier's questions.

    Args:
        camera: what is counted; its ``score`` counts before the model's.
        model: the model.
    """

    def __init__(self, camera: CameraConfig, model: CountedModel) -> None:
        self._camera = camera
        questions = questions_of(model.labels, model.heads)
        self._places = {one.name: [model.labels.index(label) for label in one.labels] for one in questions}
        self._rules = _rules(camera, model)
        self._machines = {one.name: StateMachine(one, self._rules) for one in questions}

    @staticmethod
    def problems(camera: CameraConfig, model: CountedModel) -> list[str]:
        """What the camera asks for that a classifier cannot give."""
        found = [
            f"{what} {name!r} needs a model that finds things; this one classifies the whole picture; remove it or "
            "choose a detector"
            for what, name in (
                *(("line", line.name) for line in camera.line),
                *(("zone", zone.name) for zone in camera.zone),
            )
        ]
        wanted, score = (camera.states or StatesConfig()).stay_score, _score(camera, model)
        if wanted is not None and wanted > score:
            found.append(f"'states.stay_score' should be at most the score to begin with, {score:g}, got {wanted:g}")
        return found

    def retune(self, model: ModelSpec) -> None:
        """See `CameraCounter.retune`."""
        self._rules = _rules(self._camera, CountedModel.of(model))
        for machine in self._machines.values():
            machine.rules = self._rules

    def take_over(self, before: object) -> None:
        """See `CameraCounter.take_over`."""
        if isinstance(before, StateCounter):
            self._machines = before._machines  # noqa: SLF001 - of the same class
            for machine in self._machines.values():
                machine.rules = self._rules

    def update(self, result: Result, at: float, aspect: float) -> FrameCounts:
        """See `CameraCounter.update`."""
        del aspect
        if not isinstance(result, Classes):
            raise TypeError(f"expected Classes, got {type(result).__name__}")
        changes = [
            machine.update(result.probabilities[self._places[name]], at) for name, machine in self._machines.items()
        ]
        return FrameCounts(
            count=None,
            states={name: machine.state for name, machine in self._machines.items()},
            changes=tuple(change for change in changes if change is not None),
        )


def _score(camera: CameraConfig, model: CountedModel) -> float:
    return camera.score or max(model.score or 0.0, _LEAST_SCORE)


def _rules(camera: CameraConfig, model: CountedModel) -> StateRules:
    states, score = camera.states or StatesConfig(), _score(camera, model)
    stay = _STAY * score if states.stay_score is None else min(states.stay_score, score)
    return StateRules(score, stay, states.hold_seconds, states.unknown_seconds, longest_gap(camera))
