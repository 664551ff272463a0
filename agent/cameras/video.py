"""Files, network streams and V4L2 devices, decoded and scaled by FFmpeg (PyAV)."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import cast

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from agent.cameras.faults import fault
from agent.cameras.frame import Frame, Wanted
from agent.cameras.lag import Lag
from agent.cameras.pacing import Pacer, Timeline
from agent.cameras.stamps import taken_at
from contracts.config import CameraConfig
from contracts.errors import CameraError
from runtime.pictures import Scaler

OPEN_SECONDS = 5.0
"""Longest wait for a source to open: once for the connection, once more for its description."""

_USUAL_RATE = 25.0  # frames a second, where a stream states none
_RATES = (0.1, 1000.0)  # what is believed of a stream's own statement
_MOST_DAMAGED = 300  # in a row: ten seconds at 30 fps, longer than cameras take between two key frames
_LONGEST_SILENCE = 20.0  # seconds of data without a picture; sound may go on where the picture has ended


@dataclass(frozen=True)
class Feed:
    """How FFmpeg is to open a source.

    Args:
        url: what FFmpeg opens, with its credentials.
        shown: the same for a person to read, without them.
        format: FFmpeg's name of the input format; None lets it find out.
        options: FFmpeg's options.
        live: whether it is watched as it happens, so that its end is a fault; None where its length decides.
    """

    url: str = field(repr=False)
    shown: str
    format: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    live: bool | None = False


class VideoSource:
    """A video as frames of the size that the model wants.

    Args:
        camera: what the user wants of it.
        wanted: the model's input.
        feed: how it is opened.
        stop: ends a wait between two frames of a file.
        pacer: holds back the frames of a file that plays in real time.
        lag: tells when a live stream is too far behind to decode all of it.

    Raises:
        CameraError: it does not open.
    """

    def __init__(
        self,
        camera: CameraConfig,
        wanted: Wanted,
        feed: Feed,
        stop: threading.Event,
        *,
        pacer: Pacer | None = None,
        lag: Lag | None = None,
    ) -> None:
        self.dropped: Counter[str] = Counter()
        self._camera = camera
        self._feed = feed
        self._stop = stop
        self._scaler = Scaler(wanted.placement)
        self._gate = wanted.gate(camera.fps)
        self._ready: deque[VideoFrame] = deque()
        self._sequence = 0
        self._damaged_in_a_row = 0
        self._pictures_this_round = 0
        self._last_picture = time.monotonic()
        self._lag = lag or Lag(camera.stale_after)
        self._skipping = False
        self._open()
        self._opened_at = time.monotonic()
        self._timeline = Timeline(1 / _rate_of(self._stream))
        self._pacer = (pacer or Pacer(stop)) if camera.realtime and not self._live else None

    def read(self) -> Frame | None:
        """The next frame, or None at the end of a file, and where it was told to stop.

        Raises:
            CameraError: the stream broke, or a live one ended.
        """
        while not self._stop.is_set():
            picture = self._next_picture()
            if picture is None:
                if self._begin_again():
                    continue
                return None
            frame = self._frame(picture)
            if frame is not None:
                return frame
        return None

    def close(self) -> None:
        """Let go of it; twice is harmless."""
        self._ready.clear()
        self._container.close()

    def _frame(self, picture: VideoFrame) -> Frame | None:
        """The picture scaled when it is due; None where the gate or the stop leaves it out."""
        sequence, self._sequence = self._sequence, self._sequence + 1
        stamp = _stamp(picture)
        self._lag.note(stamp)
        at = self._timeline.at(stamp)
        left_out = self._gate.left_out(at)
        if left_out is not None:
            self.dropped[left_out] += 1  # before it is scaled: that is a fifth of the work
            return None
        if self._pacer is not None and not self._pacer.hold(at):
            return None
        captured_at, wall_time = time.monotonic(), self._wall_time(stamp)
        try:
            image, placement = self._scaler.scale(picture)
        except av.FFmpegError as error:
            raise fault(self._camera.id, self._feed.shown, error) from None
        return Frame(image, placement, sequence, captured_at, wall_time, self._opened_at + at)

    def _wall_time(self, stamp: float | None) -> float:
        """When it was taken: by the camera's clock where the stream carries it and it can be believed, else now."""
        # PyAV 18 has it; 17 is the last for Python 3.10 (JetPack 6), and there frames are stamped as they arrive.
        started: int | None = getattr(self._container, "start_time_realtime", None) if self._live else None
        return taken_at(None if started is None or stamp is None else started / 1e6 + stamp, time.time())

    def _open(self) -> None:
        try:
            self._container = self._connect()
        except av.FFmpegError as error:
            raise fault(self._camera.id, self._feed.shown, error) from None
        except ValueError:  # a URL or option that FFmpeg cannot take; its text may quote the URL
            raise CameraError(self._camera.id, f"{self._feed.shown}: it cannot be opened", "check 'source'") from None
        if not self._container.streams.video:
            self._container.close()
            raise CameraError(self._camera.id, f"{self._feed.shown}: it holds no picture", "choose one with video")
        self._stream: VideoStream = self._container.streams.video[0]
        if getattr(self._stream, "codec_context", None) is None:  # PyAV 17 crashes when such a stream is decoded
            self._container.close()
            problem = f"{self._feed.shown}: this build of FFmpeg lacks a decoder for it"
            raise CameraError(self._camera.id, problem, "set the camera to H.264, H.265 or MJPEG")
        self._live = self._container.duration is None if self._feed.live is None else self._feed.live
        # A frame costs least CPU in one thread (6.5 ms against 6.9 with slices and 7.3 with frame threads, 1080p,
        # docs/adr/0002-pyav-decodes.md), and CPU is what a box with several cameras is short of. Slices let a weak core
        # keep up with a live stream that has them, and hold no frame back, as frame threads do.
        self._stream.thread_type = "SLICE" if self._live else "NONE"
        self._packets = self._container.demux()

    def _connect(self) -> InputContainer:
        # A read that fails first hands out what it still held, so a dead server is noticed after two such timeouts.
        read_timeout = max(1.0, self._camera.stale_after)
        return av.open(
            self._feed.url,
            "r",
            format=self._feed.format,
            options=self._feed.options,
            metadata_errors="replace",
            timeout=(OPEN_SECONDS, read_timeout),
        )

    def _begin_again(self) -> bool:
        """At the end: whether it was begun again. Opened anew, for not every format can seek."""
        if self._live:
            raise CameraError(self._camera.id, f"{self._feed.shown}: it ended", "check the camera")
        if self._pictures_this_round == 0:
            raise CameraError(self._camera.id, f"{self._feed.shown}: no picture in it can be decoded", "replace it")
        if not self._camera.loop:
            return False
        self._container.close()
        self._open()
        self._timeline.begin_again()
        self._pictures_this_round = 0
        return True

    def _next_picture(self) -> VideoFrame | None:
        """The next picture that is whole, or None at the end."""
        while True:
            while self._ready:
                picture = self._ready.popleft()
                if not picture.is_corrupt:
                    return self._arrived(picture)
                self._damaged()
            packet = self._packet()
            if packet is None:
                return None
            if not self._is_skipped(packet):
                self._ready.extend(self._decode(packet))
            self._check_silence()

    def _arrived(self, picture: VideoFrame) -> VideoFrame:
        self._damaged_in_a_row = 0
        self._pictures_this_round += 1
        self._last_picture = time.monotonic()
        return picture

    def _packet(self) -> Packet[Stream] | None:
        """The next packet of the video, or None at the end."""
        while True:
            try:
                packet = next(self._packets, None)
            except av.error.InvalidDataError:
                self._damaged()
                self._packets = self._container.demux()  # the error ended the iterator, not the stream
                continue
            except av.FFmpegError as error:
                raise fault(self._camera.id, self._feed.shown, error) from None
            if packet is None or packet.stream_index == self._stream.index:
                return packet
            self._check_silence()

    def _is_skipped(self, packet: Packet[Stream]) -> bool:
        """Whether a live stream's frame stays undecoded, because the box cannot decode them all.

        Up to the next key frame, which needs none of those before it. A file waits instead.
        """
        if packet.is_keyframe or packet.size == 0:
            self._skipping = False
        elif self._live and self._lag.is_too_long:
            self._skipping = True
        if self._skipping:
            self.dropped["late"] += 1
            self._sequence += 1
        return self._skipping

    def _decode(self, packet: Packet[Stream]) -> list[VideoFrame]:
        try:
            return cast("list[VideoFrame]", packet.decode())
        except av.error.EOFError:
            return []
        except av.error.MemoryError as error:  # no fault of the frame's
            raise fault(self._camera.id, self._feed.shown, error) from None
        except av.FFmpegError:
            self._damaged()
            return []

    def _damaged(self) -> None:
        """Count a frame that cannot be decoded, which is usual (a lost packet, a start between two key frames)."""
        self.dropped["damaged"] += 1
        self._sequence += 1
        self._damaged_in_a_row += 1
        if self._damaged_in_a_row >= _MOST_DAMAGED:
            problem = f"{self._feed.shown}: {_MOST_DAMAGED} frames in a row could not be decoded"
            raise CameraError(self._camera.id, problem, "check the network and the camera's encoding")

    def _check_silence(self) -> None:
        if self._live and time.monotonic() - self._last_picture > _LONGEST_SILENCE:
            problem = f"{self._feed.shown}: data come, but no picture for {_LONGEST_SILENCE:.0f} s"
            raise CameraError(self._camera.id, problem, "check the camera's encoding, and have it send key frames")


def _stamp(picture: VideoFrame) -> float | None:
    """Seconds in the stream's own time, where the picture carries them."""
    if picture.pts is None or picture.time_base is None:
        return None
    return float(picture.pts * picture.time_base)


def _rate_of(stream: VideoStream) -> float:
    """Frames a second that the stream states, where that can be believed."""
    rate = float(stream.guessed_rate or stream.average_rate or _USUAL_RATE)
    return rate if _RATES[0] <= rate <= _RATES[1] else _USUAL_RATE
