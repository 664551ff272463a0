"""A part of a running agent breaks: it goes on and says so, or the agent ends, to be started again; never silently."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.agents import Agent
from tests.integration.boxes import (
    box,
    check,
    check_road,
    intake_of,
    missing,
    reports,
    road,
    wait_until_stopped,
    watcher,
)
from tests.integration.brokers import Mosquitto, Watcher, free_port, mosquitto
from tests.integration.test_web_cameras import STREAM, WebCamera, part
from tests.unit.agent.cameras.clips import write_picture

__all__ = ["mosquitto", "watcher"]

Start = Callable[..., Agent]
SOURCES: dict[str, dict[str, Any]] = {"camera-ends": {"source": "synthetic", "realtime": True}}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Agent] = []

    def begin(what: str, settings: dict[str, Any]) -> Agent:
        agent = Agent(tmp_path, settings, program=("tests.integration.faulty_agent", what), until_end=False)
        started.append(agent)
        agent.start()
        return agent

    yield begin
    for agent in started:
        agent.stop()


def web_camera(folder: Path) -> WebCamera:
    """MJPEG that never ends, as fast as it is read."""
    picture = write_picture(folder / "a.jpg").read_bytes()

    def answer(_request: bytes, connection: Any) -> None:
        connection.sendall(STREAM)
        while True:
            connection.sendall(part(picture))

    return WebCamera(answer)


def quiet(agent: Agent) -> str:
    """Its log, after checking that no secret is in it."""
    log = agent.log.read_text()
    assert "secret" not in log
    return log


def ends_with_a_clear_line(agent: Agent, line: str) -> None:
    assert agent.wait() == 1
    assert line in quiet(agent)


def counts_on(watcher: Watcher, said: Callable[[], object]) -> None:
    """Wait until the fault has come, and then for whole windows after it."""
    watcher.wait_for(said)
    seen = len(reports(watcher))
    watcher.wait_for(lambda: len(reports(watcher)) >= seen + 2 and reports(watcher)[-1].quality == "ok")


def dropped(watcher: Watcher, cause: str, of: str = "gate") -> int:
    return sum(report.frames_dropped.get(cause, 0) for report in reports(watcher, of=of))


def last(watcher: Watcher, camera: str) -> str | None:
    """The quality of a camera's last report."""
    found = reports(watcher, of=camera)
    return found[-1].quality if found else None


@pytest.mark.slow
def test_a_camera_whose_reading_fails_is_opened_again(
    tmp_path: Path, mosquitto: Mosquitto, watcher: Watcher, start: Start
) -> None:
    camera = web_camera(tmp_path)
    agent = start("camera", box(tmp_path, mosquitto.port, [{"id": "gate", "source": camera.url(), "frozen_after": 0}]))
    agent.wait_for_log("camera gate: an unexpected fault")
    counts_on(watcher, lambda: True)
    assert agent.stop() == 0
    camera.close()
    assert quiet(agent).count("camera gate: frames come") == 2
    check(intake_of(watcher))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("view", "could not be looked at"),
        ("lane", "failed on frame"),
        ("counter", "could not be counted"),
    ],
)
def test_frames_on_which_a_lane_fails_are_dropped_and_said_to_be(
    what: str, line: str, tmp_path: Path, mosquitto: Mosquitto, watcher: Watcher, start: Start
) -> None:
    agent = start(what, road(tmp_path, mosquitto.port))
    counts_on(watcher, lambda: dropped(watcher, "model_error") == 5)
    assert agent.stop() == 0
    assert line in quiet(agent)
    assert missing(check(intake_of(watcher))) == []


@pytest.mark.slow
def test_behind_a_lane_that_hangs_a_camera_is_stale_the_others_count_and_the_end_gives_up_its_one_frame(
    tmp_path: Path, mosquitto: Mosquitto, watcher: Watcher, start: Start
) -> None:
    names = ["gate", "yard"]
    settings = road(tmp_path, mosquitto.port, cameras=names) | {"runtime": {"lanes": 2}}
    agent = start("lane-hangs", settings)
    watcher.wait_for(lambda: "stale" in {last(watcher, name) for name in names})
    stuck, free = sorted(names, key=lambda name: last(watcher, name) != "stale")
    seen = len(reports(watcher, of=free))
    watcher.wait_for(lambda: len(reports(watcher, of=free)) >= seen + 3)
    assert last(watcher, free) == "ok"
    assert reports(watcher, of=stuck)[-1].count is None, "what nobody counts is not zero"
    assert agent.stop() == 0
    wait_until_stopped(watcher)
    assert "does not end; it is left behind" in quiet(agent)
    assert missing(check(intake_of(watcher))) == []
    assert dropped(watcher, "model_error", of=stuck) == 1
    assert dropped(watcher, "model_error", of=free) == 0


