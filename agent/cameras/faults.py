"""What FFmpeg's and the network's errors mean to a person, and what to do about each.

An FFmpeg error's own text quotes the URL with its password, so only what it is, never its text, goes on.
"""

from __future__ import annotations

import errno
import http.client
import ssl

from av import error as ffmpeg

from contracts.errors import CameraError

_MEANINGS: tuple[tuple[type[ffmpeg.FFmpegError], str, str], ...] = (
    (
        ffmpeg.HTTPUnauthorizedError,
        "the camera refused the user name or password (401)",
        "correct the credentials in 'source'",
    ),
    (ffmpeg.HTTPForbiddenError, "the camera forbids access (403)", "give this user the right to view the stream"),
    (ffmpeg.HTTPNotFoundError, "the camera knows no such stream (404)", "check the path in 'source'"),
    (ffmpeg.HTTPClientError, "the camera refused the request", "check the path in 'source'"),
    (ffmpeg.HTTPServerError, "the camera reported a fault of its own (5xx)", "restart the camera"),
    (
        ffmpeg.ConnectionRefusedError,
        "the connection was refused",
        "check the address and port, and that the camera is on",
    ),
    (ffmpeg.FileNotFoundError, "it was not found", "check the path in 'source'"),
    (
        ffmpeg.PermissionError,
        "this user may not read it",
        "give the right to read it (group 'video' for /dev/video*)",
    ),
    (ffmpeg.MemoryError, "there is no memory for its pictures", "lower the camera's resolution, or free memory"),
    (ffmpeg.ArgumentError, "it is not written as FFmpeg wants it", "check 'source'; escape what a password holds"),
    (ffmpeg.ExitError, "it gave no answer in time", "check that the camera is on and can be reached"),
    (ffmpeg.TimeoutError, "it gave no answer in time", "check that the camera is on and can be reached"),
    (ffmpeg.InvalidDataError, "it gave nothing that is a video", "check that 'source' names a video"),
    (ffmpeg.LookupError, "this build of FFmpeg lacks a decoder for it", "set the camera to H.264, H.265 or MJPEG"),
)


_STATUS: dict[int, type[ffmpeg.FFmpegError]] = {
    http.client.UNAUTHORIZED: ffmpeg.HTTPUnauthorizedError,
    http.client.FORBIDDEN: ffmpeg.HTTPForbiddenError,
    http.client.NOT_FOUND: ffmpeg.HTTPNotFoundError,
}
_ERRNO = {
    errno.EBUSY: ("another program uses it", "end that program; a camera has one reader"),
    errno.ENODEV: ("the device is gone", "plug the camera in again"),
    errno.ENOTTY: ("it is no camera", "choose another /dev/video*; v4l2-ctl --list-devices names them"),
}


def refusal(camera: str, where: str, status: int) -> CameraError:
    """The error to raise for an HTTP status that is not 200; arguments as of `fault`."""
    usual = ffmpeg.HTTPServerError if status >= http.client.INTERNAL_SERVER_ERROR else ffmpeg.HTTPClientError
    return fault(camera, where, _STATUS.get(status, usual)(status, ""))


def network_fault(camera: str, where: str, error: OSError | http.client.HTTPException) -> CameraError:
    """The error to raise for one of Python's own network library; arguments as of `fault`."""
    do = "check that the camera is on and can be reached"
    if isinstance(error, ConnectionRefusedError):
        return fault(camera, where, ffmpeg.ConnectionRefusedError(errno.ECONNREFUSED, ""))
    if isinstance(error, TimeoutError):
        return fault(camera, where, ffmpeg.TimeoutError(errno.ETIMEDOUT, ""))
    if isinstance(error, ssl.SSLError):
        return CameraError(camera, f"{where}: no encrypted connection comes about", "check the scheme and the port")
    if not isinstance(error, (OSError, http.client.IncompleteRead)):
        return CameraError(camera, f"{where}: its answer is no HTTP", "check the address and the port in 'source'")
    return CameraError(camera, f"{where}: the connection broke off, or the host's name is not known", do)


def fault(camera: str, where: str, error: ffmpeg.FFmpegError) -> CameraError:
    """The error to raise for an error of FFmpeg's.

    Args:
        camera: the camera's id.
        where: the source as `shown`.
        error: what PyAV raised.
    """
    for kind, problem, do in _MEANINGS:
        if isinstance(error, kind):
            return CameraError(camera, f"{where}: {problem}", do)
    if error.errno in _ERRNO:
        problem, do = _ERRNO[error.errno]
        return CameraError(camera, f"{where}: {problem}", do)
    said = error.strerror or type(error).__name__
    if error.errno == errno.EIO and "://" in where:  # what FFmpeg makes of both
        said = "the connection broke off, or the host's name is not known"
    return CameraError(camera, f"{where}: {said}", "check that the camera is on and can be reached")
