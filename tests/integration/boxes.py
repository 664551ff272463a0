"""A whole agent that counts a known road at a real broker, and what must hold of all that it ever published.

Whatever is done to a box: nothing is lost but what docs/counts.md says, and nothing is zero that was not measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from contracts.health import Health
from contracts.messages import CountReport, CrossingEvent
from tests.integration.brokers import Mosquitto, Watcher
from tests.integration.squares import camera, crossed_after, write_bundle, write_pictures
from tools.billing.bill import Bill, make_bill
from tools.billing.intake import Intake


def road(folder: Path, port: int, *, cameras: Sequence[str] = ("gate",), **of_camera: Any) -> dict[str, Any]:
    """agent.toml of a box whose cameras all see the road, every picture of it, as fast as it can count."""
    pictures = write_pictures(folder / "road")
    return box(folder, port, [camera(pictures, **of_camera) | {"id": name} for name in cameras])


def box(folder: Path, port: int, cameras: Sequence[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """agent.toml of a box whose model finds white squares."""
    return {
        "bundle": str(write_bundle(folder / "bundle")),
        "broker": {"host": "127.0.0.1", "port": port},
        "runtime": {"lanes": 1},
        "camera": list(cameras),
        **more,
    }


def intake_of(*watchers: Watcher) -> Intake:
    """What a consumer has of all that came, also where it listened in turns."""
    intake = Intake()
    for watcher in watchers:
        for message in list(watcher.messages):
            if message.topic.endswith(("/counts", "/events")):
                intake.take(message.payload, message.topic)
    return intake


def reports(*watchers: Watcher, of: str = "gate") -> list[CountReport]:
    """A camera's reports that came, each once, by their number."""
    return [report for report in intake_of(*watchers).of(CountReport) if report.camera == of]


def health(watcher: Watcher) -> list[Health]:
    """What it said of how it runs."""
    return [Health.model_validate_json(payload) for payload in watcher.payloads("box-1/health")]


def wait_until_stopped(watcher: Watcher) -> None:
    """Wait until all that it said before its end has come, for that it says last."""
    watcher.wait_for(lambda: b'"stopped"' in watcher.payloads("/status")[-1])


@pytest.fixture
def watcher(mosquitto: Mosquitto) -> Iterator[Watcher]:
    """Who listens to all of a broker that lets everybody in."""
    with Watcher(mosquitto.port) as watching:
        yield watching


def check(intake: Intake) -> Bill:
    """What holds at every moment, whatever happened and whatever was delivered twice; returns the bill."""
    made = make_bill(intake)
    assert made.problems == []
    assert not intake.refused
    for of_camera in _by_camera(intake):
        for report in of_camera:
            _check_honest(report)
        lines = [report.lines["mid"] for report in of_camera if "mid" in report.lines]
        assert len({line.counter_id for line in lines}) <= 1, "neither a fault nor a restart begins a new counter"
        totals = [(line.total_in, line.total_out) for line in lines]
        assert totals == sorted(totals), "totals never fall"
    return made


def check_road(intake: Intake) -> Bill:
    """The same of a box that counts the road, and that every frame of it was counted; returns the bill."""
    made = check(intake)
    told = Counter((event.boot_id, event.camera, event.direction) for event in intake.of(CrossingEvent))
    for of_camera in _by_camera(intake):
        for life, (ins, outs) in _check_lives(of_camera).items():
            if told:  # the events of a window whose report was not delivered yet may be ahead of it
                assert told[life, of_camera[0].camera, "in"] >= ins
                assert told[life, of_camera[0].camera, "out"] >= outs
    return made


def missing(made: Bill) -> list[tuple[int, int]]:
    """Numbers that never came, of a box that had one store."""
    (store,) = made.stores
    assert store.first == 1
    return list(store.missing)


def _by_camera(intake: Intake) -> list[list[CountReport]]:
    found: dict[str, list[CountReport]] = {}
    for report in intake.of(CountReport):
        found.setdefault(report.camera, []).append(report)
    return list(found.values())


def _check_honest(report: CountReport) -> None:
    """No data is not zero, and no count is without what counted it."""
    if report.frames_seen:
        assert report.count is not None, report
        assert report.artifact_digest is not None, report
        assert report.coverage > 0, report
        return
    assert report.count is None, report
    assert (report.coverage, report.artifact_digest) == (0, None), report
    assert report.quality != "ok", report
    assert all(zone is None for zone in report.zones.values()), report
    assert not any(line.in_ or line.out for line in report.lines.values()), report


def _check_lives(found: Sequence[CountReport]) -> dict[str, tuple[int, int]]:
    """What each life of the agent counted of one camera, which is what its frames showed."""
    for report, (ins, outs) in zip(found, _running(found), strict=True):
        line = report.lines["mid"]
        assert (line.total_in, line.total_out) == (ins, outs), "each total is the sum of the windows so far"
    frames: Counter[str] = Counter()
    crossed: dict[str, tuple[int, int]] = {}
    for report in found:  # every life begins the road anew, so what it counted is known by its frames
        frames[report.boot_id] += report.frames_seen
        before = crossed.get(report.boot_id, (0, 0))
        crossed[report.boot_id] = (before[0] + report.lines["mid"].in_, before[1] + report.lines["mid"].out)
        assert crossed[report.boot_id] == crossed_after(frames[report.boot_id]), report
        assert not any(count for cause, count in report.frames_dropped.items() if cause != "late"), report
    return crossed


def _running(found: Sequence[CountReport]) -> Iterator[tuple[int, int]]:
    ins = outs = 0
    for report in found:
        ins, outs = ins + report.lines["mid"].in_, outs + report.lines["mid"].out
        yield ins, outs
