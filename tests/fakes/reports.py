"""Reports that say nothing in particular."""

from __future__ import annotations

from agent.store import ReportDraft
from contracts.messages import CountReport, Window
from contracts.topics import Channel, Topic

COUNTS = Topic("box-1", Channel.CAMERA_COUNTS, "gate")


def draft(boot_id: str = "boot-1") -> ReportDraft:
    """A report of camera ``gate`` of ``box-1`` over one window."""
    report = CountReport(
        store_id="",
        seq=0,
        boot_id=boot_id,
        device="box-1",
        camera="gate",
        window=Window(start="2026-01-01T00:00:00Z", end="2026-01-01T00:00:10Z"),
        clock_synced=True,
        frames_seen=300,
        frames_dropped={},
        coverage=1.0,
        quality="ok",
        artifact_digest=None,
        count=None,
    )
    return ReportDraft(COUNTS, report)
