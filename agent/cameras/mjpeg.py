"""Cameras that give JPEG pictures over HTTP: one after the other in an endless answer (MJPEG), or one a request."""

from __future__ import annotations

import http.client
import math
import threading
import time
from collections import Counter
from dataclasses import dataclass

import av
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from agent.cameras.faults import fault, network_fault
from agent.cameras.frame import Frame, Wanted
from agent.cameras.pacing import Pacer, Timeline
from agent.cameras.stamps import taken_at
from agent.cameras.web import StoppedError, WebStream, request
from contracts.addresses import shown
from contracts.config import CameraConfig
from contracts.errors import CameraError
from runtime.pictures import Scaler

MOST_BYTES = 16 << 20
"""Of one picture: a 4K JPEG of the best quality has 8 MB."""

_MOST_PIXELS = 8192 * 8192  # 100 MB decoded, from 2 MB of one colour; FFmpeg's own limit is four times that
_MOST_HEADER = 8192  # bytes of a part's header, and of what stands before the first part
_MOST_DIGITS = 20  # of a length; a number of a million digits takes a second to read
_PIECE = 65536
_MOST_DAMAGED = 100  # in a row
_RATE = 1.0  # single pictures a second, where the camera's `fps` does not say
_USUAL_INTERVAL = 1 / 25


@dataclass(frozen=True)
class Part:
    """One picture of a stream: its header's fields in lower case, and its bytes."""

    fields: dict[str, str]
    data: bytes


class BrokenStreamError(Exception):
    """What came is no such stream; its text says why, without a secret."""


class PartReader:
    """Takes ``multipart/x-mixed-replace`` apart; lenient to what cameras do, strict in size.

    Args:
        stream: the answer of the camera.
    """

    def __init__(self, stream: WebStream) -> None:
        self._stream = stream
        self._delimiter: bytes | None = None
        self._at_part = False

    def next(self) -> Part | None:
        """The next part, None at the end.

        Raises:
            BrokenStreamError: it is not what was promised, or too much of it.
        """
        if not self._at_part and not self._find_delimiter():
            return None
        fields = self._fields()
        self._at_part = False
        if "content-length" not in fields:
            return Part(fields, self._until_delimiter())
        data = self._stream.exactly(_length(fields["content-length"]))
        return Part(fields, data) if len(data) == int(fields["content-length"]) else None

    def _find_delimiter(self) -> bool:
        """Read up to the delimiter; which one it is the first one says, for many differ from what was announced."""
        passed = 0
        while passed < _MOST_HEADER:
            line = self._stream.line(_MOST_HEADER)
            if not line:
                return False
            passed += len(line)
            if self._is_delimiter(line.strip()):
                return True
        raise BrokenStreamError("its pictures are not divided by a boundary")

    def _is_delimiter(self, line: bytes) -> bool:
        if self._delimiter is None and line:
            announced = self._stream.boundary.encode(errors="replace").strip(b"-")
            if line.startswith(b"--") or (announced and line.strip(b"-") == announced):
                self._delimiter = line
        return self._delimiter is not None and line == self._delimiter

    def _fields(self) -> dict[str, str]:
        fields: dict[str, str] = {}
        left = _MOST_HEADER
        while left > 0:
            line = self._stream.line(left)
            left -= len(line)
            if not line.strip():
                return fields
            name, _, value = line.decode("latin-1").partition(":")
            fields[name.strip().lower()] = value.strip()
        raise BrokenStreamError(f"a picture's header has more than {_MOST_HEADER} bytes")

    def _until_delimiter(self) -> bytes:
        """A part that does not say its length: up to the delimiter at the beginning of a line."""
        pieces = bytearray()
        fresh = True  # whether the next piece begins a line
        while len(pieces) <= MOST_BYTES:
            piece = self._stream.line(_PIECE)
            if not piece:
                return bytes(pieces)
            if fresh and piece.strip() in {self._delimiter, (self._delimiter or b"") + b"--"}:
                self._at_part = piece.strip() == self._delimiter
                return bytes(pieces).removesuffix(b"\n").removesuffix(b"\r")
            pieces += piece
            fresh = piece.endswith(b"\n")
        raise BrokenStreamError(f"a picture has more than {MOST_BYTES >> 20} MiB")


def _length(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS) or int(text) == 0:
        raise BrokenStreamError("a picture's length is no number")
    if int(text) > MOST_BYTES:
        raise BrokenStreamError(f"a picture has more than {MOST_BYTES >> 20} MiB")
    return int(text)


class _Pictures:
    """Decodes and scales JPEG pictures, and counts those that cannot be."""

    def __init__(self, camera: CameraConfig, wanted: Wanted, dropped: Counter[str]) -> None:
        self._camera = camera
        self._scaler = Scaler(wanted.placement)
        self._dropped = dropped
        self._damaged_in_a_row = 0
        decoder = av.CodecContext.create("mjpeg", "r")
        assert isinstance(decoder, VideoCodecContext)
        decoder.thread_count = 1
        # A torn picture is otherwise filled up with grey, which would be counted as road.
        decoder.options = {"err_detect": "explode", "max_pixels": str(_MOST_PIXELS)}
        self._decoder = decoder

    def frame(self, data: bytes, sequence: int, captured_at: float, wall_time: float, shown_at: float) -> Frame | None:
        """The picture as a frame, None where it cannot be decoded.

        Raises:
            CameraError: nothing could be decoded for long.
        """
        picture = self._decode(data)
        if picture is not None:
            self._damaged_in_a_row = 0
            image, placement = self._scaler.scale(picture)
            return Frame(image, placement, sequence, captured_at, wall_time, shown_at)
        self._dropped["damaged"] += 1
        self._damaged_in_a_row += 1
        if self._damaged_in_a_row >= _MOST_DAMAGED:
            problem = f"{shown(self._camera.source)}: {_MOST_DAMAGED} pictures in a row could not be decoded"
            raise CameraError(self._camera.id, problem, "check that 'source' gives JPEG pictures")
        return None

    def _decode(self, data: bytes) -> VideoFrame | None:
        try:
            pictures = self._decoder.decode(Packet(data))
        except av.error.MemoryError as error:  # no fault of the picture's
            raise fault(self._camera.id, shown(self._camera.source), error) from None
        except (av.FFmpegError, ValueError):
            return None
        return next((picture for picture in pictures if not picture.is_corrupt), None)


