"""Messages of older agents are understood."""

from __future__ import annotations

import json

from contracts.health import Health
from contracts.messages import CountReport


def test_a_report_from_before_models_were_swapped_names_one_digest_at_most() -> None:
    report = {
        "store_id": "s",
        "seq": 1,
        "boot_id": "b",
        "device": "box",
        "camera": "gate",
        "window": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:00:10Z"},
        "clock_synced": True,
        "frames_seen": 1,
        "frames_dropped": {},
        "coverage": 1.0,
        "quality": "ok",
        "artifact_digest": "0" * 64,
        "count": None,
    }
    read = CountReport.model_validate_json(json.dumps(report))
    assert (read.artifact_digest, read.earlier_digests) == ("0" * 64, ())


def test_a_box_that_says_nothing_of_engines_builds_none_that_is_known() -> None:
    health = {"device": "box", "at": "now", "uptime": 1.0, "rss_mb": None, "outbox_waiting": 0, "outbox_dropped": 0}
    read = Health.model_validate_json(json.dumps(health | {"cameras": {}}))
    assert read.models == {}
