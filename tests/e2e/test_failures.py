"""Brokers and cameras die and come back: nothing is lost, and no zero is made up."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from agent.counting.clock import utc_text
from contracts.messages import CameraState
from tests.data import data_dir
from tests.e2e.agents import Agent, camera, line, reports
from tests.integration.brokers import Mosquitto, Watcher
from tests.integration.servers import RtspServer, require_rtsp_server

OUTAGE = 30.0  # seconds


def test_a_broker_that_is_away_for_30_seconds_costs_no_report(
    tmp_path: Path, bundle: Path, mosquitto: Mosquitto
) -> None:
    clip = data_dir() / "videos/intel_car-detection.mp4"
    settings = {
        "bundle": str(bundle),
        "broker": {"host": "127.0.0.1", "port": mosquitto.port},
        "camera": [camera(clip, loop=True, fps=5, line=[line(0.5)])],
    }
    with Agent(tmp_path, settings):
        with Watcher(mosquitto.port) as before:
            before.wait_for(lambda: len(reports(before)) >= 3)
        mosquitto.kill()
        threading.Event().wait(OUTAGE)
        mosquitto.start()
        back_at = utc_text(time.time())
        with Watcher(mosquitto.port) as after:
            after.wait_for(lambda: any(report.window.start >= back_at for report in reports(after)))
    both = {report.seq: report for report in [*reports(before), *reports(after)]}
    assert sorted(both) == list(range(1, max(both) + 1))
    assert max(both) > OUTAGE  # windows of a second
    starts = [both[seq].window.start for seq in sorted(both)]
    assert starts == sorted(starts)
    assert len({report.store_id for report in both.values()}) == 1


def test_a_camera_that_is_away_is_said_to_be_and_counted_again_when_it_is_back(
    tmp_path: Path, bundle: Path, mosquitto: Mosquitto
) -> None:
    require_rtsp_server()
    clip = data_dir() / "videos/intel_car-detection.mp4"
    with RtspServer(clip) as rtsp, Watcher(mosquitto.port) as watcher:
        settings = {
            "bundle": str(bundle),
            "broker": {"host": "127.0.0.1", "port": mosquitto.port},
            "camera": [camera(rtsp.url(), line=[line(0.5)])],
        }
        with Agent(tmp_path, settings):
            watcher.wait_for(lambda: any(report.frames_seen for report in reports(watcher)))
            rtsp.kill()
            watcher.wait_for(lambda: any(_is_blind(watcher, index) for index in range(len(reports(watcher)))))
            watcher.wait_for(lambda: not _states(watcher)[-1].available)
            seen = len(reports(watcher))
            rtsp.start()
            watcher.wait_for(lambda: any(report.frames_seen for report in reports(watcher)[seen:]))
    blind = [report for report in reports(watcher) if not report.frames_seen]
    assert blind
    assert all(report.count is None and report.coverage == 0 for report in blind)
    assert all(report.quality in {"no_camera", "stale"} for report in blind)
    assert all(state.count is None for state in _states(watcher) if not state.available)


def test_a_clip_that_breaks_ends_the_run_with_what_is_wrong(tmp_path: Path, bundle: Path, mosquitto: Mosquitto) -> None:
    clip = tmp_path / "torn.mp4"
    clip.write_bytes((data_dir() / "videos/udacity_test_video.mp4").read_bytes()[:4096])
    settings = {
        "bundle": str(bundle),
        "broker": {"host": "127.0.0.1", "port": mosquitto.port},
        "camera": [camera(clip)],
    }
    with Agent(tmp_path, settings) as agent:
        assert agent.wait() == 2
    last = agent.log.read_text().strip().splitlines()[-1]
    assert last.startswith("error: camera gate:")


def _is_blind(watcher: Watcher, index: int) -> bool:
    """Whether a report after a counted one has no frame."""
    all_reports = reports(watcher)
    return not all_reports[index].frames_seen and any(report.frames_seen for report in all_reports[:index])


def _states(watcher: Watcher) -> list[CameraState]:
    return [CameraState.model_validate_json(payload) for payload in watcher.payloads("/state")]
