"""A GStreamer pipeline as a camera: ``gst:PIPELINE``, and ``csi:N`` for the cameras on a Jetson's own connectors.

The pipeline runs in ``gst-launch-1.0``, a process of its own, which hands over raw pictures of the model's size through
a pipe. So the hardware of any maker decodes and scales with the elements that the maker ships, a crash in them costs
no count, and no Python binding is needed.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence

import numpy as np

from agent.cameras.frame import Frame, Wanted
from contracts.addresses import redacted, shown
from contracts.config import CameraConfig
from contracts.errors import CameraError, WrittenError
from runtime.prepare import Placement
from runtime.results import Picture

PIPELINE = "gst:"
CSI = "csi:"

FIRST_FRAME_SECONDS = 10.0
"""Longest wait for the first frame: a sensor's driver takes 2 to 4 s, an RTSP jitter buffer up to 2 s."""

_SLICE = 0.25  # seconds between two looks at the stop event
_LAST_WORDS = 2.0  # seconds to end by itself: a sensor's driver that is killed may want a restart of its own
_KEPT_LINES = 60
_LONGEST_LINE = 500
_CSI_SIZE = (1920, 1080)
_CSI_RATE = 30.0
_SECRET_NAMES = frozenset(
    {"password", "passwd", "passphrase", "pass", "pwd", "pw", "secret", "token", "key", "apikey", "cookie", "cookies"}
    | {"authorization", "auth", "credentials", "headers", "sig", "signature"}
)
_ASSIGNMENTS = re.compile(r"([A-Za-z0-9_-]+)\s*=")
_ERROR = re.compile(
    r"^(?:ERROR: from element (?:/\S*:)?(?P<element>[^\s:]+)|WARNING: erroneous pipeline): (?P<said>.*)$"
)


def parse_pipeline(camera: CameraConfig) -> tuple[str, ...]:
    """The arguments for gst-launch-1.0, still with ``{width}`` and ``{height}``.

    They are split as a shell would, without one. Whatever looks like a credential is refused: a process's arguments
    can be read by every user of the box, and gst-launch-1.0 takes its pipeline nowhere else.

    Raises:
        WrittenError: it can never be run.
    """
    where = f"camera {camera.id!r}"
    if camera.source.startswith(CSI):
        return _csi_pipeline(camera)
    try:
        arguments = tuple(shlex.split(camera.source.removeprefix(PIPELINE)))
    except ValueError as error:
        raise WrittenError(
            f"{where}: the pipeline cannot be split ({str(error).lower()}); quote it as for a shell"
        ) from None
    if not arguments:
        raise WrittenError(f"{where}: expected gst:PIPELINE, the pipeline is empty; begin it with a source element")
    if any(_may_hold_secret(argument) for argument in arguments):
        raise WrittenError(
            f"{where}: the pipeline holds what looks like a credential, and every user of the box can read a process's "
            "arguments; use an rtsp:// or http:// source, which keeps it"
        )
    if any(argument.startswith("-") for argument in arguments):
        raise WrittenError(f"{where}: expected elements and properties only, the pipeline has an option; take it out")
    sinks = [argument for argument in arguments if re.fullmatch(r"[a-z0-9_]+sink", argument)]
    if sinks or arguments[-1] == "!":
        what = f"{sinks[0]!r}" if sinks else "a '!'"
        raise WrittenError(f"{where}: the pipeline has {what}, its end is the agent's to add; take it out")
    return arguments


def _csi_pipeline(camera: CameraConfig) -> tuple[str, ...]:
    number = camera.source.removeprefix(CSI)
    if not re.fullmatch(r"[0-9]{1,2}", number):
        raise WrittenError(f"camera {camera.id!r}: expected csi:N with the sensor's number, got {camera.source!r}")
    width, height = camera.size or _CSI_SIZE
    rate = round((camera.capture_fps or _CSI_RATE) * 1000)
    caps = f"video/x-raw(memory:NVMM),width={width},height={height},framerate={rate}/1000"
    scaled = "video/x-raw,format=BGRx,width={width},height={height}"
    return ("nvarguscamerasrc", f"sensor-id={number}", "!", caps, "!", "nvvidconv", "!", scaled)


