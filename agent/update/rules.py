"""Which state of an attempt follows which, and how it ends. Pure: an attempt goes in, the next one comes out.

::

    resolve → fetch → verify → prepare → selftest → [shadow] → activate → probation → committed
       └───────┴────────┴─────────┴─────────┴──────────┤           └──────────┤
                                 rejected | failed | superseded         rolling_back → rolled_back | rollback_failed

Until ``shadow`` nothing that counts was touched, and every state can be done again from its beginning. A state is
entered only once it stands in the journal (`agent.update.journal`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from contracts.documents import Id, MachineModel, Sha256
from contracts.release import Version
from contracts.update import UpdateCode, UpdateReport, UpdateState, WantedModel

MOST_STARTS = 3
"""Of the agent within one of `COUNTED`: the next one gives the attempt up before a model is loaded."""

MOST_STEPS = 64
"""Records that one attempt may write; a loop that nobody foresaw ends there. (Mender's client stops at 28.)"""

BEFORE: tuple[UpdateState, ...] = ("resolve", "fetch", "verify", "prepare", "selftest", "shadow")
"""What counts is untouched."""

ACTIVE: tuple[UpdateState, ...] = ("activate", "probation")
"""The new models count, or are about to."""

COUNTED: tuple[UpdateState, ...] = ("shadow", "activate", "probation", "rolling_back")
"""In which the agent's own process runs a model of the attempt, and so may die of it."""

OVER: tuple[UpdateState, ...] = ("committed", "rejected", "failed", "superseded", "rolled_back", "rollback_failed")

_NEXT: Mapping[UpdateState, UpdateState] = {
    "resolve": "fetch",
    "fetch": "verify",
    "verify": "prepare",
    "prepare": "selftest",
    "selftest": "activate",
    "shadow": "activate",
    "activate": "probation",
    "probation": "committed",
    "rolling_back": "rolled_back",
}

_TRANSIENT: frozenset[UpdateCode] = frozenset(
    {
        "server_unreachable", "server_wrong", "no_space", "over_quota", "storage", "build_failed", "held_too_long",
        "cancelled", "too_many_steps", "internal",
    }
)  # fmt: skip
_NO_SECOND_TRY: frozenset[UpdateCode] = frozenset({"cancelled", "too_many_steps", "held_too_long"})


class InstalledModel(MachineModel):
    """A bundle on the shelf.

    Attributes:
        name: of the model.
        version: of it.
        manifest: SHA-256 of its manifest.json, which is also the name of its folder.
    """

    name: Id
    version: Version
    manifest: Sha256


class InstalledSet(MachineModel):
    """Models that count together.

    Attributes:
        epoch: of the document that asked for them; None where somebody on site did, or nobody.
        model_revision: the same document's.
        models: slot to bundle; slots that are not here run what agent.toml names.
    """

    epoch: int | None = None
    model_revision: int | None = None
    models: dict[Id, InstalledModel] = Field(default_factory=dict)


class Wish(MachineModel):
    """What should run.

    Attributes:
        epoch: of the document that asks; None where somebody on site does.
        model_revision: the same document's.
        models: slot to model, the whole set.
        source: folder to take them from, where not from the servers.
        back: whether what ran before is wanted back; nothing is fetched then.
        refit: whether what runs is wanted again, as the box can run other files of it than it has.
        request: id of what somebody on site asked for.
    """

    epoch: int | None = None
    model_revision: int | None = None
    models: dict[Id, WantedModel] = Field(default_factory=dict)
    source: str | None = None
    back: bool = False
    refit: bool = False
    request: str | None = None

    @property
    def document(self) -> tuple[int, int] | None:
        """Epoch and model_revision; None where no document asks."""
        if self.epoch is None or self.model_revision is None:
            return None
        return self.epoch, self.model_revision


class Attempt(MachineModel):
    """One attempt to have a wish run; what the journal holds of it.

    Attributes:
        number: counts the attempts of this box, from 1.
        wish: what is attempted.
        state: see the module.
        code: why it ended or goes back, None otherwise.
        reason: that in words.
        starts: of the agent within this state.
        steps: records written of it.
        resolved: slot to the bundle that was found for it; empty before ``fetch``.
        seen: epoch and model_revision of the newest document that was ever attempted; None where none was.
    """

    number: int = Field(ge=1)
    wish: Wish
    state: UpdateState = "resolve"
    code: UpdateCode | None = None
    reason: str = ""
    starts: int = 0
    steps: int = 0
    resolved: dict[Id, InstalledModel] = Field(default_factory=dict)
    seen: tuple[int, int] | None = None

    @property
    def is_over(self) -> bool:
        """Whether it came to its end."""
        return self.state in OVER

    @property
    def target(self) -> InstalledSet:
        """What it has run, once it is resolved."""
        wish = self.wish
        return InstalledSet(epoch=wish.epoch, model_revision=wish.model_revision, models=self.resolved)

    def report(self) -> UpdateReport:
        """What is told of it."""
        return UpdateReport(
            attempt=self.number,
            epoch=self.wish.epoch,
            model_revision=self.wish.model_revision,
            state=self.state,
            code=self.code,
            reason=self.reason,
            models=self.wish.models,
            starts=self.starts,
        )


def end_of(code: UpdateCode) -> Literal["rejected", "failed"]:
    """How an attempt ends before it was activated: whether the same wish may succeed another time."""
    return "failed" if code in _TRANSIENT else "rejected"


def is_worth_waiting(code: UpdateCode) -> bool:
    """Whether the step that failed so is done again, as long as the box's patience lasts."""
    return code in _TRANSIENT - _NO_SECOND_TRY


def needs_only_the_disk(attempt: Attempt, code: UpdateCode) -> bool:
    """Whether what failed is the disk alone, while all models are as they were: it is done once the disk takes it.

    What counts is replaced only after all that ``activate`` writes was written. What comes back in ``rolling_back``
    counts already when that cannot be written. No patience ends that: the end could not be written either.
    """
    return attempt.state in {"activate", "rolling_back"} and code in {"storage", "no_space"}


def passed(attempt: Attempt, *, shadow: bool = False) -> Attempt:
    """The state that it is in was done.

    Args:
        attempt: not over.
        shadow: whether the new models are to run beside the old ones before they take over.
    """
    state = _NEXT[attempt.state]
    if attempt.state == "selftest" and shadow:
        state = "shadow"
    return _entered(attempt, state)


def settled(attempt: Attempt, code: UpdateCode, reason: str) -> Attempt:
    """It is committed: it has been running well, or runs already."""
    return _entered(attempt, "committed").model_copy(update={"code": code, "reason": reason})


def broke(attempt: Attempt, code: UpdateCode, reason: str) -> Attempt:
    """The state that it is in cannot be done.

    What counted before is to come back where it was replaced; where it does not come back, neither runs.
    """
    if attempt.state in BEFORE:
        after = _entered(attempt, end_of(code))
    elif attempt.state in ACTIVE:
        after = _entered(attempt, "rolling_back")
    else:
        cause = f"; it was to come back because: {attempt.reason}" if attempt.reason else ""
        return _entered(attempt, "rollback_failed").model_copy(
            update={"code": "previous_broken", "reason": f"{reason}{cause}"}
        )
    return after.model_copy(update={"code": code, "reason": reason})


def superseded(attempt: Attempt) -> Attempt:
    """Something newer is wanted, and nothing was touched yet.

    Raises:
        ValueError: it has gone too far; it comes to its end first.
    """
    if attempt.state not in BEFORE:
        raise ValueError(f"an attempt cannot be superseded in {attempt.state}")
    reason = "something newer was asked for before it took over"
    return _entered(attempt, "superseded").model_copy(update={"code": "newer_wish", "reason": reason})


def can_be_superseded(attempt: Attempt) -> bool:
    """Whether a newer wish need not wait for its end."""
    return attempt.state in BEFORE


def started(attempt: Attempt) -> Attempt:
    """The agent starts, or started anew, within it; to be kept before a model is loaded."""
    if attempt.is_over or attempt.state not in COUNTED:
        return attempt
    counted = attempt.model_copy(update={"starts": attempt.starts + 1, "steps": attempt.steps + 1})
    if counted.steps > MOST_STEPS:
        return broke(counted, "too_many_steps", f"{counted.steps} records were written without coming to an end")
    if counted.starts <= MOST_STARTS:
        return counted
    code: UpdateCode = "crashes_agent" if attempt.state in BEFORE else "does_not_start"
    return broke(
        counted,
        code,
        f"the agent was started {counted.starts} times in '{attempt.state}' and never came through it; see its log",
    )


def survived(attempt: Attempt, starts: int) -> Attempt:
    """The agent did not die of it: it ends in order, or has counted with it for a while."""
    return attempt.model_copy(update={"starts": max(0, starts)})


def begun(wish: Wish, last: Attempt | None, least: int = 0) -> Attempt:
    """A new attempt.

    Args:
        wish: what is attempted.
        last: the attempt before it; None where none is known.
        least: a number that was used, also where the last attempt's record was lost.
    """
    documents = [one for one in (wish.document, last.seen if last else None) if one is not None]
    number = max(last.number if last else 0, least) + 1
    return Attempt(number=number, wish=wish, seen=max(documents, default=None), steps=1)


def asks_anew(wish: Wish, last: Attempt | None, running: InstalledSet) -> bool:
    """Whether a wish is to be attempted after the last attempt.

    A document comes again with every connection: it is attempted once, and again only where it was committed and does
    not run for all that, as what should run was lost. What somebody on site asks for is always attempted.
    """
    document = wish.document
    if wish.refit or document is None or last is None or last.seen is None:
        return True
    if document == last.seen and last.wish.document == document and last.state == "committed":
        return running != last.target
    return document > last.seen


def _entered(attempt: Attempt, state: UpdateState) -> Attempt:
    steps = attempt.steps + 1
    if steps > MOST_STEPS and state in (*BEFORE, *ACTIVE):
        capped = attempt.model_copy(update={"steps": steps})
        return broke(capped, "too_many_steps", f"{steps} records were written without coming to an end")
    return attempt.model_copy(update={"state": state, "starts": 0, "steps": steps})
