"""Cameras against a real RTSP server: pictures, losses, returns, passwords."""

from __future__ import annotations

import base64
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from agent.backoff import Backoff
from agent.cameras import table, video
from agent.cameras.capture import Capture, CaptureStatus
from agent.cameras.frame import Frame, Wanted
from agent.cameras.slot import FrameSlot
from agent.cameras.table import open_source
from contracts.config import CameraConfig
from contracts.errors import CameraError
from contracts.model_spec import InputSpec
from tests.data import data_dir
from tests.integration.servers import RtspServer, require_rtsp_server
from tests.unit.agent.cameras.clips import LEFT, close_to, write_picture

DEADLINE = 60.0  # seconds; generous, for a machine that does other things as well
WANTED = Wanted(InputSpec(width=384, height=384))


@pytest.fixture(scope="module")
def clip() -> Path:
    require_rtsp_server()
    return data_dir() / "videos" / "intel_car-detection.mp4"


@pytest.fixture
def server(clip: Path) -> Iterator[RtspServer]:
    with RtspServer(clip) as server:
        yield server


def frames(source: str, count: int, **options: object) -> list[Frame]:
    camera = CameraConfig.model_validate({"id": "gate", "source": source, **options})
    opened = open_source(camera, WANTED, threading.Event())
    try:
        read = [opened.read() for _ in range(count)]
    finally:
        opened.close()
    return [frame for frame in read if frame is not None]


class Watched:
    """A capture whose changes of state can be waited for."""

    def __init__(self, camera: CameraConfig) -> None:
        self._changed = threading.Condition()
        self.slot = FrameSlot(keep_all=False, on_ready=self._tell)
        backoff = Backoff(first=0.05, most=0.2)
        self.capture = Capture(camera, WANTED, self.slot, backoff=backoff, on_change=self._tell)

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, holds: Callable[[CaptureStatus], bool]) -> CaptureStatus:
        with self._changed:
            met = self._changed.wait_for(lambda: holds(self.capture.status()), DEADLINE)
        assert met, self.capture.status()
        return self.capture.status()


@pytest.fixture
def watch() -> Iterator[Callable[[CameraConfig], Watched]]:
    started: list[Watched] = []

    def start(camera: CameraConfig) -> Watched:
        watched = Watched(camera)
        started.append(watched)
        watched.capture.start()
        return watched

    yield start
    for watched in started:
        assert watched.capture.close(DEADLINE)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_frames_over_rtsp_are_those_of_the_file(server: RtspServer, clip: Path, transport: str) -> None:
    streamed = frames(server.url(), 10, transport=transport)
    stored = frames(str(clip), 30, realtime=False)
    assert [frame.image.shape for frame in streamed] == [(384, 384, 3)] * 10
    # Which frame of the clip a client gets first is the server's choice; that they then follow each other is not.
    differences = [float(np.abs(streamed[0].image.astype(int) - frame.image).mean()) for frame in stored[:20]]
    first = int(np.argmin(differences))
    for ours, theirs in zip(streamed, stored[first:], strict=False):
        assert np.abs(ours.image.astype(int) - theirs.image).mean() < 1.0


def test_a_camera_that_died_comes_back(server: RtspServer, watch: Callable[[CameraConfig], Watched]) -> None:
    watched = watch(CameraConfig(id="gate", source=server.url()))
    before = watched.wait_for(lambda status: status.frames >= 3)
    assert (before.state, before.problem, before.reconnects) == ("running", None, 0)
    server.kill()
    lost = watched.wait_for(lambda status: status.state == "lost" and "refused" in (status.problem or ""))
    assert lost.problem is not None
    assert lost.problem.startswith(f"camera gate: rtsp://127.0.0.1:{server.port}: the connection was refused")
    server.start()
    again = watched.wait_for(lambda status: status.state == "running" and status.frames > lost.frames)
    assert (again.problem, again.reconnects) == (None, 1)


def test_a_camera_that_froze_is_lost(server: RtspServer, watch: Callable[[CameraConfig], Watched]) -> None:
    watched = watch(CameraConfig(id="gate", source=server.url(), stale_after=1.0))
    watched.wait_for(lambda status: status.frames >= 3)
    server.send_signal(signal.SIGSTOP)
    lost = watched.wait_for(lambda status: status.state == "lost")
    assert "no answer in time" in (lost.problem or "")
    server.send_signal(signal.SIGCONT)
    assert watched.wait_for(lambda status: status.state == "running").reconnects == 1


def test_a_wrong_password_is_named_but_not_shown(clip: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with RtspServer(clip, user="viewer", password="right") as server:
        with pytest.raises(CameraError, match="401") as caught:
            frames(server.url("viewer:s3cret"), 1)
        assert len(frames(server.url("viewer:right"), 2)) == 2
    assert "s3cret" not in str(caught.value) + caplog.text
    assert "right" not in caplog.text


class MjpegCamera(BaseHTTPRequestHandler):
    """A camera of the simplest kind: one JPEG after the other over HTTP, for who knows the password."""

    PASSWORD = base64.b64encode(b"viewer:right").decode()

    def do_GET(self) -> None:
        if self.headers.get("Authorization") != f"Basic {self.PASSWORD}":
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        picture = self.server.picture  # type: ignore[attr-defined]
        part = b"--next\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(picture)
        with contextlib.suppress(OSError):  # the viewer went away
            for _ in range(50):
                self.wfile.write(part + picture + b"\r\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass


@pytest.fixture
def mjpeg(tmp_path: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), MjpegCamera)
    server.picture = write_picture(tmp_path / "a.jpg").read_bytes()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}/live"
    server.shutdown()
    server.server_close()
    thread.join(DEADLINE)


def test_mjpeg_over_http(mjpeg: str) -> None:
    read = frames(f"http://viewer:right@{mjpeg}", 20)
    assert [frame.sequence for frame in read] == list(range(20))
    assert close_to(read[0].image[100, 50], LEFT)
    with pytest.raises(CameraError, match="the connection broke off"):
        frames(f"http://viewer:right@{mjpeg}", 60)
    with pytest.raises(CameraError, match="401") as caught:
        frames(f"http://viewer:s3cret@{mjpeg}", 1)
    assert "s3cret" not in str(caught.value)


def test_a_server_that_accepts_and_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (table, video):
        monkeypatch.setattr(module, "OPEN_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        for scheme in ("rtsp", "http"):
            with pytest.raises(CameraError, match=f"{scheme}://{address}: it gave"):
                frames(f"{scheme}://{address}/x", 1)


def test_one_dead_camera_stops_no_other(server: RtspServer, watch: Callable[[CameraConfig], Watched]) -> None:
    dead = watch(CameraConfig(id="dead", source="rtsp://user:s3cret@127.0.0.1:1/x"))
    alive = watch(CameraConfig(id="alive", source=server.url()))
    assert alive.wait_for(lambda status: status.frames >= 5).state == "running"
    lost = dead.wait_for(lambda status: status.state == "lost")
    assert lost.frames == 0
    assert "s3cret" not in (lost.problem or "")


def test_closing_interrupts_the_wait_for_the_next_try(watch: Callable[[CameraConfig], Watched]) -> None:
    dead = watch(CameraConfig(id="dead", source="rtsp://127.0.0.1:1/x"))
    dead.wait_for(lambda status: status.state == "lost")
    assert dead.capture.close(DEADLINE)