class MjpegSource:
    """A stream of JPEG pictures.

    Args:
        camera: what the user wants of it.
        wanted: the model's input.
        stream: the answer that carries them; closed with the source.
    """

    def __init__(self, camera: CameraConfig, wanted: Wanted, stream: WebStream) -> None:
        self.dropped: Counter[str] = Counter()
        self._camera = camera
        self._stream = stream
        self._parts = PartReader(stream)
        self._pictures = _Pictures(camera, wanted, self.dropped)
        self._gate = wanted.gate(camera.fps)
        self._timeline = Timeline(_USUAL_INTERVAL)
        self._sequence = 0
        self._opened_at = time.monotonic()

    def read(self) -> Frame | None:
        """The next frame, or None where it was told to stop.

        Raises:
            CameraError: the stream broke off or is none.
        """
        while True:
            try:
                part = self._next_part()
            except StoppedError:
                return None
            captured_at, now = time.monotonic(), time.time()
            sequence, self._sequence = self._sequence, self._sequence + 1
            stamp = _stamp(part.fields)
            at = self._timeline.at(captured_at if stamp is None else stamp)
            left_out = self._gate.left_out(at)
            if left_out is not None:
                self.dropped[left_out] += 1  # before it is decoded
                continue
            wall_time = taken_at(stamp, now)
            frame = self._pictures.frame(part.data, sequence, captured_at, wall_time, self._opened_at + at)
            if frame is not None:
                return frame

    def close(self) -> None:
        """Let go of it; twice is harmless."""
        self._stream.close()

    def _next_part(self) -> Part:
        where = shown(self._camera.source)
        self._stream.within(max(1.0, self._camera.stale_after))
        try:
            part = self._parts.next()
        except BrokenStreamError as error:
            raise CameraError(
                self._camera.id, f"{where}: {error}", "check that 'source' is the camera's MJPEG"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise network_fault(self._camera.id, where, error) from None
        if part is None:
            raise CameraError(self._camera.id, f"{where}: the connection broke off", "check that the camera is on")
        return part


class SnapshotSource:
    """A camera that gives one JPEG picture a request, asked at the camera's ``fps``, once a second without it.

    Args:
        camera: what the user wants of it.
        wanted: the model's input.
        stop: ends a wait.
        seconds: for one request.
        first: the answer to the first one.
    """

    def __init__(
        self, camera: CameraConfig, wanted: Wanted, stop: threading.Event, seconds: float, first: WebStream
    ) -> None:
        self.dropped: Counter[str] = Counter()
        self._camera = camera
        self._stop = stop
        self._seconds = seconds
        self._stream: WebStream | None = first
        self._pictures = _Pictures(camera, wanted, self.dropped)
        self._pacer = Pacer(stop)
        self._sequence = 0

    def read(self) -> Frame | None:
        """The next frame, or None where it was told to stop.

        Raises:
            CameraError: the camera does not answer with a picture.
        """
        try:
            while not self._stop.is_set():
                data = self._next_picture()
                if data is None:
                    return None
                captured_at, wall_time = time.monotonic(), time.time()
                frame = self._pictures.frame(data, self._sequence - 1, captured_at, wall_time, captured_at)
                if frame is not None:
                    return frame
        except StoppedError:
            pass
        return None

    def close(self) -> None:
        """Let go of it; twice is harmless."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _next_picture(self) -> bytes | None:
        rate = self._camera.fps or _RATE
        due = max(self._sequence, math.floor(self._pacer.elapsed * rate))  # a slow camera is not asked in a burst
        self._sequence += 1
        if not self._pacer.hold(due / rate):
            return None
        where = shown(self._camera.source)
        stream = self._stream or request(self._camera, self._stop, self._seconds)
        self._stream = stream
        if stream.content_type != "image/jpeg":
            raise CameraError(self._camera.id, f"{where}: it gave no JPEG picture", "check the path in 'source'")
        stream.within(self._seconds)
        try:
            data = stream.exactly(MOST_BYTES + 1)
        except (OSError, http.client.HTTPException) as error:
            raise network_fault(self._camera.id, where, error) from None
        finally:
            self.close()
        if len(data) > MOST_BYTES:
            problem = f"{where}: a picture has more than {MOST_BYTES >> 20} MiB"
            raise CameraError(self._camera.id, problem, "check the path in 'source'")
        return data


def _stamp(fields: dict[str, str]) -> float | None:
    """Seconds since 1970 that a picture says it was taken at (``X-Timestamp``, as mjpg-streamer writes it)."""
    try:
        stamp = float(fields.get("x-timestamp", ""))
    except ValueError:
        return None
    return stamp if math.isfinite(stamp) and stamp > 0 else None
