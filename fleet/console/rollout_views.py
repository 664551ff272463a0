"""What pages and API show of rollouts, and do with them; both ask the same functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from contracts.errors import WrittenError
from fleet.access.visitor import Visitor
from fleet.console.console import Console
from fleet.console.errors import Refused
from fleet.console.rollout_documents import PlanAnswer, RolloutAnswer, RolloutBoxAnswer, RolloutSummary
from fleet.rollout import view as rollout_view
from fleet.rollout.acting import act
from fleet.rollout.asking import Asked, plan_asked, proposal_lines, release_name
from fleet.rollout.boxes import BoxState
from fleet.rollout.creating import Planned, create_rollout
from fleet.rollout.release import RolloutRelease
from fleet.rollout.rules import Action
from fleet.rollout.show import box_document, plan_document, rollout_document, view_document
from fleet.rollout.spec import RolloutSpec
from fleet.rollout.view import RolloutView
from fleet.store import rollout_counts
from fleet.store import rollouts as store
from fleet.store.rollouts import Rollout

NO_REPOSITORY = (
    "this console was started without --repository; make the rollout with `edgetally-fleet rollout create`, "
    "or start the console with --repository URL and --root root.json"
)
_OF_A_BOX = 5
_MOST_GOING = 50


def newest(console: Console, limit: int) -> list[RolloutSummary]:
    """Rollouts, newest first."""
    return [summary(each) for each in rollout_view.newest(console.database, limit)]


def going(console: Console) -> list[RolloutSummary]:
    """Rollouts that a person may want to look at: those that are not at an end."""
    with console.database.reading() as connection:
        found = store.newest(connection, _MOST_GOING, ("draft", "running", "paused", "halted", "reverting"))
    return [summary(each) for each in found]


def view(console: Console, number: int) -> RolloutView:
    """One rollout.

    Raises:
        NoRolloutError: there is none of this number.
    """
    return rollout_view.view(console.database, number, console.now_ms())


def summary(rollout: Rollout) -> RolloutSummary:
    """A rollout as it is answered."""
    return RolloutSummary.model_validate(rollout_document(rollout))


def answer(found: RolloutView) -> RolloutAnswer:
    """A rollout with its classes as it is answered."""
    return RolloutAnswer.model_validate(view_document(found))


def boxes(console: Console, number: int, limit: int, states: Iterable[BoxState] = ()) -> list[RolloutBoxAnswer]:
    """Boxes of a rollout, the latest changes first.

    Raises:
        NoRolloutError: there is none of this number.
    """
    found = rollout_view.boxes(console.database, number, limit, states)
    return [RolloutBoxAnswer.model_validate(box_document(each)) for each in found]


@dataclass(frozen=True)
class OfBox:
    """A rollout that a box is in, and how the box stands there."""

    rollout: RolloutSummary
    box: RolloutBoxAnswer


def of_box(console: Console, device: str) -> list[OfBox]:
    """The newest rollouts that a box is in."""
    with console.database.reading() as connection:
        found = rollout_counts.of_device(connection, device, _OF_A_BOX)
    return [OfBox(summary(each.rollout), RolloutBoxAnswer.model_validate(box_document(each.box))) for each in found]


def do(console: Console, number: int, action: Action, visitor: Visitor, revision: int) -> RolloutView:
    """Do something to a rollout, unless somebody changed it since it had this revision.

    Raises:
        NoRolloutError: there is none of this number.
        RolloutConflictError: somebody changed it meanwhile.
        ActionRefusedError: it cannot be done now.
    """
    act(console.database, number, action, visitor.author, console.now_ms(), revision=revision)
    return view(console, number)


@dataclass(frozen=True)
class Plan:
    """What would be rolled out.

    Args:
        spec: what it is to do.
        release: what boxes get.
        planned: which box gets it when.
        proposal: what is said of the waves where a risk was given.
    """

    spec: RolloutSpec
    release: RolloutRelease
    planned: Planned
    proposal: Sequence[str]

    @property
    def seen(self) -> str:
        """What a person confirms: how many boxes of which class."""
        return ",".join(f"{name}:{n}" for name, n in sorted(self.planned.boxes_per_class.items()))


def plan(console: Console, asked: Asked) -> Plan:
    """Plan a rollout.

    Raises:
        Refused: this console has no repository, or cannot read it.
        ReleaseError: there is no such release, or it was withdrawn.
        WrittenError: what is asked does not fit.
        QueryError: the query cannot be read.
    """
    if console.releases is None:
        raise Refused(409, "no_repository", NO_REPOSITORY)
    release = console.releases.find(*release_name(asked.release))
    spec, planned, proposal = plan_asked(console.database, asked, release, console.now_ms())
    return Plan(spec, release, planned, () if proposal is None else proposal_lines(proposal, asked.risk or ""))


def create(console: Console, made: Plan, visitor: Visitor) -> tuple[int, Planned]:
    """Make a rollout; its number, and the plan as it is by now.

    Raises:
        WrittenError: no box would get it.
    """
    if not made.planned.boxes:
        raise WrittenError(" ".join(["no box would get it; look at the query.", *made.planned.notes]))
    return create_rollout(console.database, made.spec, made.release, visitor.author, console.now_ms())


def plan_answer(spec: RolloutSpec, planned: Planned, number: int | None) -> PlanAnswer:
    """A plan as it is answered."""
    return PlanAnswer.model_validate({"id": number, "spec": spec, **plan_document(planned)})
