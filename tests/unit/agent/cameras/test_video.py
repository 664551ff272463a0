from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.cameras.frame import Frame, Source, Wanted
from agent.cameras.lag import Lag
from agent.cameras.pacing import Pacer
from agent.cameras.table import open_source
from agent.cameras.video import Feed, VideoSource
from contracts.config import CameraConfig
from contracts.errors import CameraError
from tests.fakes.clock import WaitedClock
from tests.unit.agent.cameras.clips import LEFT, LETTERBOXED, RIGHT, STRETCHED, close_to, write_clip


def open_clip(source: object, wanted: Wanted = STRETCHED, *, realtime: bool = False, **options: object) -> Source:
    camera = CameraConfig.model_validate({"id": "gate", "source": str(source), "realtime": realtime, **options})
    return open_source(camera, wanted, threading.Event())


def read_all(source: Source, most: int = 1000) -> list[Frame]:
    frames: list[Frame] = []
    while len(frames) < most and (frame := source.read()) is not None:
        frames.append(frame)
    source.close()
    source.close()
    return frames


@pytest.mark.parametrize(("wanted", "height", "top"), [(STRETCHED, 64, 0), (LETTERBOXED, 36, 14)])
def test_frames_come_in_the_size_the_model_wants(tmp_path: Path, wanted: Wanted, height: int, top: int) -> None:
    (first, *others) = read_all(open_clip(write_clip(tmp_path / "a.mp4"), wanted))
    assert first.image.shape == (height, 64, 3)
    assert (first.placement.top, first.placement.width, first.placement.height) == (top, 64, height)
    assert close_to(first.image[height // 2, 16], LEFT)
    assert close_to(first.image[height // 2, 48], RIGHT)
    assert [frame.sequence for frame in (first, *others)] == list(range(10))


def test_a_width_whose_rows_are_padded_comes_out_right(tmp_path: Path) -> None:
    odd = Wanted(STRETCHED.spec.model_copy(update={"width": 51, "height": 37}))
    frame = read_all(open_clip(write_clip(tmp_path / "a.mp4"), odd))[0]
    assert frame.image.shape == (37, 51, 3)
    assert close_to(frame.image[0, 0], LEFT)
    assert close_to(frame.image[36, 50], RIGHT)


def test_a_loop_begins_again_and_goes_on_counting(tmp_path: Path) -> None:
    frames = read_all(open_clip(write_clip(tmp_path / "a.mp4"), loop=True), most=25)
    assert [frame.sequence for frame in frames] == list(range(25))


def test_the_rate_is_limited_by_the_clips_own_time(tmp_path: Path) -> None:
    source = open_clip(write_clip(tmp_path / "a.mp4", frames=50, fps=25), fps=5)
    frames = read_all(source)
    numbers = [frame.sequence for frame in frames]
    assert numbers[0] == 0
    assert {later - earlier for earlier, later in pairwise(numbers)} <= {4, 5}
    assert source.dropped == {"rate": 50 - len(frames)}


def test_a_file_plays_in_real_time_over_its_loops(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", frames=10, fps=10)
    camera = CameraConfig(id="gate", source=str(clip), loop=True)
    time, stop = WaitedClock(), threading.Event()
    source = VideoSource(camera, STRETCHED, Feed(str(clip), str(clip)), stop, pacer=Pacer(stop, time.clock, time.wait))
    left = []
    for _ in range(25):
        assert source.read() is not None
        left.append(time.now)
    source.close()
    assert left == pytest.approx([number / 10 for number in range(25)])


def test_a_stop_ends_the_wait_for_the_next_frame(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", frames=3, fps=1)
    stop = threading.Event()
    source = open_source(CameraConfig(id="gate", source=str(clip)), STRETCHED, stop)
    assert source.read() is not None
    threading.Timer(0.01, stop.set).start()
    assert source.read() is None
    source.close()


def test_a_change_of_the_pictures_size_gives_a_new_placement(tmp_path: Path) -> None:
    wide = write_clip(tmp_path / "wide.h264", width=128, height=64, codec="libx264")
    high = write_clip(tmp_path / "high.h264", width=64, height=128, codec="libx264")
    both = tmp_path / "both.h264"
    both.write_bytes(wide.read_bytes() + high.read_bytes())
    frames = read_all(open_clip(both, LETTERBOXED))
    assert {(f.placement.width, f.placement.height) for f in frames} == {(64, 32), (32, 64)}
    assert all(f.image.shape == (f.placement.height, f.placement.width, 3) for f in frames)
    assert close_to(frames[-1].image[32, 4], LEFT)
    assert close_to(frames[-1].image[32, 28], RIGHT)


def test_a_torn_clip_gives_what_it_has_or_says_why_not(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "a.mp4", frames=50).read_bytes()
    torn = tmp_path / "torn.mp4"
    torn.write_bytes(whole[: len(whole) // 2])  # its index stands at the end
    with pytest.raises(CameraError, match="nothing that is a video"):
        open_clip(torn)
    whole = write_clip(tmp_path / "a.ts", frames=50).read_bytes()
    torn.write_bytes(whole[: len(whole) // 2])
    assert 0 < len(read_all(open_clip(torn))) < 50


def test_damaged_frames_are_left_out_and_counted(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.h264", frames=60, codec="libx264")
    data = bytearray(clip.read_bytes())
    for at in range(len(data) // 4, len(data) // 2):
        data[at] ^= 0x5A
    clip.write_bytes(data)
    source = open_clip(clip)
    frames = read_all(source)
    assert 20 < len(frames) < 60
    assert source.dropped["damaged"] > 0
    numbers = [frame.sequence for frame in frames]
    assert numbers == sorted(set(numbers))


def test_a_stream_joined_between_two_key_frames_begins_at_the_next_one(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.h264", frames=20, codec="libx264")
    data = clip.read_bytes()
    clip.write_bytes(data[data.index(b"\x00\x00\x01\x41") :])  # from the first picture that needs another one
    frames = read_all(open_clip(clip))
    assert 10 < len(frames) < 20
    assert all(close_to(frame.image[32, 16], LEFT) for frame in frames)


def test_a_clip_without_any_good_picture_does_not_loop_for_ever(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.avi", frames=4)
    data = bytearray(clip.read_bytes())
    movie = data.index(b"movi")
    for at in range(movie + 12, data.rindex(b"idx1")):
        if data[at - 8 : at - 4] != b"00dc":
            data[at] = 0
    clip.write_bytes(data)
    with pytest.raises(CameraError):
        read_all(open_clip(clip, loop=True))


def test_a_codec_that_nobody_knows_is_refused_and_does_not_crash_the_process(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", frames=4)
    clip.write_bytes(clip.read_bytes().replace(b"mp4v", b"zz9 ").replace(b"esds", b"free"))
    with pytest.raises(CameraError, match="lacks a decoder"):
        read_all(open_clip(clip))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.binary(max_size=3000),
    head=st.sampled_from([b"", b"\x00\x00\x00\x18ftypmp42", b"\x00\x00\x01\x67", b"RIFF"]),
)
def test_of_random_bytes_comes_nothing_but_a_camera_error(tmp_path: Path, data: bytes, head: bytes) -> None:
    path = tmp_path / "noise.bin"
    path.write_bytes(head + data)
    try:
        read_all(open_clip(path), most=50)
    except CameraError as error:
        assert str(path) in str(error)  # noqa: PT017 - most of them are errors, but not all


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=40))
def test_of_a_damaged_clip_comes_nothing_but_frames_and_a_camera_error(
    tmp_path: Path, edits: list[tuple[float, int]]
) -> None:
    original = tmp_path / "a.mp4"
    if not original.exists():
        write_clip(original, frames=20)
    data = bytearray(original.read_bytes())
    for place, value in edits:
        data[int(place * len(data))] = value
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(data)
    try:
        frames = read_all(open_clip(damaged), most=100)
    except CameraError:
        return
    assert all(frame.image.shape == (64, 64, 3) for frame in frames)


@pytest.mark.parametrize(
    "source",
    [
        "rtsp://user:s3cret@127.0.0.1:1/x",
        "rtsps://user:s3cret@127.0.0.1:1/x",
        "http://user:s3cret@127.0.0.1:1/x?password=s3cret",
        "https://user:s3cret@127.0.0.1:1/x",
        "rtsp://user:s3/cret@127.0.0.1:1/x",
        "rtsp://user:s3cret@127.0.0.1:notaport/x",
    ],
)
def test_no_error_and_no_log_shows_a_password(source: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(CameraError) as caught:
        open_clip(source)
    said = str(caught.value) + repr(caught.value) + caplog.text
    assert "cret" not in said
    assert "user" not in said.replace("user name", "")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_feed_does_not_show_its_url() -> None:
    assert "s3cret" not in repr(Feed("rtsp://user:s3cret@h/x", "rtsp://h"))


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: path.write_bytes(b"")])
def test_what_holds_no_picture_is_said(tmp_path: Path, make: Callable[[Path], object]) -> None:
    path = tmp_path / "empty"
    make(path)
    with pytest.raises(CameraError, match=str(path)):
        open_clip(path)


def read_live(clip: Path, seconds_a_frame: Callable[[int], float]) -> tuple[list[int], int]:
    """Numbers of the frames of a clip watched as a live stream by a box that takes so long for each, and the late."""
    clock, stop = WaitedClock(), threading.Event()
    camera, feed = CameraConfig(id="gate", source="rtsp://camera/"), Feed(str(clip), str(clip), live=True)
    source = VideoSource(camera, STRETCHED, feed, stop, lag=Lag(1.0, clock.clock))
    numbers: list[int] = []
    with contextlib.suppress(CameraError):  # a live stream's end is a fault
        while (frame := source.read()) is not None:
            numbers.append(frame.sequence)
            clock.now += seconds_a_frame(frame.sequence)
    source.close()
    return numbers, source.dropped["late"]


def test_a_box_that_cannot_decode_all_of_a_live_stream_decodes_its_key_frames(tmp_path: Path) -> None:
    numbers, late = read_live(write_clip(tmp_path / "a.mp4", frames=100, fps=25), lambda _: 0.2)
    assert numbers[:5] == [0, 1, 2, 3, 4], "it is not given up at the first frame that is late"
    assert {number % 2 for number in numbers if number > 30} == {0}, "two frames are a group here"
    assert late == 100 - len(numbers) > 30


def test_a_box_that_has_caught_up_decodes_everything_again(tmp_path: Path) -> None:
    numbers, late = read_live(
        write_clip(tmp_path / "a.mp4", frames=200, fps=25), lambda number: 0.2 if number < 50 else 0.001
    )
    assert late > 5
    assert set(range(150, 200)) <= set(numbers)


def test_a_live_stream_that_is_late_for_a_moment_loses_nothing(tmp_path: Path) -> None:
    """A network that stalls gives all at once what it held back."""
    numbers, late = read_live(
        write_clip(tmp_path / "a.mp4", frames=100, fps=25), lambda number: 5.0 if number == 40 else 0.01
    )
    assert (numbers, late) == (list(range(100)), 0)
