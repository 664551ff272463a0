"""Frames that could have been counted, and those that were: what is held against a model, and what is not its fault."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from agent.counting.window import WindowCounts
from agent.drift.counts import Scatter, UsualHours
from agent.update.continuity import Past, Piece
from agent.update.evidence import CountTally, Mark, before_of, evidence_of, mark_of
from agent.update.probation import Before, CameraBefore, CameraEvidence
from agent.view import QUALITY_OF
from contracts.health import CameraHealth
from contracts.messages import Level, Window

PAST = Past((Piece(3.0, 10.0),), UsualHours((400.0, None), 600.0, Scatter(1.5, 0.1), crossings=True), crossings=True)


def health(seen: int, **dropped: int) -> CameraHealth:
    return CameraHealth(fps=10.0, latency_ms=None, frames_seen=seen, frames_dropped=dropped, reconnects=0, quality="ok")


def window(mean: float | None, **lines: Any) -> WindowCounts:
    level = None if mean is None else Level(last=mean, mean=mean, min=mean, max=mean)
    times = Window(start="2026-01-05T00:00:00Z", end="2026-01-05T00:00:10Z")
    return WindowCounts("gate", times, 10, {}, 1.0, "ok" if level else "stale", level, {}, lines)


def test_what_showed_nothing_or_was_too_often_is_not_asked_for_but_what_was_shed_is() -> None:
    faults = dict.fromkeys(QUALITY_OF, 5)
    assert mark_of(health(100, **faults), 70) == Mark(100 - 5 * len(QUALITY_OF), 70, 0)
    assert mark_of(health(100, rate=900, late=20, shed=30, model_error=10), 70) == Mark(130, 70, 10)


def test_before_and_since_are_differences() -> None:
    first, last = Mark(100, 90, 0), Mark(400, 360, 30)
    assert before_of(first, last, 30.0, PAST) == CameraBefore(9.0, 0.1, PAST)
    assert before_of(last, last, 30.0, PAST) == CameraBefore(0.0, 0.0, PAST)
    assert evidence_of(first, last, "ok", None) == CameraEvidence(300, 270, 30, "ok")


def test_windows_are_added_up_and_those_without_counts_left_out() -> None:
    tally = CountTally(crossings=False)
    assert (tally.pieces, tally.total) == ((), None)
    for mean in (2.0, None, 1.0):
        tally.take(window(mean), 10.0)
    assert tally.pieces == (Piece(20.0, 10.0), Piece(10.0, 10.0))
    assert tally.total == Piece(30.0, 20.0)
    lines = CountTally(crossings=True)
    lines.take(window(2.0, a={"car": {"in": 3, "out": 1}}), 10.0)
    assert lines.total == Piece(4.0, 10.0)


def test_the_snapshot_can_be_kept_as_json() -> None:
    before = Before(5.0, {"gate": CameraBefore(9.0, 0.1, PAST)}, 500.0, {"cpu": 70.0}, connected=True)
    kept: TypeAdapter[Before] = TypeAdapter(Before)
    assert kept.validate_json(kept.dump_json(before)) == before
