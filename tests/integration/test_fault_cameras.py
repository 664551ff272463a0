"""What goes wrong with cameras, as the whole agent tells it: who cannot be seen has no count, and stops nobody else."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from agent.backoff import Backoff
from agent.cameras.capture import Capture
from agent.cameras.frame import Source, Wanted
from agent.cameras.slot import FrameSlot
from agent.cameras.table import open_source
from agent.host import resident_mb
from contracts.config import CameraConfig
from contracts.messages import CountReport
from contracts.model_spec import InputSpec
from tests.data import data_dir
from tests.e2e.agents import Agent
from tests.integration.boxes import box, check, intake_of, missing, reports, wait_until_stopped
from tests.integration.brokers import PATIENCE, Mosquitto, Watcher, free_port, mosquitto
from tests.integration.servers import RtspServer, require_rtsp_server
from tests.integration.squares import SIDE, picture

__all__ = ["mosquitto"]

OK, GONE = {"ok"}, {"stale", "no_camera"}
SECONDS = 60  # that a clip lasts: longer than the test


def write_square(path: Path, fps: int, *, seconds: int = SECONDS, sizes: Sequence[int] = (SIDE,)) -> Path:
    """One square that stands still, for so long in each size, with a key frame every two seconds."""
    parts = []
    for number, side in enumerate(sizes):
        part = path.with_name(f"{number}-{path.name}")
        with av.open(str(part), "w") as container:
            stream = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "tune": "zerolatency"})
            assert isinstance(stream, VideoStream)
            stream.width, stream.height, stream.pix_fmt = side, side, "yuv420p"
            stream.codec_context.gop_size, stream.codec_context.bit_rate = 2 * fps, 4_000_000
            image = np.repeat(np.repeat(picture((26, 26)), side // SIDE, axis=0), side // SIDE, axis=1)
            shown = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "bgr24").reformat(format="yuv420p")
            for shown.pts in range(seconds * fps):
                shown.time_base = Fraction(1, fps)
                container.mux(stream.encode(shown))
            container.mux(stream.encode(None))
        parts.append(part.read_bytes())
    path.write_bytes(b"".join(parts))
    return path


def camera(name: str, source: str, **more: Any) -> dict[str, Any]:
    """A camera that looks at the square; one that stands still is meant to, here."""
    return {"id": name, "source": source, "score": 0.2, "frozen_after": 0, "stale_after": 1.0} | more


class Scene:
    """An agent with several cameras, and the servers that are the cameras."""

    def __init__(self, folder: Path, broker: Mosquitto, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        square = write_square(folder / "square.h264", 25)
        fast = write_square(folder / "fast.h264", 100)
        sizes = write_square(folder / "sizes.h264", 25, seconds=1, sizes=[SIDE, 2 * SIDE] * 20)
        self.gate = self._serve(RtspServer(square))
        self.late = RtspServer(square, shared=True)
        self.late.port = free_port()
        torn = RtspServer(
            data_dir() / "videos/intel_car-detection.mp4", through="breakmydata probability=0.0002 skip=3000"
        )
        cameras = [
            camera("gate", self.gate.url()),
            camera("late", self.late.url()),
            camera("sizes", self._serve(RtspServer(sizes)).url()),
            camera("fast", self._serve(RtspServer(fast)).url(), fps=10),
            camera("torn", self._serve(torn).url()),
            camera("black", "synthetic:fault=black,fault_from=2,fault_for=4"),
            camera("frozen", "synthetic:fault=frozen,fault_from=2,fault_for=5", frozen_after=1),
        ]
        self.watcher = stack.enter_context(Watcher(broker.port))
        self.agent = Agent(folder, box(folder, broker.port, cameras), until_end=False)
        stack.enter_context(self.agent)

    def _serve(self, server: RtspServer) -> RtspServer:
        return self._stack.enter_context(server)

    def of(self, name: str, since: int = 0) -> list[CountReport]:
        return reports(self.watcher, of=name)[since:]

    def wait(self, name: str, qualities: set[str], since: int = 0) -> int:
        """Wait for a window of such a quality; returns how many reports of the camera there were then."""
        self.watcher.wait_for(lambda: any(report.quality in qualities for report in self.of(name, since)))
        return len(self.of(name))

    def switch_late_on(self) -> None:
        """Somebody else looks first, so that the agent comes between two key frames."""
        self.late.start()
        self._stack.callback(self.late.kill)
        config = CameraConfig(id="first", source=self.late.url())
        first = open_source(config, Wanted(InputSpec(width=SIDE, height=SIDE)), threading.Event())
        self._stack.callback(first.close)
        assert first.read() is not None


@pytest.fixture
def scene(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[Scene]:
    require_rtsp_server()
    with contextlib.ExitStack() as stack:
        yield Scene(tmp_path, mosquitto, stack)


def test_every_camera_says_what_is_wrong_with_it_and_none_stops_another(scene: Scene) -> None:
    seen = scene.wait("gate", OK)
    scene.wait("late", {"no_camera"})
    assert {report.quality for report in scene.of("late")} == {"no_camera"}, "who is absent holds up nobody"
    scene.gate.send_signal(signal.SIGSTOP)
    seen = scene.wait("gate", GONE, seen)
    scene.gate.send_signal(signal.SIGCONT)
    seen = scene.wait("gate", OK, seen)
    scene.switch_late_on()
    scene.gate.kill()
    seen = scene.wait("gate", GONE, seen)
    scene.gate.start()
    scene.wait("gate", OK, seen)
    scene.wait("late", OK)
    for name, bad in {"black": "obscured", "frozen": "stale"}.items():
        scene.wait(name, OK, scene.wait(name, {bad}))
    scene.watcher.wait_for(lambda: dropped(scene.of("torn"), "damaged"))
    assert scene.agent.stop() == 0
    wait_until_stopped(scene.watcher)
    assert missing(check(intake_of(scene.watcher))) == []
    for name in ("gate", "late", "fast"):  # whole pictures only, and never what a camera that is away showed
        levels = [report.count for report in scene.of(name) if report.count is not None]
        assert {(level.min, level.max) for level in levels} == {(1.0, 1.0)}, name
    sizes, fast = scene.of("sizes"), scene.of("fast")
    assert dropped(sizes, "model_error") == 0
    assert sum(report.quality == "ok" for report in sizes) > 4, "another size each second"
    assert dropped(fast, "rate") > 5 * sum(report.frames_seen for report in fast) > 0
    assert dropped(scene.of("black"), "black") > 0
    assert dropped(scene.of("frozen"), "frozen") > 0
    log = scene.agent.log.read_text()
    assert "camera late: " in log
    assert log.count("camera gate: frames come") >= 2


class Reopened:
    """A camera that is opened again and again, as fast as it can be, and what that does to the memory.

    Args:
        url: of the camera.
    """

    def __init__(self, url: str) -> None:
        self._opened = 0
        self._changed = threading.Condition()
        self._slot = FrameSlot(keep_all=False, on_ready=lambda: None)
        self._capture = Capture(
            CameraConfig(id="gate", source=url), Wanted(InputSpec(width=SIDE, height=SIDE)), self._slot,
            opener=self._open, backoff=Backoff(first=0.001, most=0.001),
        )  # fmt: skip

    def growth(self, before: int, after: int) -> float:
        """MB of resident memory that it grew by from one number of openings to the other."""
        self._capture.start()
        sizes = [self._size_at(number) for number in (before, after)]
        assert self._capture.close()
        return sizes[1] - sizes[0]

    def _open(self, camera: CameraConfig, wanted: Wanted, stop: threading.Event) -> Source:
        with self._changed:
            self._opened += 1
            self._changed.notify_all()
        return open_source(camera, wanted, stop)

    def _size_at(self, number: int) -> float:
        with self._changed:
            assert self._changed.wait_for(lambda: self._opened >= number, 10 * PATIENCE), self._opened
        return resident_mb() or 0.0


def test_a_camera_that_is_never_there_takes_no_memory() -> None:
    assert Reopened(f"rtsp://127.0.0.1:{free_port()}/stream").growth(50, 400) < 4.0


@pytest.mark.slow
def test_a_camera_that_comes_and_goes_takes_no_memory(tmp_path: Path) -> None:
    require_rtsp_server()
    with RtspServer(write_square(tmp_path / "short.h264", 25, seconds=1)) as server:
        assert Reopened(server.url()).growth(20, 80) < 4.0


def dropped(found: Sequence[CountReport], cause: str) -> int:
    """How many frames were left out."""
    return sum(report.frames_dropped.get(cause, 0) for report in found)
