"""Whether a wave may be followed by the next, from how its boxes stand. docs/rollouts.md has the arithmetic.

All waves of a class that were opened are judged together: a canary that fails late halts the third wave too. There is
no gate over the sum of all classes of its own: what every class lets through their sum lets through as well, as a share
of a sum lies between the shares of its parts.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal

from fleet.rollout.amounts import show_boxes, show_duration, show_share
from fleet.rollout.spec import RolloutSpec

_ROUNDING = 1e-9  # 0.29 times 100 is a little less than 29

Standing = Literal["pending", "silent", "unreached"]
"""How a box stands that came to no end; see `Counts`."""


@dataclass(frozen=True)
class Counts:
    """How the boxes of all opened waves of a class stand.

    Args:
        committed: run it.
        failed: do not, and are not offered it again by themselves.
        pending: were offered it, and are heard of.
        silent: were reached and are not heard of any more, or came to no end before the deadline.
        unreached: were offered it and offline ever since; they count nowhere.
        waiting: are to be offered it, for the first time or again.
        hard: of ``failed``, those that run nothing now (``rollback_failed``), without those that were forgiven.
        held: are to be offered it once a penalty is over, as they failed elsewhere lately; they count nowhere.
        forgiven_failed: of ``failed``, those that a person accepted when he let the class go on.
        forgiven_silent: of ``silent``, the same.
    """

    committed: int = 0
    failed: int = 0
    pending: int = 0
    silent: int = 0
    unreached: int = 0
    waiting: int = 0
    hard: int = 0
    held: int = 0
    forgiven_failed: int = 0
    forgiven_silent: int = 0

    @property
    def eligible(self) -> int:
        """Those that a gate judges."""
        return self.committed + self.failed + self.pending + self.silent

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(Counts)))

    @property
    def judged(self) -> Counts:
        """Without the boxes that were forgiven."""
        failed, silent = self.failed - self.forgiven_failed, self.silent - self.forgiven_silent
        return replace(self, failed=failed, silent=silent, forgiven_failed=0, forgiven_silent=0)


@dataclass(frozen=True)
class Opened:
    """The newest wave of a class.

    Args:
        soaking_ms: what the verdict before gave as such; None where none did.
        reached: ``Counts.eligible`` of the newest wave alone: what was proven by earlier waves opens no later one.
        last: whether no wave comes after it.
    """

    soaking_ms: int | None
    reached: int
    last: bool


@dataclass(frozen=True)
class Verdict:
    """What a gate says.

    Args:
        kind: ``wait`` and ``soak``: nothing is opened yet; ``pass``: the next wave may be; ``halt``: nothing more may.
        reason: in words.
        soaking_ms: since when the wave soaks; to be kept, and given to the next judgement.
    """

    kind: Literal["wait", "soak", "pass", "halt"]
    reason: str
    soaking_ms: int | None = None


def judge(counts: Counts, spec: RolloutSpec, opened: Opened, now_ms: int) -> Verdict:
    """The gate of a class after its newest wave.

    Args:
        counts: of all its opened waves.
        spec: the limits.
        opened: the newest wave.
        now_ms: now, milliseconds since 1970; a clock that was set back begins the soak anew.
    """
    why = alarm(counts, spec)
    if why is not None:
        return Verdict("halt", why)
    counts = counts.judged
    why = _unfinished(counts, spec, opened)
    if why is not None:
        return Verdict("wait", why)
    since = now_ms if opened.soaking_ms is None else min(opened.soaking_ms, now_ms)
    left = spec.soak_seconds - (now_ms - since) / 1000
    if left > 0:
        return Verdict("soak", f"soaks for another {show_duration(left + 0.999)}; {_stand(counts)}", since)
    why = _short(counts, spec)
    if why is not None:
        return Verdict("halt", why)
    return Verdict("pass", _stand(counts), since)


def alarm(counts: Counts, spec: RolloutSpec) -> str | None:
    """Why to halt at once, in words; None where nothing demands it.

    That is: a box runs nothing; or so many failed, or went silent, that the gate does not let the wave through even
    if every other box that was offered the release, or is about to be, commits.
    """
    left = counts.judged
    most = left.eligible + left.waiting
    if left.hard:
        return f"{show_boxes(left.hard)} could not be rolled back and may count nothing; {_stand(left)}"
    if _above(left.failed, spec.max_failed, most):
        return f"{left.failed} of {show_boxes(most)} failed, at most {show_share(spec.max_failed)} may"
    if _above(left.silent, spec.max_silent, most):
        return f"{left.silent} of {show_boxes(most)} went silent, at most {show_share(spec.max_silent)} may"
    return None


def standing(
    offered_ms: int,
    last_seen_ms: int | None,
    spec: RolloutSpec,
    now_ms: int,
    *,
    online: bool | None,
    listening_since_ms: int = 0,
) -> Standing:
    """How a box stands that was offered the release and came to no end.

    Args:
        offered_ms: when it was, milliseconds since 1970, as all times here.
        last_seen_ms: when it was heard of last; None where it never was.
        spec: the times after which it is silent.
        now_ms: until when what boxes said is known; now, where nobody lags behind.
        online: as its status says: one that says so is reached before it said anything else.
        listening_since_ms: since when boxes have been listened to without a break: before that nobody could be heard.
    """
    heard = last_seen_ms is not None and last_seen_ms >= offered_ms
    if not heard and not online:
        return "unreached"
    quiet_ms = now_ms - max(offered_ms, last_seen_ms or 0, listening_since_ms)
    if quiet_ms > spec.silent_after_seconds * 1000 or now_ms - offered_ms > spec.deadline_seconds * 1000:
        return "silent"
    return "pending"


def _unfinished(counts: Counts, spec: RolloutSpec, opened: Opened) -> str | None:
    """Why a wave does not soak yet, in words.

    Boxes that come back one by one would keep a large wave from ever soaking. So it does not wait for the last: those
    pending are taken for silent, and where that is not too many it goes on.
    """
    if counts.waiting:
        return f"{_boxes_are(counts.waiting)} still to be offered it"
    if counts.pending and _above(counts.pending + counts.silent, spec.max_silent, counts.eligible):
        return f"{_boxes_are(counts.pending)} at it; {_stand(counts)}"
    if not opened.reached and not (opened.last and counts.committed):
        held = (
            f"; {show_boxes(counts.held)} failed elsewhere and will be offered it after the penalty"
            if counts.held
            else ""
        )
        return f"no box of the newest wave was reached yet, and what nobody tried is not proven{held}"
    return None


def _short(counts: Counts, spec: RolloutSpec) -> str | None:
    """What a wave lacks that has soaked, in words."""
    tried = counts.committed + counts.failed
    if _above(counts.failed, spec.max_failed, tried):
        most = show_share(spec.max_failed)
        return f"{counts.failed} of {show_boxes(tried)} that came to an end failed, at most {most} may"
    if _above(counts.silent, spec.max_silent, counts.eligible):
        return (
            f"{counts.silent} of {show_boxes(counts.eligible)} went silent, at most {show_share(spec.max_silent)} may"
        )
    if counts.committed < spec.min_committed * counts.eligible - _ROUNDING:
        needed = show_share(spec.min_committed)
        return f"{counts.committed} of {show_boxes(counts.eligible)} committed, at least {needed} should"
    return None


def _above(count: int, share: float, of: int) -> bool:
    return count > share * of + _ROUNDING


def _stand(counts: Counts) -> str:
    parts = (
        (name, getattr(counts, name)) for name in ("committed", "failed", "silent", "pending", "unreached", "held")
    )
    return ", ".join(f"{count} {name}" for name, count in parts if count or name == "committed")


def _boxes_are(count: int) -> str:
    return f"{show_boxes(count)} {'is' if count == 1 else 'are'}"
