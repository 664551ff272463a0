"""Messages as boxes publish them: each a topic and a payload."""

from __future__ import annotations

import json
from typing import Any

Published = tuple[str, bytes]


def hello(device: str = "box-1", boot: str = "boot-1", *, topic_of: str = "", **more: Any) -> Published:
    return _of(topic_of or device, "hello", {"device": device, "boot_id": boot, "version": "1.0.0", **more})


def status(value: str, device: str = "box-1", boot: str = "boot-1", reason: str = "") -> Published:
    return _of(device, "status", {"status": value, "boot_id": boot, "reason": reason, "at": None})


def facts(device: str = "box-1", *, labels: Any = None, facts: Any = None) -> Published:
    given = {"arch": "x86_64"} if facts is None else facts
    return _of(device, "facts", {"device": device, "labels": labels or {}, "facts": given, "artifacts": []})


def reported(device: str = "box-1", boot: str = "boot-1", **more: Any) -> Published:
    document = {
        "device": device,
        "boot_id": boot,
        "at": "2026-11-28T12:00:00Z",
        "epoch": None,
        "config_revision": None,
        "config_digest": None,
        "state": "local",
        "code": "",
        "reason": "",
    }
    return _of(device, "reported", document | more)


def health(device: str = "box-1", warnings: Any = (), problems: Any = ()) -> Published:
    calm = {"value": None}
    drift = dict.fromkeys(("scores", "counts", "brightness", "sharpness", "empty"), calm)
    camera = {
        "fps": 30.0,
        "latency_ms": None,
        "frames_seen": 1,
        "frames_dropped": {},
        "reconnects": 0,
        "quality": "ok",
        "drift": {**drift, "warnings": list(warnings)},
    }
    document = {
        "device": device,
        "at": "2026-11-28T12:00:00Z",
        "uptime": 1.0,
        "rss_mb": None,
        "outbox_waiting": 0,
        "outbox_dropped": 0,
        "cameras": {"gate": camera},
        "update_problems": list(problems),
    }
    return _of(device, "health", document)


def counted(device: str = "box-1", camera: str = "gate", seq: int = 1, **more: Any) -> Published:
    line = {"counter_id": "c", "since": "2026-11-28T00:00:00Z", "in": 1, "out": 0, "total_in": 1, "total_out": 0}
    document = {
        "store_id": "s",
        "seq": seq,
        "boot_id": "boot-1",
        "device": device,
        "camera": camera,
        "window": {"start": "2026-11-28T12:00:00Z", "end": "2026-11-28T12:00:10Z"},
        "clock_synced": True,
        "frames_seen": 300,
        "frames_dropped": {},
        "coverage": 1.0,
        "quality": "ok",
        "artifact_digest": None,
        "count": {"last": 1, "mean": 1.0, "min": 0, "max": 2},
        "lines": {"road": line},
    }
    return _of(device, f"camera/{camera}/counts", document | more)


def _of(device: str, channel: str, document: dict[str, Any]) -> Published:
    return f"edgetally/v1/{device}/{channel}", json.dumps(document).encode()
