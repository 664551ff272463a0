"""What goes wrong with cameras in the field, from a real RTSP server: each is survived, and counted by its cause."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from agent.backoff import Backoff
from agent.cameras.capture import Capture, CaptureStatus
from agent.cameras.frame import Frame, Wanted
from agent.cameras.slot import FrameSlot
from agent.cameras.table import open_source
from agent.cameras.video import VideoSource
from contracts.config import CameraConfig
from contracts.model_spec import InputSpec
from tests.data import data_dir
from tests.integration.servers import RtspServer, require_rtsp_server
from tests.unit.agent.cameras.clips import write_clip

DEADLINE = 60.0
SMALL = Wanted(InputSpec(width=64, height=64, resize="letterbox"))


@pytest.fixture(scope="module")
def clip() -> Path:
    require_rtsp_server()
    return data_dir() / "videos" / "intel_car-detection.mp4"


class Watched:
    """A capture whose frames nobody takes, and whose state can be waited for."""

    def __init__(self, url: str) -> None:
        self._changed = threading.Condition()
        self.slot = FrameSlot(keep_all=False, on_ready=self._tell)
        backoff = Backoff(first=0.02, most=0.1)
        camera = CameraConfig(id="gate", source=url)
        self.capture = Capture(camera, SMALL, self.slot, backoff=backoff, on_change=self._tell)

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, holds: Callable[[CaptureStatus], bool]) -> CaptureStatus:
        with self._changed:
            assert self._changed.wait_for(lambda: holds(self.capture.status()), DEADLINE), self.capture.status()
        return self.capture.status()


@contextlib.contextmanager
def watching(url: str) -> Iterator[Watched]:
    watched = Watched(url)
    watched.capture.start()
    try:
        yield watched
    finally:
        assert watched.capture.close(DEADLINE)


@contextlib.contextmanager
def opened(url: str, wanted: Wanted = SMALL) -> Iterator[VideoSource]:
    source = open_source(CameraConfig(id="gate", source=url), wanted, threading.Event())
    assert isinstance(source, VideoSource)
    with contextlib.closing(source):
        yield source


def read(source: VideoSource) -> Frame:
    frame = source.read()
    assert frame is not None
    return frame


def test_a_camera_that_is_absent_at_the_start_is_found_when_it_comes(clip: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    server = RtspServer(clip)
    server.port = port
    with watching(server.url()) as watched:
        lost = watched.wait_for(lambda status: status.state == "lost")
        assert lost.frames == 0
        with server:
            came = watched.wait_for(lambda status: status.frames >= 2)
    assert (came.state, came.problem, came.reconnects) == ("running", None, 0)


def test_who_joins_between_two_key_frames_is_given_whole_pictures_only(clip: Path) -> None:
    wanted = Wanted(InputSpec(width=96, height=96))
    stored = [
        frame.image.astype(int)
        for frame in iter(
            open_source(CameraConfig(id="file", source=str(clip), realtime=False), wanted, threading.Event()).read,
            None,
        )
    ][:120]
    with RtspServer(clip, shared=True) as server, opened(server.url(), wanted) as first:
        for _ in range(8):
            read(first)
        with opened(server.url(), wanted) as second:
            seen = [read(second).image.astype(int) for _ in range(4)]
    for picture in seen:
        assert min(float(np.abs(picture - known).mean()) for known in stored) < 1.0


def test_corrupt_packets_cost_their_frames_and_no_more(clip: Path) -> None:
    broken = "breakmydata probability=0.0002 skip=3000"
    with RtspServer(clip, through=broken) as server, opened(server.url()) as source:
        frames = [read(source) for _ in range(10)]
        while not source.dropped["damaged"]:
            frames.append(read(source))
    numbers = [frame.sequence for frame in frames]
    assert numbers == sorted(set(numbers))
    assert set(source.dropped) == {"damaged"}


def test_a_change_of_size_in_the_stream_gives_a_new_placement(clip: Path, tmp_path: Path) -> None:
    wide = write_clip(tmp_path / "wide.h264", frames=8, width=128, height=64, codec="libx264")
    high = write_clip(tmp_path / "high.h264", frames=8, width=64, height=128, codec="libx264")
    both = tmp_path / "both.h264"
    both.write_bytes(wide.read_bytes() + high.read_bytes())
    with RtspServer(both) as server, opened(server.url()) as source:
        frames = [read(source) for _ in range(14)]
    assert {frame.image.shape for frame in frames} == {(32, 64, 3), (64, 32, 3)}
    assert all(frame.image.shape == (f.height, f.width, 3) for frame in frames for f in [frame.placement])


def test_ten_times_the_frames_leave_the_newest_one_and_a_count_of_the_others(clip: Path, tmp_path: Path) -> None:
    fast = write_clip(tmp_path / "fast.mp4", frames=600, fps=250, codec="libx264")
    with RtspServer(fast) as server, watching(server.url()) as watched:
        watched.wait_for(lambda status: status.frames >= 200)
    status = watched.capture.status()
    newest = watched.slot.take()
    assert newest is not None
    # All that came but the newest were replaced, each counted once. One that came while it was closed was not put.
    assert newest.sequence + 1 in {status.frames, status.frames - 1}
    assert status.dropped["late"] == newest.sequence - status.dropped.get("damaged", 0)
    assert set(status.dropped) <= {"late", "damaged"}


@pytest.mark.skipif(int(av.__version__.partition(".")[0]) < 18, reason="PyAV 17 does not give the stream's clock")
def test_frames_are_stamped_by_the_cameras_own_clock_once_it_was_told(clip: Path) -> None:
    with RtspServer(clip) as server, opened(server.url()) as source:
        steady = 0
        before = read(source)
        while steady < 8:  # until a sender report has come, frames are stamped as they arrive
            frame = read(source)
            step = (frame.wall_time - before.wall_time) - (frame.shown_at - before.shown_at)
            steady = steady + 1 if abs(step) < 1e-3 else 0
            before = frame
        assert abs(before.wall_time - time.time()) < 5.0
        assert abs(before.captured_at - time.monotonic()) < 5.0