def _may_hold_secret(argument: str) -> bool:
    if "://" in argument and "@" in argument:
        return True
    names = (part for name in _ASSIGNMENTS.findall(argument.lower()) for part in re.split(r"[-_]", name))
    return not _SECRET_NAMES.isdisjoint(names)


class GstSource:
    """A pipeline as frames of the size that the model wants.

    Args:
        camera: what the user wants of it.
        wanted: the model's input.
        stop: ends the wait for a frame.

    Raises:
        CameraError: gst-launch-1.0 is not there.
        WrittenError: the pipeline can never be run.
    """

    def __init__(self, camera: CameraConfig, wanted: Wanted, stop: threading.Event) -> None:
        self.dropped: Counter[str] = Counter()
        self._camera = camera
        self._stop = stop
        self._gate = wanted.gate(camera.fps)
        self._placement = _placement(camera, wanted)
        self._row = (self._placement.width * 3 + 3) // 4 * 4  # GStreamer pads the rows of BGR to 4 bytes
        self._sequence = 0
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._partial = b""
        self._opened_at = time.monotonic()
        self._process, self._frames = _start(camera, self._placement)
        assert self._process.stderr is not None
        self._errors = self._process.stderr.fileno()
        os.set_blocking(self._errors, False)
        self._poll = select.poll()
        for descriptor in (self._frames, self._errors):
            self._poll.register(descriptor, select.POLLIN)

    def read(self) -> Frame | None:
        """The next frame, or None where it was told to stop.

        Raises:
            CameraError: the pipeline ended, or gives nothing.
        """
        while True:
            image = self._next_picture()
            if image is None:
                return None
            captured_at, wall_time = time.monotonic(), time.time()
            sequence, self._sequence = self._sequence, self._sequence + 1
            left_out = self._gate.left_out(captured_at - self._opened_at)
            if left_out is None:
                return Frame(image, self._placement, sequence, captured_at, wall_time, captured_at)
            self.dropped[left_out] += 1

    def close(self) -> None:
        """End the pipeline; twice is harmless."""
        if self._frames < 0:
            return
        os.close(self._frames)  # what it writes now fails, so that it ends even where it takes no signal
        self._frames = -1
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_LAST_WORDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stderr is not None
        self._process.stderr.close()

    def _next_picture(self) -> Picture | None:
        height, width = self._placement.height, self._placement.width
        buffer = np.empty(self._row * height, np.uint8)
        if not self._fill(buffer.data):
            return None
        return np.ndarray((height, width, 3), np.uint8, buffer, strides=(self._row, 3, 1))

    def _fill(self, buffer: memoryview) -> bool:
        """Read one frame; false where it was told to stop."""
        patience = max(1.0, self._camera.stale_after) if self._sequence else FIRST_FRAME_SECONDS
        deadline = time.monotonic() + patience
        filled = 0
        while filled < len(buffer):
            if self._stop.is_set():
                return False
            if time.monotonic() > deadline:
                problem = f"the pipeline gave no frame for {patience:.0f} s{self._said()}"
                raise self._error(problem, "check the camera and the pipeline")
            for descriptor, _ in self._poll.poll(_SLICE * 1000):
                if descriptor == self._errors:
                    self._read_errors()
                    continue
                count = os.readv(descriptor, [buffer[filled:]])
                if count == 0:
                    raise self._ended(filled)
                filled += count
        return True

    def _ended(self, torn: int) -> CameraError:
        """What to raise at the end of the pipe, where ``torn`` bytes of a frame had come."""
        self._read_last_words()
        said = self._said()
        if torn and not said:
            size = f"{self._placement.width}x{self._placement.height}"
            return self._error(f"the pipeline ended within a frame: it is not of {size} BGR", "check the pipeline")
        return self._error(f"the pipeline ended{said}", "run it with gst-launch-1.0 by hand to see why")

    def _read_last_words(self) -> None:
        """Wait for the process to end and read what it said last."""
        try:
            self._process.wait(_LAST_WORDS)
        except subprocess.TimeoutExpired:
            return
        while self._read_errors():
            pass

    def _read_errors(self) -> bool:
        """Keep the newest lines of stderr; false where there is nothing more now."""
        try:
            data = os.read(self._errors, 4096)
        except BlockingIOError:
            return False
        if not data:
            with contextlib.suppress(KeyError):  # it was at its end before
                self._poll.unregister(self._errors)
            return False
        *lines, rest = (self._partial + data).split(b"\n")
        self._partial = rest[:_LONGEST_LINE]
        self._lines.extend(line[:_LONGEST_LINE].decode(errors="replace").strip() for line in lines)
        return True

    def _said(self) -> str:
        reason = _reason(self._lines)
        return f": {reason}" if reason else ""

    def _error(self, problem: str, do: str) -> CameraError:
        source = self._camera.source
        return CameraError(self._camera.id, f"{shown(source)}: {redacted(problem, source)}", do)


