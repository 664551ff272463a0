"""What the machine does to a box: a full or read-only disk, too little memory, an end in the middle of its work."""

from __future__ import annotations

import contextlib
import errno
import resource
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.agents import Agent
from tests.integration.boxes import (
    check,
    check_road,
    health,
    intake_of,
    missing,
    reports,
    road,
    wait_until_stopped,
    watcher,
)
from tests.integration.brokers import Mosquitto, Proxy, Watcher, mosquitto, wait_until
from tests.integration.test_web_cameras import STREAM, WebCamera, part
from tests.unit.agent.cameras.clips import write_picture

__all__ = ["mosquitto", "watcher"]


WITHOUT_MEMORY = ("MemoryError", "can't start new thread", "failed to map segment", "Fatal Python error")


class SmallDisk:
    """A file system of two megabytes of its own; the state directory is on it.

    Args:
        point: where it is mounted.
    """

    def __init__(self, point: Path) -> None:
        self.point = point
        self.state = point / "state"
        point.mkdir()
        _mount(point, "-t", "tmpfs", "-o", "size=2m", "tmpfs")

    def fill(self, agent: Agent) -> None:
        """Write until nothing more fits."""
        del agent
        with (self.point / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
            while True:
                filler.write(bytes(4096))

    def free(self, agent: Agent) -> None:
        """Remove that again."""
        del agent
        (self.point / "filler").unlink()

    def forbid_writing(self) -> None:
        """Mount it read-only, as a card that has errors is."""
        _mount(self.point, "-o", "remount,ro")

    def close(self) -> None:
        """Let go of it."""
        subprocess.run(["umount", "--lazy", str(self.point)], check=True)


class SizeLimit:
    """The system's limit to the size of a file: where nobody may mount, and no disk is filled.

    Args:
        state: the state directory.
    """

    def __init__(self, state: Path) -> None:
        self.state = state

    def fill(self, agent: Agent) -> None:
        """Let no file grow beyond what the log of the database has now."""
        size = (self.state / "edgetally.db-wal").stat().st_size
        assert size > agent.log.stat().st_size + 32_768, "what it logs still has to fit"
        resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def free(self, agent: Agent) -> None:
        """Lift the limit."""
        resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _mount(point: Path, *how: str) -> None:
    try:
        run = subprocess.run(["mount", *how, str(point)], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise PermissionError(errno.EPERM, "no mount(8) here") from error
    if run.returncode:
        raise PermissionError(errno.EPERM, run.stderr.strip())


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk | SizeLimit]:
    """A disk of its own; where this user may not mount one, a limit to the size of files."""
    try:
        small = SmallDisk(tmp_path / "disk")
    except PermissionError:
        yield SizeLimit(tmp_path / "state")
        return
    yield small
    small.close()


def fill_and_free(disk: SmallDisk | SizeLimit, folder: Path, port: int, watcher: Watcher) -> None:
    agent = Agent(folder, road(folder, port, events=True) | {"state_dir": str(disk.state)}, until_end=False)
    with agent:
        watcher.wait_for(lambda: len(reports(watcher)) >= 4)
        disk.fill(agent)
        watcher.wait_for(lambda: health(watcher) and (health(watcher)[-1].windows_held or 0) >= 2)
        held = len(reports(watcher))
        disk.free(agent)
        watcher.wait_for(lambda: len(reports(watcher)) >= held + 3 and health(watcher)[-1].windows_held == 0)
        assert agent.stop() == 0
        wait_until_stopped(watcher)
    log = agent.log.read_text()
    assert log.count("windows wait in memory") == 1, "said once a minute at most, however often it is tried"
    assert "the disk writes again" in log
    assert any(report.late for report in reports(watcher)), "those that the disk refused come late"
    assert missing(check_road(intake_of(watcher))) == []


def test_a_full_disk_costs_nothing_once_there_is_room_again(
    disk: SmallDisk | SizeLimit, tmp_path: Path, mosquitto: Mosquitto, watcher: Watcher
) -> None:
    fill_and_free(disk, tmp_path, mosquitto.port, watcher)


@pytest.mark.slow
def test_a_file_that_may_not_grow_costs_nothing_once_it_may_again(
    tmp_path: Path, mosquitto: Mosquitto, watcher: Watcher
) -> None:
    fill_and_free(SizeLimit(tmp_path / "state"), tmp_path, mosquitto.port, watcher)


def test_a_state_directory_that_became_read_only_is_said_and_nothing_is_counted_that_would_be_lost(
    disk: SmallDisk | SizeLimit, tmp_path: Path
) -> None:
    if isinstance(disk, SizeLimit):
        pytest.skip("this user may not mount anything")
    settings = road(tmp_path, port=1) | {"state_dir": str(disk.state)}
    disk.state.mkdir()
    disk.forbid_writing()
    agent = Agent(tmp_path, settings, until_end=False)
    agent.start()
    assert agent.wait() == 2
    (sentence,) = [line for line in agent.log.read_text().splitlines() if line.startswith("error: ")]
    assert "ead-only" in sentence
    assert str(disk.state) in sentence
    assert "Traceback" not in agent.log.read_text()


def test_an_end_under_load_commits_the_last_window_and_what_the_broker_did_not_take_comes_after_the_next_start(
    tmp_path: Path, mosquitto: Mosquitto, watcher: Watcher
) -> None:
    cameras = ["gate", "yard", "ramp", "dock"]
    proxy = Proxy(mosquitto.port)
    settings = road(tmp_path, proxy.port, cameras=cameras)
    with contextlib.closing(proxy), Agent(tmp_path, settings, until_end=False) as agent:
        watcher.wait_for(lambda: all(reports(watcher, of=name) for name in cameras))
        proxy.freeze()
        assert agent.stop() == 0  # within its patience, however much there is to count and whoever does not answer
        first = reports(watcher)[-1].boot_id
        agent.start()
        watcher.wait_for(lambda: all(reports(watcher, of=name)[-1].boot_id != first for name in cameras))
        assert agent.stop() == 0
        wait_until_stopped(watcher)
    assert missing(check_road(intake_of(watcher))) == []
    of_first = [report for name in cameras for report in reports(watcher, of=name) if report.boot_id == first]
    assert sum(report.late for report in of_first) >= len(cameras), "the last windows came after the next start"


@pytest.mark.slow
def test_a_picture_that_there_is_no_memory_for_costs_its_own_camera_and_no_other(
    tmp_path: Path, mosquitto: Mosquitto, watcher: Watcher
) -> None:
    large = write_picture(tmp_path / "large.jpg", np.zeros((6000, 6000, 3), np.uint8)).read_bytes()
    is_limited = threading.Event()

    def answer(_request: bytes, connection: socket.socket) -> None:
        is_limited.wait()
        connection.sendall(STREAM)
        while True:
            connection.sendall(part(large))

    with contextlib.closing(WebCamera(answer)) as hungry:
        settings = road(tmp_path, mosquitto.port)
        settings["camera"].append({"id": "large", "source": hungry.url()})
        with Agent(tmp_path, settings, until_end=False) as agent:
            watcher.wait_for(lambda: len(reports(watcher)) >= 2)
            pages = int(Path(f"/proc/{agent.pid}/statm").read_text().split()[0])
            limit = pages * resource.getpagesize() + 20_000_000
            resource.prlimit(agent.pid, resource.RLIMIT_AS, (limit, limit))
            is_limited.set()
            agent.wait_for_log("there is no memory for its pictures; lower the camera's resolution")
            seen = len(reports(watcher))
            watcher.wait_for(lambda: len(reports(watcher)) >= seen + 2)
            assert agent.stop() == 0
            wait_until_stopped(watcher)
    assert not any(report.frames_seen for report in reports(watcher, of="large"))
    assert missing(check(intake_of(watcher))) == []
    assert not reports(watcher)[-1].frames_dropped.get("model_error")


@pytest.mark.slow
@pytest.mark.parametrize("what", ["memory", "more-memory", "most-memory"])
def test_without_the_memory_to_start_it_ends_with_a_line_and_leaves_the_store_whole(
    what: str, tmp_path: Path, mosquitto: Mosquitto, watcher: Watcher
) -> None:
    settings = road(tmp_path, mosquitto.port)
    agent = Agent(tmp_path, settings, program=("tests.integration.faulty_agent", what), until_end=False)
    agent.start()
    wait_until(lambda: not agent.is_running or reports(watcher))
    if agent.is_running:  # how much is enough depends on the machine
        assert what != "memory"
        assert agent.stop() == 0
    else:
        assert agent.wait() != 0
        assert any(cause in agent.log.read_text() for cause in WITHOUT_MEMORY)
    with Agent(tmp_path, settings) as whole:
        before = {report.boot_id for report in reports(watcher)}
        watcher.wait_for(lambda: {report.boot_id for report in reports(watcher)} - before)
        assert whole.stop() == 0
        wait_until_stopped(watcher)
    assert missing(check_road(intake_of(watcher))) == []
