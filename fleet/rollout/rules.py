"""Which state of a rollout, and of a hardware class in it, follows which. Pure.

::

    draft ─approve─► running ─► completed            waiting ─► open ⇄ soaking ─► passed
                     ⇅   │  ⇅                           ▲              │
                  paused │ halted                       └──────────────┘ the next wave
      abort: to aborted  └─revert─► reverting ─► reverted      any of them ─► halted ─► open | reverting | aborted

Nothing leaves ``reverted``; a rule leaves neither ``completed`` nor ``aborted``, a person may revert both.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Literal, get_args

from contracts.errors import WrittenError
from fleet.rollout.gate import Verdict
from fleet.rollout.spec import RolloutSpec

RolloutState = Literal["draft", "running", "paused", "halted", "completed", "aborted", "reverting", "reverted"]
ClassState = Literal["waiting", "open", "soaking", "passed", "halted", "reverting", "reverted", "aborted"]
Action = Literal["approve", "pause", "resume", "abort", "revert", "retry"]

ROLLOUT_STATES: tuple[RolloutState, ...] = get_args(RolloutState)
CLASS_STATES: tuple[ClassState, ...] = get_args(ClassState)
ACTIONS: tuple[Action, ...] = get_args(Action)

MEANINGS: Mapping[Action, str] = MappingProxyType(
    {
        "approve": "It starts: the first wave of each hardware class is offered the release.",
        "pause": "It is offered to no further box for now; boxes that are at it go on.",
        "resume": "It goes on. Where a hardware class is halted, its boxes that failed or fell silent so far are "
        "accepted: they stop it no more.",
        "retry": "It is offered again to the boxes that failed, as often as at first.",
        "abort": "It ends: boxes that run the release keep it, boxes that are at it get their earlier model back, "
        "no further box gets it.",
        "revert": "Every box that was offered the release gets back the model that it ran before; no further box "
        "gets the release.",
    }
)
"""What an action does, for who is about to ask for it."""

ENDS: frozenset[RolloutState] = frozenset({"completed", "aborted", "reverted"})
"""Nothing goes on by itself."""

_ACTIONS: Mapping[RolloutState, Mapping[Action, RolloutState]] = MappingProxyType(
    {
        "draft": {"approve": "running", "abort": "aborted"},
        "running": {
            "pause": "paused",
            "resume": "running",
            "retry": "running",
            "abort": "aborted",
            "revert": "reverting",
        },
        "paused": {"resume": "running", "retry": "paused", "abort": "aborted", "revert": "reverting"},
        "halted": {"resume": "running", "retry": "halted", "abort": "aborted", "revert": "reverting"},
        "completed": {"revert": "reverting"},
        "aborted": {"revert": "reverting"},
        "reverting": {"abort": "aborted"},
        "reverted": {},
    }
)

_JUDGED: frozenset[ClassState] = frozenset({"waiting", "open", "soaking", "passed"})
_STOPPED: frozenset[ClassState] = frozenset({"halted", "reverting"})


class ActionRefusedError(WrittenError):
    """What a person asked for cannot be done in this state; it says what can.

    Args:
        action: that was asked for.
        state: of the rollout.
        possible: what can be done instead.
    """

    def __init__(self, action: Action, state: RolloutState, possible: tuple[Action, ...]) -> None:
        self.action = action
        self.state = state
        self.allowed = possible
        instead = f"; it allows {', '.join(possible)}" if possible else "; nothing can be done with it any more"
        super().__init__(f"a rollout that is {state} cannot take {action!r}{instead}")


def allowed(state: RolloutState, classes: Collection[ClassState]) -> tuple[Action, ...]:
    """What a person may do in a state; a rollout that runs is resumed only where one of its classes is halted."""
    actions = _ACTIONS[state]
    return tuple(one for one in actions if one != "resume" or state != "running" or "halted" in classes)


def acted(action: Action, state: RolloutState, classes: Collection[ClassState]) -> RolloutState:
    """The state of the rollout after an action.

    Raises:
        ActionRefusedError: it cannot be done now.
    """
    possible = allowed(state, classes)
    if action not in possible:
        raise ActionRefusedError(action, state, possible)
    return _ACTIONS[state][action]


def class_acted(action: Action, rollout: RolloutState, state: ClassState) -> ClassState:
    """The state of a class after an action that `acted` allowed; it holds for every class.

    Args:
        action: of a person.
        rollout: state of the rollout before it.
        state: of the class.
    """
    if action == "resume" and state == "halted" and rollout != "paused":  # who ends a pause accepts no failures yet
        return "open"
    if action == "retry" and state == "passed":
        return "open"
    if action == "revert":
        return _reverting(state)
    # Of a class that passed, too: what was offered to boxes that are away is taken back.
    return "aborted" if action == "abort" and state != "reverted" else state


def judged(state: ClassState, verdict: Verdict, spec: RolloutSpec, *, last: bool) -> ClassState:
    """The state of a class after a verdict.

    Args:
        state: before it; one that is not `is_judged` stays.
        verdict: of its gate.
        spec: says what follows a halt.
        last: whether its newest wave is its last; ``passed`` then, else ``waiting`` for the next one.
    """
    if state not in _JUDGED:
        return state
    if verdict.kind == "halt":
        return "reverting" if spec.on_halt == "revert" else "halted"
    if state in {"waiting", "passed"}:
        return state
    if verdict.kind == "pass":
        return "passed" if last else "waiting"
    return "soaking" if verdict.kind == "soak" else "open"


def is_judged(rollout: RolloutState, state: ClassState) -> bool:
    """Whether the gate of a class is asked: nothing halts while a person has it paused, as nothing is opened either."""
    return rollout == "running" and state in _JUDGED


def may_open(rollout: RolloutState, state: ClassState) -> bool:
    """Whether the class's next wave is to be opened now."""
    return rollout == "running" and state == "waiting"


def may_offer(rollout: RolloutState, state: ClassState) -> bool:
    """Whether boxes of opened waves are offered the release now; those that come back late, of passed classes too."""
    return (rollout in {"running", "completed"} and state == "passed") or (
        rollout == "running" and state in {"waiting", "open", "soaking"}
    )


def after_classes(state: RolloutState, classes: Collection[ClassState], spec: RolloutSpec) -> RolloutState:
    """The state of the rollout by those of its classes, after any of them changed.

    Where it becomes ``halted`` or ``reverting`` and the spec halts all, `class_halted` holds for its other classes.
    """
    if state == "reverting":
        return state if "reverting" in classes else "reverted"
    if state != "running":
        return state
    if spec.halt == "all" and _STOPPED & set(classes):
        return "halted" if "halted" in classes else "reverting"
    if any(one in {"waiting", "open", "soaking", "reverting"} for one in classes):
        return "running"
    if "halted" in classes:
        return "halted"
    return "reverted" if classes and all(one == "reverted" for one in classes) else "completed"


def class_halted(state: ClassState, rollout: RolloutState) -> ClassState:
    """The state of each class after another one's halt stopped the whole rollout.

    Args:
        state: of the class.
        rollout: what the halt made of the rollout: ``halted`` or ``reverting``.
    """
    if rollout == "reverting":
        return _reverting(state)
    return "halted" if state in {"waiting", "open", "soaking"} else state


def after_reverting(state: ClassState, left: int) -> ClassState:
    """The state of a class of which so many boxes are still to get back what they ran."""
    return "reverted" if state == "reverting" and not left else state


def _reverting(state: ClassState) -> ClassState:
    """Also of a class that waits, which may have opened waves before; without boxes it is reverted at once."""
    return state if state == "reverted" else "reverting"
