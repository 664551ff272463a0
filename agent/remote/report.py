"""What the box answers: which document runs, how well, and which was not taken. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from agent.remote.candidates import ConfigCandidate
from agent.remote.ports import Running
from agent.remote.refusals import bounded
from contracts.desired import RefusedDocument, Reported, RunningState, WrongField
from contracts.update import UpdateProgress

_STEP = 0.1  # of an update's progress: a fleet that updates must not be told of each megabyte


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


class Stamp(NamedTuple):
    """Of which report it is: the boot, the number within it from 1, and when, in UTC."""

    boot_id: str
    seq: int
    at: str


def make_report(situation: Situation, running: Running, stamp: Stamp) -> Reported:
    """The message.

    Args:
        situation: what there is to say.
        running: how the agent does.
        stamp: of which report it is.
    """
    candidate = situation.candidate
    desired = candidate.desired
    state, code, reason = _words(situation)
    left_out = candidate.left_out.errors if candidate.left_out is not None else ()
    errors, more = bounded([*situation.problems, *left_out])
    return Reported(
        device=candidate.config.device,
        boot_id=stamp.boot_id,
        seq=stamp.seq,
        at=stamp.at,
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


def is_news(report: Reported, said: Reported) -> bool:
    """Whether a report tells more than the one that was published last: the time is none, nor is a little progress."""
    return _essence(report) != _essence(said) or _moved(_progress(report), _progress(said))


def _essence(report: Reported) -> Reported:
    update = report.update.model_copy(update={"progress": None}) if report.update is not None else None
    return report.model_copy(update={"at": "", "seq": None, "update": update})


def _progress(report: Reported) -> UpdateProgress | None:
    return report.update.progress if report.update is not None else None


def _moved(now: UpdateProgress | None, then: UpdateProgress | None) -> bool:
    if now is None or then is None or now.fraction is None or then.fraction is None:
        return now != then
    whole = now.fraction == 1.0 != then.fraction
    return whole or round(abs(now.fraction - then.fraction), 9) >= _STEP


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
