from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from agent.cameras.table import check_source, kind_of, open_source, v4l2_options
from agent.cameras.video import Feed, VideoSource
from contracts.config import CameraConfig
from contracts.errors import CameraError, UnknownNameError
from tests.unit.agent.cameras.clips import STRETCHED, write_clip


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("synthetic", "synthetic"),
        ("synthetic:seed=1", "synthetic"),
        ("rtsp://h/x", "rtsp"),
        ("RTSPS://h/x", "rtsp"),
        ("https://h/x", "http"),
        ("/dev/video0", "v4l2"),
        ("gst:videotestsrc", "gst"),
        ("csi:0", "gst"),
        (str(Path(__file__).parent), "pictures"),
        (__file__, "file"),
        ("nowhere.mp4", "file"),
    ],
)
def test_each_source_is_of_one_kind(source: str, kind: str) -> None:
    assert kind_of(source).name == kind


def open_it(source: str) -> None:
    open_source(CameraConfig(id="gate", source=source), STRETCHED, threading.Event())


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("nowhere.mp4", "camera gate: file not found: nowhere.mp4; check the path"),
        (
            "sinthetic:seed=1",
            "camera gate: file not found: sinthetic:seed=1; check the path; did you mean 'synthetic'?",
        ),
        ("/dev/video97", "camera gate: /dev/video97: it was not found; check the path in 'source'"),
    ],
)
def test_what_does_not_open_says_why_and_what_to_do(source: str, said: str) -> None:
    with pytest.raises(CameraError) as caught:
        open_it(source)
    assert str(caught.value) == said


def test_an_unknown_scheme_is_told_the_nearest_and_shows_no_password() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'rtsp'") as caught:
        check_source("rstp://user:s3cret@10.0.0.7/x")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ({}, {}),
        (
            {"size": [1280, 720], "capture_fps": 30, "input_format": "mjpeg"},
            {"video_size": "1280x720", "framerate": "30", "input_format": "mjpeg"},
        ),
        ({"capture_fps": 29.97}, {"framerate": "29.97"}),
    ],
)
def test_a_device_is_asked_for_what_is_written(options: dict[str, object], asked: dict[str, str]) -> None:
    camera = CameraConfig.model_validate({"id": "gate", "source": "/dev/video0", **options})
    assert v4l2_options(camera) == asked


def open_device(path: Path) -> None:
    camera = CameraConfig(id="gate", source="/dev/video0")
    VideoSource(camera, STRETCHED, Feed(str(path), "/dev/video0", format="v4l2", live=True), threading.Event())


def test_what_is_no_camera_is_said_by_the_real_input_of_v4l2(tmp_path: Path) -> None:
    (tmp_path / "video0").write_bytes(b"no device")
    with pytest.raises(CameraError, match="/dev/video0: it is no camera; choose another"):
        open_device(tmp_path / "video0")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_device_that_may_not_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "video0").touch(mode=0)
    with pytest.raises(CameraError, match="this user may not read it; give the right to read it"):
        open_device(tmp_path / "video0")


def test_checking_opens_nothing() -> None:
    check_source("rtsp://user:s3cret@127.0.0.1:1/x")
    check_source("synthetic:seed=1")
    with pytest.raises(UnknownNameError, match="did you mean 'seed'"):
        check_source("synthetic:sed=1")


@pytest.mark.parametrize("name", ["a%03d.mp4", "a:b.mp4", "concat:a.mp4", "späte Runde.mp4"])
def test_a_files_name_means_nothing_but_its_name(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write_clip(tmp_path / "plain.mp4").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for source in (name, str(tmp_path / name)):
        open_source(CameraConfig(id="gate", source=source), STRETCHED, threading.Event()).close()
