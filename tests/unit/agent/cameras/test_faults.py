from __future__ import annotations

import errno
import http.client
import socket
import ssl

import av
import pytest
from av import error as ffmpeg

from agent.cameras.faults import fault, network_fault, refusal

SOURCE = "rtsp://user:s3cret@127.0.0.1:1/x"


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (ffmpeg.HTTPUnauthorizedError, "401"),
        (ffmpeg.HTTPForbiddenError, "403"),
        (ffmpeg.HTTPNotFoundError, "404"),
        (ffmpeg.HTTPServerError, "5xx"),
        (ffmpeg.ConnectionRefusedError, "refused"),
        (ffmpeg.FileNotFoundError, "not found"),
        (ffmpeg.PermissionError, "may not read"),
        (ffmpeg.ExitError, "no answer in time"),
        (ffmpeg.TimeoutError, "no answer in time"),
        (ffmpeg.InvalidDataError, "nothing that is a video"),
        (ffmpeg.DecoderNotFoundError, "lacks a decoder"),
        (ffmpeg.ArgumentError, "not written as"),
        (ffmpeg.UnknownError, "what FFmpeg said"),
    ],
)
def test_each_error_says_what_to_do_and_no_secret(kind: type[av.FFmpegError], said: str) -> None:
    error = fault("gate", "rtsp://127.0.0.1:1", kind(1, "what FFmpeg said", SOURCE))
    assert said in str(error)
    assert str(error).startswith("camera gate: rtsp://127.0.0.1:1: ")
    assert "; " in str(error)
    assert "s3cret" not in str(error)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EBUSY, "another program uses it; end that program"),
        (errno.ENODEV, "the device is gone; plug the camera in again"),
        (errno.ENOTTY, "it is no camera; choose another"),
    ],
)
def test_what_a_device_says_is_put_in_words(number: int, said: str) -> None:
    assert said in str(fault("gate", "/dev/video0", av.error.OSError(number, "as FFmpeg says it", SOURCE)))


@pytest.mark.parametrize(
    ("status", "said"), [(401, "401"), (403, "403"), (404, "404"), (418, "refused the request"), (503, "5xx")]
)
def test_each_refusal_over_http_is_put_in_words(status: int, said: str) -> None:
    assert said in str(refusal("gate", "http://h", status))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionRefusedError(), "refused"),
        (TimeoutError(), "no answer in time"),
        (ssl.SSLError(1, SOURCE), "no encrypted connection"),
        (http.client.BadStatusLine(SOURCE), "no HTTP"),
        (http.client.IncompleteRead(b""), "broke off"),
        (http.client.RemoteDisconnected(SOURCE), "broke off"),
        (socket.gaierror(-2, SOURCE), "name is not known"),
    ],
)
def test_each_fault_of_the_network_is_put_in_words_and_quotes_nothing(error: OSError, said: str) -> None:
    text = str(network_fault("gate", "http://h", error))
    assert said in text
    assert "s3cret" not in text
