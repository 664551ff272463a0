"""What boxes say, as bytes: plain dictionaries, for ten thousand boxes in a process have no time for models.

A test holds each against the model of the contracts that it is of.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from agent.update.rules import Attempt

CAMERA, LINE = "gate", "road"
_VERSION = "1.0.0"
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class Identity(NamedTuple):
    """A box, and the boot that it is in."""

    device: str
    boot_id: str


class Applied(NamedTuple):
    """What runs of the newest document: its epoch and revisions, and the digest of its configuration."""

    epoch: int | None = None
    config_revision: int | None = None
    config_digest: str | None = None
    model_revision: int | None = None


class Runs(NamedTuple):
    """What a slot runs."""

    artifact: str
    name: str
    version: str
    manifest: str


def status(box: Identity, value: str, at_ms: int | None, reason: str = "") -> bytes:
    """A `contracts.messages.Status`; a will has no time."""
    at = None if at_ms is None else time_text(at_ms)
    return _bytes({"status": value, "boot_id": box.boot_id, "reason": reason, "at": at})


def hello(box: Identity, applied: Applied, models: Mapping[str, Runs]) -> bytes:
    """A `contracts.messages.Hello`."""
    return _bytes(
        {
            "device": box.device,
            "boot_id": box.boot_id,
            "version": _VERSION,
            "epoch": applied.epoch,
            "config_revision": applied.config_revision,
            "model_revision": applied.model_revision,
            "models": {slot: runs.artifact for slot, runs in models.items()},
        }
    )


def facts(device: str, known: Mapping[str, object], labels: Mapping[str, str]) -> bytes:
    """A `contracts.messages.FactsMessage`."""
    return _bytes({"device": device, "labels": labels, "facts": known, "artifacts": []})


def reported(
    box: Identity,
    seq: int,
    at_ms: int,
    applied: Applied,
    models: Mapping[str, Runs],
    refused: Mapping[str, object] | None,
    attempt: Attempt | None,
) -> bytes:
    """A `contracts.desired.Reported`.

    Args:
        box: who says it.
        seq: of it.
        at_ms: when.
        applied: what runs of the newest document.
        models: slot to what it runs.
        refused: the newest document that was not taken.
        attempt: the newest.
    """
    return _bytes(
        {
            "device": box.device,
            "boot_id": box.boot_id,
            "seq": seq,
            "at": time_text(at_ms),
            **applied._asdict(),
            "models": {slot: _running(runs) for slot, runs in models.items()},
            "state": "local" if applied.epoch is None else "ok",
            "code": "",
            "reason": "",
            "errors": [],
            "errors_left_out": 0,
            "refused": refused,
            "page": {},
            "update": None if attempt is None else _update(attempt),
        }
    )


def health(device: str, at_ms: int, uptime: float, artifact: str | None, frames: int) -> bytes:
    """A `contracts.health.Health` of a box with one camera and without sensors; what is not told has its default."""
    latency = {"n": 500, "p50": 14.2, "p90": 18.9, "p95": 20.4, "p99": 27.5}
    camera = {
        "fps": 30.0,
        "latency_ms": latency,
        "frames_seen": frames,
        "frames_dropped": {},
        "reconnects": 0,
        "quality": "ok",
        "problem": None,
        "drift": None,
    }
    return _bytes(
        {
            "device": device,
            "at": time_text(at_ms),
            "uptime": uptime,
            "rss_mb": 212.5,
            "outbox_waiting": 0,
            "outbox_dropped": 0,
            "broker": {"connected": True, "problem": None, "protocol": "3.1.1", "messages_refused": {}},
            "requests_refused": 0,
            "cameras": {CAMERA: camera},
            "models": {"main": {"artifact": artifact, "building": None}},
        }
    )


def counts(box: Identity, seq: int, window_ms: tuple[int, int], crossed: int, total: int, artifact: str) -> bytes:
    """A `contracts.messages.CountReport` of one camera with one line, all of whose frames were counted."""
    begin, end = (time_text(at_ms) for at_ms in window_ms)
    line = {
        "counter_id": "1",
        "since": "2026-01-01T00:00:00Z",
        "in": crossed,
        "out": 0,
        "by_label": {"car": {"in": crossed, "out": 0}},
        "total_in": total,
        "total_out": 0,
        "total_by_label": {"car": {"in": total, "out": 0}},
    }
    return _bytes(
        {
            "store_id": f"{box.device[:60]}-1",
            "seq": seq,
            "boot_id": box.boot_id,
            "device": box.device,
            "camera": CAMERA,
            "window": {"start": begin, "end": end},
            "clock_synced": True,
            "late": False,
            "frames_seen": 30 * (window_ms[1] - window_ms[0]) // 1000,
            "frames_dropped": {},
            "coverage": 1.0,
            "quality": "ok",
            "artifact_digest": artifact,
            "earlier_digests": [],
            "count": {"last": 1.0, "mean": 1.2, "min": 0.0, "max": 4.0},
            "zones": {},
            "lines": {LINE: line},
            "states": {},
            "scale": None,
        }
    )


def time_text(at_ms: int) -> str:
    """UTC in ISO 8601 with ``Z``."""
    return f"{_second_text(at_ms // 1000)}.{at_ms % 1000:03}Z"


@lru_cache(maxsize=1024)
def _second_text(at: int) -> str:
    return f"{dt.datetime.fromtimestamp(at, dt.timezone.utc):%Y-%m-%dT%H:%M:%S}"


def _running(runs: Runs) -> dict[str, object]:
    return {
        "artifact_digest": runs.artifact,
        "loaded_digest": runs.artifact,
        "name": runs.name,
        "version": runs.version,
        "manifest": runs.manifest,
    }


def _update(attempt: Attempt) -> dict[str, object]:
    """What `agent.update.rules.Attempt.report` makes."""
    wish = attempt.wish
    models = {
        slot: {"name": one.name, "version": one.version, "manifest": one.manifest} for slot, one in wish.models.items()
    }
    return {
        "attempt": attempt.number,
        "epoch": wish.epoch,
        "model_revision": wish.model_revision,
        "state": attempt.state,
        "code": attempt.code,
        "reason": attempt.reason,
        "models": models,
        "progress": None,
        "starts": attempt.starts,
    }


def _bytes(document: Mapping[str, object]) -> bytes:
    return _encode(document).encode()
