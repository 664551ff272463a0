"""The kinds of source: which one a camera's ``source`` is, and how it is opened."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.cameras.frame import Source, Wanted
from agent.cameras.gstreamer import CSI, PIPELINE, GstSource, parse_pipeline
from agent.cameras.mjpeg import MjpegSource, SnapshotSource
from agent.cameras.pictures import PictureFolder
from agent.cameras.synthetic import NAME as SYNTHETIC
from agent.cameras.synthetic import SyntheticSource, parse_synthetic
from agent.cameras.video import OPEN_SECONDS, Feed, VideoSource
from agent.cameras.web import StoppedError, request
from contracts.addresses import scheme_of, shown
from contracts.config import CameraConfig
from contracts.errors import CameraError, UnknownNameError, did_you_mean

_WEB_FORMATS = "aac,avi,flv,h264,hevc,hls,matroska,webm,m4v,mov,mp4,m4a,3gp,3g2,mj2,mpeg,mpegts,mpegvideo"
"""What FFmpeg may take an answer for; not MJPEG, of which it reads pictures of any size (docs/adr/0005-decoder.md)."""

Opener = Callable[[CameraConfig, Wanted, threading.Event], Source]


@dataclass(frozen=True)
class SourceKind:
    """A kind of source.

    Args:
        name: what it is called.
        matches: whether a ``source`` is of this kind.
        open: opens it, or raises `CameraError`.
        live: whether it goes on by itself: frames that nobody takes are lost, and after a fault it goes on from now.
    """

    name: str
    matches: Callable[[str], bool]
    open: Opener
    live: bool


def open_source(camera: CameraConfig, wanted: Wanted, stop: threading.Event) -> Source:
    """Open a camera's source.

    Takes at most about twice `OPEN_SECONDS`, and as long as the system takes to look up a host's name.

    Args:
        camera: what is to be opened.
        wanted: the model's input, which decides the size of the frames.
        stop: ends the waits between two frames.

    Raises:
        CameraError: it does not open; the text says why and what to do, without credentials.
        WrittenError: what is written can never be opened.
    """
    return kind_of(camera.source).open(camera, wanted, stop)


def kind_of(source: str) -> SourceKind:
    """The kind that a ``source`` is of.

    Raises:
        UnknownNameError: a URL of a scheme that is not known.
    """
    for kind in SOURCE_KINDS:
        if kind.matches(source):
            return kind
    raise UnknownNameError("scheme of a camera's source", scheme_of(source) or "", _SCHEMES)


def check_source(source: str) -> None:
    """Refuse what can never be opened, without opening anything.

    Raises:
        WrittenError: an unknown scheme, wrong settings of a synthetic camera, a pipeline that may not be run.
    """
    name = kind_of(source).name
    if name == SYNTHETIC:
        parse_synthetic(source)
    elif name == "gst":
        parse_pipeline(CameraConfig(id="camera", source=source))


def _open_rtsp(camera: CameraConfig, wanted: Wanted, stop: threading.Event) -> Source:
    options = {
        "rtsp_transport": camera.transport,
        "timeout": f"{OPEN_SECONDS * 1e6:.0f}",  # microseconds that the socket may be silent
        "allowed_media_types": "video",  # sound would keep a connection alive whose picture has stopped
        # Streams describe themselves in the SDP, so there is little to find out. Not `nobuffer`: it throws away the
        # first key frame, which is read while the stream is looked at.
        "analyzeduration": "1000000",
        "fpsprobesize": "0",
        "buffer_size": "1048576",  # UDP: a key frame comes as a burst that overruns the usual 200 KB
    }
    return VideoSource(camera, wanted, Feed(camera.source, shown(camera.source), options=options, live=True), stop)


def _open_http(camera: CameraConfig, wanted: Wanted, stop: threading.Event) -> Source:
    """What the answer says it is: JPEG pictures are read here, everything else by FFmpeg."""
    try:
        stream = request(camera, stop, OPEN_SECONDS)
    except StoppedError:
        raise CameraError(
            camera.id, f"{shown(camera.source)}: told to stop before it answered", "start again"
        ) from None
    if stream.content_type.startswith("multipart/"):
        return MjpegSource(camera, wanted, stream)
    if stream.content_type.startswith("image/"):
        return SnapshotSource(camera, wanted, stop, OPEN_SECONDS, stream)
    stream.close()
    options = {"protocol_whitelist": "http,https,tcp,tls,crypto", "format_whitelist": _WEB_FORMATS}
    return VideoSource(camera, wanted, Feed(camera.source, shown(camera.source), options=options, live=None), stop)


def _open_v4l2(camera: CameraConfig, wanted: Wanted, stop: threading.Event) -> Source:
    feed = Feed(camera.source, camera.source, format="v4l2", options=v4l2_options(camera), live=True)
    return VideoSource(camera, wanted, feed, stop)


def v4l2_options(camera: CameraConfig) -> dict[str, str]:
    """What FFmpeg is told to ask the device for; what is not written the device decides."""
    asked = {
        "input_format": camera.input_format,
        "video_size": None if camera.size is None else "{}x{}".format(*camera.size),
        "framerate": None if camera.capture_fps is None else f"{camera.capture_fps:g}",
    }
    return {name: value for name, value in asked.items() if value is not None}


def _open_file(camera: CameraConfig, wanted: Wanted, stop: threading.Event) -> Source:
    if not _is(Path.exists, camera.source, unsure=True):
        meant = did_you_mean(camera.source.partition(":")[0], [SYNTHETIC])
        raise CameraError(camera.id, f"file not found: {camera.source}", f"check the path{meant}")
    # With its scheme, so that FFmpeg takes a ':' in the name for what it is.
    return VideoSource(camera, wanted, Feed(f"file:{camera.source}", camera.source), stop)


def _has_scheme(*schemes: str) -> Callable[[str], bool]:
    return lambda source: scheme_of(source) in schemes


def _is(asked: Callable[[Path], bool], source: str, *, unsure: bool = False) -> bool:
    """What the file system says of a path; ``unsure`` where it may not be asked."""
    try:
        return asked(Path(source))
    except OSError:
        return unsure


SOURCE_KINDS = (
    SourceKind(SYNTHETIC, lambda source: source.partition(":")[0] == SYNTHETIC, SyntheticSource, live=False),
    SourceKind("gst", lambda source: source.startswith((PIPELINE, CSI)), GstSource, live=True),
    SourceKind("rtsp", _has_scheme("rtsp", "rtsps"), _open_rtsp, live=True),
    SourceKind("http", _has_scheme("http", "https"), _open_http, live=True),
    SourceKind("v4l2", lambda source: source.startswith("/dev/video"), _open_v4l2, live=True),
    SourceKind(
        "pictures", lambda source: scheme_of(source) is None and _is(Path.is_dir, source), PictureFolder, live=False
    ),
    SourceKind("file", lambda source: scheme_of(source) is None, _open_file, live=False),
)
_SCHEMES = ("rtsp", "rtsps", "http", "https")