def _placement(camera: CameraConfig, wanted: Wanted) -> Placement:
    """Where the pipeline's pictures lie, whose own size is known only where the user says it."""
    if camera.size is None and camera.source.startswith(CSI):
        return wanted.placement(*_CSI_SIZE)
    if camera.size is None and wanted.spec.resize != "stretch":
        raise WrittenError(
            f"camera {camera.id!r}: this model keeps the pictures' shape ({wanted.spec.resize}), which no pipeline "
            "says; give 'size', as size = [1920, 1080]"
        )
    return wanted.placement(*(camera.size or (wanted.spec.width, wanted.spec.height)))


def _start(camera: CameraConfig, placement: Placement) -> tuple[subprocess.Popen[bytes], int]:
    """Start the pipeline; its process, and the pipe's end that the frames come out of."""
    launcher = shutil.which("gst-launch-1.0")
    if launcher is None:
        do = "install it (Debian, Ubuntu: apt-get install gstreamer1.0-tools gstreamer1.0-plugins-base)"
        raise CameraError(camera.id, f"{shown(camera.source)}: gst-launch-1.0 is not installed", do)
    arguments = _filled_in(parse_pipeline(camera), placement)
    ours, theirs = os.pipe()
    try:
        process = subprocess.Popen(  # noqa: S603 - a list of arguments, no shell
            [*_dies_with_us(), launcher, "-q", *arguments, *_tail(placement, theirs)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # NVIDIA's elements talk there
            stderr=subprocess.PIPE,
            pass_fds=(theirs,),
            env={name: value for name, value in os.environ.items() if not name.startswith("EDGETALLY_")},
            start_new_session=True,  # a Ctrl-C at the terminal is the agent's, which then ends the pipeline
        )
    except OSError as error:
        os.close(ours)
        problem = f"{shown(camera.source)}: gst-launch-1.0 does not start ({error.strerror})"
        raise CameraError(camera.id, problem, "check the box's memory and limits") from None
    finally:
        os.close(theirs)
    return process, ours


def _filled_in(arguments: Sequence[str], placement: Placement) -> list[str]:
    width, height = str(placement.width), str(placement.height)
    return [argument.replace("{width}", width).replace("{height}", height) for argument in arguments]


def _tail(placement: Placement, descriptor: int) -> list[str]:
    """Scale and convert where the pipeline did not, then write to the pipe. Multi-tap: two taps alias."""
    caps = f"video/x-raw,format=BGR,width={placement.width},height={placement.height}"
    scale = ["videoscale", "method=bilinear2", "add-borders=false"]
    # No `sync`: a frame that waits for its time is only older. What plays a file adds `clocksync` itself.
    return ["!", *scale, "!", "videoconvert", "!", caps, "!", "fdsink", f"fd={descriptor}", "sync=false"]


def _dies_with_us() -> list[str]:
    """A prefix that has the kernel kill the pipeline with the agent, however that ends.

    Without it (no util-linux 2.33) the pipeline ends at its next frame, for nobody reads it, or with the service.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []


def _reason(lines: Sequence[str]) -> str:
    """The first error that gst-launch-1.0 reported, for the later ones follow from it; else its last line."""
    said = [line for line in lines if line]
    for index, line in enumerate(said):
        found = _ERROR.match(line)
        if found is None:
            continue
        text = f"{found['element']}: {found['said']}" if found["element"] else found["said"]
        # Then come 'Additional debug info:', a place in GStreamer's source, and often the system's own reason.
        detail = (
            said[index + 3]
            if said[index + 1 : index + 2] == ["Additional debug info:"] and index + 3 < len(said)
            else ""
        )
        return f"{text.rstrip('.')} ({detail.rstrip('.')})" if detail else text.rstrip(".")
    return said[-1].rstrip(".") if said else ""
