"""What the box answers: which document runs, how well, and which was not taken. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agent.remote.candidates import ConfigCandidate
from agent.remote.ports import Running
from agent.remote.refusals import bounded
from contracts.desired import RefusedDocument, Reported, RunningState, WrongField


@dataclass(frozen=True)
class Situation:
    """What there is to say.

    Args:
        candidate: what runs.
        trial: whether the broker is still to be reached with it.
        damage: files that could not be used, in words.
        problems: what of it does not work.
        refused: the newest document that was not taken.
    """

    candidate: ConfigCandidate
    trial: bool
    damage: Sequence[str]
    problems: Sequence[WrongField]
    refused: RefusedDocument | None


def make_report(situation: Situation, running: Running, boot_id: str, at: str) -> Reported:
    """The message.

    Args:
        situation: what there is to say.
        running: how the agent does.
        boot_id: of this boot.
        at: now, UTC.
    """
    candidate = situation.candidate
    desired = candidate.desired
    state, code, reason = _words(situation)
    left_out = candidate.left_out.errors if candidate.left_out is not None else ()
    errors, more = bounded([*situation.problems, *left_out])
    return Reported(
        device=candidate.config.device,
        boot_id=boot_id,
        at=at,
        epoch=desired.epoch if desired else None,
        config_revision=desired.config_revision if desired else None,
        config_digest=desired.config.digest if desired else None,
        model_revision=running.model_revision,
        models=dict(running.models),
        update=running.update,
        state=state,
        code=code,
        reason=reason,
        errors=errors,
        errors_left_out=more,
        refused=situation.refused,
        page=dict(candidate.base.page),
    )


def _words(situation: Situation) -> tuple[RunningState, str, str]:
    candidate, problems = situation.candidate, situation.problems
    has_document = candidate.desired is not None
    state: RunningState = "local" if not has_document else "ok"
    if candidate.left_out is not None:
        code, reason = "does_not_fit", f"what was configured last does not fit any more: {candidate.left_out.reason}"
    elif situation.damage:
        code, reason = "damaged", f"{'; '.join(situation.damage)}; what ran before is used"
    else:
        code, reason = state, "the document runs" if has_document else "no document came; the local settings run"
    if problems:
        first = f"'{problems[0].path}': {problems[0].problem}" if problems[0].path else problems[0].problem
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        code, reason = "not_running", f"{first}{more}"
        state = "degraded" if has_document else "local"
    if situation.trial:
        state, code, reason = "confirming", "confirming", "it stays if the broker is reached in time"
    return state, code, reason
