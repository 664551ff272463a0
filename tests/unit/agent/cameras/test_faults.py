from __future__ import annotations

import av
import pytest
from av import error as ffmpeg

from agent.cameras.faults import fault

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
