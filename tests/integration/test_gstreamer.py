"""Pipelines in a real gst-launch-1.0: pictures, ends, stalls, and that nothing is left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from agent.backoff import Backoff
from agent.cameras import gstreamer
from agent.cameras.capture import Capture, CaptureStatus
from agent.cameras.frame import Frame, Wanted
from agent.cameras.gstreamer import GstSource
from agent.cameras.slot import FrameSlot
from agent.cameras.table import open_source
from contracts.config import CameraConfig
from contracts.errors import CameraError, WrittenError
from contracts.model_spec import InputSpec
from runtime.pictures import clip_frames
from tests.data import data_dir

DEADLINE = 30.0
ODD = Wanted(InputSpec(width=101, height=51))  # rows that GStreamer pads
LETTERBOX = Wanted(InputSpec(width=64, height=64, resize="letterbox"))


@pytest.fixture(autouse=True)
def gstreamer_is_here() -> None:
    if shutil.which("gst-launch-1.0") is None:
        reason = "no gst-launch-1.0 here; run: apt-get install --no-install-recommends gstreamer1.0-tools"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


def camera(source: str, **options: object) -> CameraConfig:
    return CameraConfig.model_validate({"id": "gate", "source": source, **options})


def frames(source: str, count: int, wanted: Wanted = ODD, **options: object) -> tuple[list[Frame], GstSource]:
    opened = open_source(camera(source, **options), wanted, threading.Event())
    assert isinstance(opened, GstSource)
    try:
        read = [opened.read() for _ in range(count)]
    finally:
        opened.close()
        opened.close()
    assert opened._process.poll() is not None
    return [frame for frame in read if frame is not None], opened


def test_pictures_come_in_the_models_size_and_colours() -> None:
    read, _ = frames("gst:videotestsrc is-live=true pattern=red ! video/x-raw,width=640,height=480", 3)
    assert [frame.sequence for frame in read] == [0, 1, 2]
    for frame in read:
        assert frame.image.shape == (51, 101, 3)
        assert np.abs(frame.image.astype(int) - (0, 0, 255)).max() <= 4
    assert read[0].captured_at < read[1].captured_at < read[2].captured_at


def test_a_letterbox_takes_its_shape_from_the_size_that_is_written() -> None:
    read, _ = frames("gst:videotestsrc is-live=true", 1, LETTERBOX, size=[1280, 720])
    assert (read[0].image.shape, read[0].placement.top) == ((36, 64, 3), 14)
    with pytest.raises(WrittenError, match=r"give 'size', as size = \[1920, 1080\]"):
        frames("gst:videotestsrc is-live=true", 1, LETTERBOX)


def test_a_pipeline_is_told_the_size_so_that_hardware_can_scale() -> None:
    scaled = "video/x-raw,format=BGR,width={width},height={height}"
    read, _ = frames(f"gst:videotestsrc is-live=true pattern=blue ! {scaled}", 1)
    assert read[0].image.shape == (51, 101, 3)


def test_frames_of_a_file_are_those_that_ffmpeg_gives() -> None:
    clip = data_dir() / "videos" / "intel_car-detection.mp4"
    if subprocess.run(["gst-inspect-1.0", "avdec_h264"], capture_output=True, check=False).returncode:
        pytest.skip("no H.264 decoder of GStreamer here; run: apt-get install gstreamer1.0-libav")
    wanted = Wanted(InputSpec(width=192, height=192))
    read, _ = frames(f"gst:filesrc location='{clip}' ! qtdemux ! h264parse ! avdec_h264", 3, wanted)
    (ours, _placement), *_ = list(clip_frames(clip, 377, wanted.spec))[:1]
    assert np.abs(read[0].image.astype(int) - ours).mean() < 2.0


def test_what_is_above_the_cameras_rate_is_left_out_and_counted() -> None:
    read, source = frames("gst:videotestsrc is-live=true ! video/x-raw,framerate=50/1", 3, fps=10)
    assert source.dropped["rate"] >= 6
    assert read[1].sequence - read[0].sequence >= 3


@pytest.mark.parametrize(
    ("pipeline", "said"),
    [
        ("nosuchelement", 'gst:nosuchelement: the pipeline ended: no element "nosuchelement"; run it'),
        ("videotestsrc foo=3", 'no property "foo" in element "videotestsrc"'),
        ("audiotestsrc", "could not link audiotestsrc0"),
        ("v4l2src device=/dev/video97", "Cannot identify device '/dev/video97' (system error: No such file"),
        ("filesrc location=/nowhere.mp4 ! decodebin", 'Resource not found (No such file "/nowhere.mp4")'),
        ("videotestsrc num-buffers=2", "gst:videotestsrc: the pipeline ended; run it"),
    ],
)
def test_a_pipeline_that_ends_says_why(pipeline: str, said: str) -> None:
    with pytest.raises(CameraError) as caught:
        frames(f"gst:{pipeline}", 5)
    assert said in str(caught.value)


def launcher(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gst-launch-1.0 that does what no pipeline is sure to do; it is told the pipe's number last but one."""
    program = folder / "gst-launch-1.0"
    program.write_text(f"#!{sys.executable}\nimport os, sys, time\nfd = int(sys.argv[-2][3:])\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_frames_of_another_size_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launcher(tmp_path, "os.write(fd, bytes(100 * 50 * 3))", monkeypatch)
    with pytest.raises(CameraError, match="ended within a frame: it is not of 101x51 BGR"):
        frames("gst:videotestsrc", 1)


def test_a_flood_of_words_takes_no_memory_and_the_last_line_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "os.write(2, b'x' * 10_000_000 + b'\\n' * 1000 + b'too hot\\n')"
    launcher(tmp_path, script, monkeypatch)
    with pytest.raises(CameraError, match="the pipeline ended: too hot; run it"):
        frames("gst:videotestsrc", 1)


def test_the_agents_secrets_are_not_handed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGETALLY_BROKER__PASSWORD", "s3cret")
    launcher(
        tmp_path, "os.write(2, repr(sorted(n for n in os.environ if 'TALLY' in n)).encode() + b'\\n')", monkeypatch
    )
    with pytest.raises(CameraError, match=r"the pipeline ended: \[\]"):
        frames("gst:videotestsrc", 1)


def test_a_pipeline_that_takes_no_hint_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gstreamer, "_LAST_WORDS", 0.2)
    deaf = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); os.write(fd, bytes(304 * 51)); time.sleep(600)"
    launcher(tmp_path, deaf, monkeypatch)
    read, source = frames("gst:videotestsrc", 1)
    assert len(read) == 1
    assert source._process.returncode == -signal.SIGKILL