@pytest.mark.parametrize(
    ("what", "thread"),
    [
        pytest.param("lane-ends", "lane-0"),
        pytest.param("camera-ends", "camera-gate", marks=pytest.mark.slow),
        pytest.param("mqtt-ends", "mqtt", marks=pytest.mark.slow),
        pytest.param("committer", "committer", marks=pytest.mark.slow),
    ],
)
def test_where_a_thread_is_ended_the_agent_ends_and_what_starts_it_again_loses_nothing_committed(
    what: str, thread: str, tmp_path: Path, mosquitto: Mosquitto, watcher: Watcher, start: Start
) -> None:
    settings = road(tmp_path, mosquitto.port, **SOURCES.get(what, {}))
    ends_with_a_clear_line(start(what, settings), f"a fault ended the thread {thread}; the agent ends")
    with Agent(tmp_path, settings) as agent:
        lives = len({report.boot_id for report in reports(watcher)})
        watcher.wait_for(lambda: len({report.boot_id for report in reports(watcher)}) > min(lives, 1))
        assert agent.stop() == 0
    assert missing(check(intake_of(watcher))) == []


@pytest.mark.slow
def test_a_link_that_fails_inside_begins_again_and_loses_nothing(
    tmp_path: Path, mosquitto: Mosquitto, watcher: Watcher, start: Start
) -> None:
    agent = start("mqtt", road(tmp_path, mosquitto.port))
    counts_on(watcher, lambda: len(watcher.payloads("/hello")) == 2)
    assert agent.stop() == 0
    assert "failed inside, and begins again" in quiet(agent)
    wait_until_stopped(watcher)
    assert missing(check_road(intake_of(watcher))) == []


@pytest.mark.slow
def test_a_page_that_breaks_costs_no_count(
    tmp_path: Path, mosquitto: Mosquitto, watcher: Watcher, start: Start
) -> None:
    settings = road(tmp_path, mosquitto.port) | {"page": {"address": f"127.0.0.1:{free_port()}"}}
    agent = start("page", settings)
    agent.wait_for_log("the page broke; counting goes on without it")
    counts_on(watcher, lambda: True)
    assert agent.stop() == 0
    assert missing(check_road(intake_of(watcher))) == []


@pytest.mark.slow
@pytest.mark.slow
def test_told_to_stop_while_cameras_lanes_and_the_disk_hang_it_says_goodbye_in_time(
    tmp_path: Path, mosquitto: Mosquitto, watcher: Watcher, start: Start
) -> None:
    settings = box(tmp_path, mosquitto.port, [{"id": "gate", "source": "synthetic", "realtime": True}])
    agent = start("end-slow", settings)
    watcher.wait_for(lambda: len(reports(watcher)) >= 3)
    assert agent.stop() == 0
    wait_until_stopped(watcher)
    assert "windows; they are lost" in quiet(agent)


def test_an_end_that_never_comes_is_ended_and_says_where_each_thread_was(
    tmp_path: Path, mosquitto: Mosquitto, watcher: Watcher, start: Start
) -> None:
    agent = start("end-never", road(tmp_path, mosquitto.port))
    watcher.wait_for(lambda: len(reports(watcher)) >= 2)
    assert agent.stop() == 1
    wait_until_stopped(watcher)
    log = quiet(agent)
    assert "the agent did not end within 3 s and is ended" in log
    assert "faulty_agent.py" in log
    assert "in breaks" in log
    assert missing(check(intake_of(watcher))) == [], "the last window was on the disk before"


def test_where_the_turning_over_itself_fails_the_agent_ends_with_its_traceback(
    tmp_path: Path, mosquitto: Mosquitto, watcher: Watcher, start: Start
) -> None:
    ends_with_a_clear_line(start("main", road(tmp_path, mosquitto.port)), "close_window")
    check(intake_of(watcher))