def test_without_gstreamer_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(CameraError, match=r"gst-launch-1\.0 is not installed; install it"):
        frames("gst:videotestsrc", 1)


def test_a_stop_ends_the_wait_for_a_frame() -> None:
    stop = threading.Event()
    source = open_source(camera("gst:videotestsrc num-buffers=1 ! identity sleep-time=60000000"), ODD, stop)
    threading.Timer(0.05, stop.set).start()
    assert source.read() is None
    source.close()


class Watched:
    """A capture on a pipeline, whose states can be waited for."""

    def __init__(self, config: CameraConfig) -> None:
        self._changed = threading.Condition()
        self.sources: list[GstSource] = []
        slot = FrameSlot(keep_all=False, on_ready=self._tell)
        backoff = Backoff(first=0.02, most=0.1)
        self.capture = Capture(config, ODD, slot, opener=self._open, backoff=backoff, on_change=self._tell)

    def _open(self, config: CameraConfig, wanted: Wanted, stop: threading.Event) -> GstSource:
        self.sources.append(GstSource(config, wanted, stop))
        return self.sources[-1]

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, holds: Callable[[CaptureStatus], bool]) -> CaptureStatus:
        with self._changed:
            assert self._changed.wait_for(lambda: holds(self.capture.status()), DEADLINE), self.capture.status()
        return self.capture.status()


def test_a_pipeline_that_died_or_froze_is_started_again() -> None:
    watched = Watched(camera("gst:videotestsrc is-live=true", stale_after=1.0))
    watched.capture.start()
    try:
        watched.wait_for(lambda status: status.frames >= 3)
        watched.sources[0]._process.kill()
        watched.wait_for(lambda status: status.reconnects == 1)
        watched.sources[-1]._process.send_signal(signal.SIGSTOP)
        lost = watched.wait_for(lambda status: status.state == "lost" and "no frame for 1 s" in (status.problem or ""))
        assert lost.problem is not None
        assert lost.problem.startswith("camera gate: gst:videotestsrc: the pipeline gave no frame for 1 s")
        assert watched.wait_for(lambda status: status.reconnects == 2).problem is None
    finally:
        assert watched.capture.close(DEADLINE)
    assert all(source._process.poll() is not None for source in watched.sources)


_AGENT = """
import sys, threading
from agent.cameras.frame import Wanted
from agent.cameras.gstreamer import GstSource
from contracts.config import CameraConfig
from contracts.model_spec import InputSpec
source = GstSource(CameraConfig(id="gate", source="gst:" + sys.argv[1]), Wanted(InputSpec(width=64, height=64)),
                   threading.Event())
print(source._process.pid, flush=True)
threading.Event().wait()
"""


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="no setpriv (util-linux 2.33) here")
def test_a_pipeline_dies_with_the_agent_even_where_it_gives_no_frames() -> None:
    silent = "videotestsrc is-live=true ! identity sleep-time=600000000"
    with subprocess.Popen([sys.executable, "-c", _AGENT, silent], stdout=subprocess.PIPE, text=True) as agent:
        assert agent.stdout is not None
        pipeline = int(agent.stdout.readline())
        os.kill(pipeline, 0)
        agent.kill()
    deadline = time.monotonic() + DEADLINE
    while _is_alive(pipeline):
        assert time.monotonic() < deadline, "the pipeline outlived the agent"
        os.sched_yield()


def _is_alive(process: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False
