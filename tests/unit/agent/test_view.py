"""A view that shows nothing, or shows the same for ever, is noticed; a dark or an empty road is not taken for one."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable, Iterator

import av
import numpy as np
import pytest
from av.video.stream import VideoStream
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.cameras.frame import Wanted
from agent.cameras.table import open_source
from agent.view import QUALITY_OF, ViewFault, ViewWatch, obscured_by
from contracts.config import CameraConfig
from contracts.model_spec import InputSpec
from runtime.pictures import Scaler, clip_frames
from runtime.prepare import Placement
from runtime.results import Picture
from runtime.synthetic_road import RoadSettings, SyntheticRoad
from tests.data import data_dir

SIDE = 384


def road(*, night: bool = False, seed: int = 0, side: int = SIDE) -> Picture:
    return SyntheticRoad(RoadSettings(width=side, height=side, night=night, seed=seed)).frame(100)


@pytest.mark.parametrize(("grey", "fault"), [(0, "black"), (16, "black"), (128, "covered"), (255, "white")])
@pytest.mark.parametrize("noise", [0, 2])
def test_a_picture_of_one_brightness_is_named(grey: int, fault: ViewFault, noise: int) -> None:
    levels = grey + np.random.default_rng(0).normal(0, noise, (SIDE, SIDE, 3))
    picture = np.clip(levels, 0, 255).astype(np.uint8)
    assert obscured_by(picture) == fault
    assert QUALITY_OF[fault] == "obscured"


def test_light_through_fingers_is_covered() -> None:
    slope = np.add.outer(np.linspace(0, 25, SIDE), np.linspace(0, 25, SIDE))[..., np.newaxis]
    picture = 40 + slope + np.random.default_rng(0).normal(0, 2, (SIDE, SIDE, 3))
    assert obscured_by(picture.astype(np.uint8)) == "covered"


@pytest.mark.parametrize("night", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_a_road_is_not_obscured_by_day_or_by_night(night: bool, seed: int) -> None:
    picture = road(night=night, seed=seed)
    assert obscured_by(picture) is None
    assert obscured_by((picture * 0.2).astype(np.uint8)) is None


def test_no_frame_of_a_real_road_is_obscured() -> None:
    for clip in ("intel_car-detection.mp4", "udacity_test_video.mp4"):
        for picture, _ in clip_frames(data_dir() / "videos" / clip, 4, InputSpec(width=SIDE, height=SIDE)):
            assert obscured_by(picture) is None, clip


@settings(max_examples=40, deadline=None)
@given(
    width=st.integers(64, 200),
    height=st.integers(64, 200),
    grey=st.integers(0, 255),
    at=st.integers(0, 2**31),
)
def test_of_any_size_one_brightness_is_obscured_and_a_chequer_of_black_and_white_is_not(
    width: int, height: int, grey: int, at: int
) -> None:
    assert obscured_by(np.full((height, width, 3), grey, np.uint8)) is not None
    checks = np.indices((height, width)).sum(axis=0) // (min(width, height) // 4) % 2 * 255
    assert obscured_by(np.repeat(checks[..., np.newaxis], 3, axis=2).astype(np.uint8)) is None
    assert ViewWatch(60).look(np.random.default_rng(at).integers(0, 256, (height, width, 3), np.uint8), 0.0) != "frozen"


def looks(pictures: Iterable[Picture], fps: float, frozen_after: float = 2.0) -> list[ViewFault | None]:
    watch = ViewWatch(frozen_after)
    return [watch.look(picture, number / fps) for number, picture in enumerate(pictures)]


def test_one_same_picture_is_frozen_after_the_time_and_not_before() -> None:
    picture = road()
    assert looks([picture] * 50, fps=10) == [None] * 20 + ["frozen"] * 30
    assert looks([picture] * 50, fps=10, frozen_after=0) == [None] * 50
    assert looks([picture] * 10, fps=0.1)[:9] == [None] * 9  # a snapshot now and then is not a frozen camera
    assert QUALITY_OF["frozen"] == "stale"


def test_it_is_no_longer_frozen_with_the_first_picture_that_differs() -> None:
    still = road()
    moved = still.copy()
    moved[100:108, 100:112] += 60  # a vehicle far away: 8 x 12 of 384 x 384 pixels
    assert looks([*[still] * 30, moved, still], fps=10)[-4:] == ["frozen", "frozen", None, None]


@settings(max_examples=8, deadline=None)
@given(sigma=st.floats(1.0, 6.0), seed=st.integers(0, 2**31), dark=st.floats(0.1, 1.0))
def test_a_still_scene_with_sensor_noise_is_not_frozen(sigma: float, seed: int, dark: float) -> None:
    chance = np.random.default_rng(seed)
    still = road(night=True, side=192) * dark + 8
    noisy = (np.clip(still + chance.normal(0, sigma, (192, 192, 1)), 0, 255).astype(np.uint8) for _ in range(15))
    assert "frozen" not in looks(noisy, fps=10, frozen_after=1.0)


def test_a_frozen_picture_whose_key_frames_differ_is_frozen_all_the_same() -> None:
    still = road()
    key = still.copy()
    key[::4, ::4][:5] += 3  # one row of twenty, by more than the same picture may differ
    assert looks(([key] + [still] * 14) * 4, fps=10)[-1] == "frozen"


def encoded(pictures: Iterable[Picture], crf: int) -> Iterator[Picture]:
    """The pictures after H.264, two groups and a half of them."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=10)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 768, 432, "yuv420p"
        stream.codec_context.gop_size = 15
        stream.options = {"preset": "veryfast", "tune": "zerolatency", "crf": str(crf)}
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, "bgr24").reformat(format="yuv420p")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    buffer.seek(0)
    scaler = Scaler(lambda width, height: Placement(0, 0, SIDE, SIDE, SIDE, SIDE))
    with av.open(buffer, "r") as container:
        yield from (scaler.scale(frame)[0] for frame in container.decode(video=0))


@pytest.fixture(scope="module")
def scene() -> Picture:
    return next(clip_frames(data_dir() / "videos" / "intel_car-detection.mp4", 1))[0]


@pytest.mark.parametrize("crf", [18, 23, 28, 33])
def test_a_frozen_picture_is_frozen_after_it_was_encoded_again(scene: Picture, crf: int) -> None:
    found = looks(encoded([scene] * 120, crf), fps=10)
    assert found[-1] == "frozen"


@pytest.mark.parametrize("crf", [23, 28])
def test_a_still_night_is_not_frozen_after_it_was_encoded(scene: Picture, crf: int) -> None:
    chance = np.random.default_rng(0)
    night = scene * 0.15 + 8
    noisy = (np.clip(night + chance.normal(0, 2, (432, 768, 1)), 0, 255).astype(np.uint8) for _ in range(25))
    assert "frozen" not in looks(encoded(noisy, crf), fps=10, frozen_after=1.0)


@pytest.mark.parametrize("fault", ["black", "white", "covered", "frozen"])
def test_every_fault_that_the_synthetic_camera_plays_is_found(fault: ViewFault) -> None:
    source = f"synthetic:fps=10,frames=60,fault={fault},fault_from=2,fault_for=3"
    camera = CameraConfig(id="road", source=source, realtime=False)
    opened = open_source(camera, Wanted(InputSpec(width=128, height=128)), threading.Event())
    watch = ViewWatch(1.0)
    found = {frame.sequence: watch.look(frame.image, frame.shown_at) for frame in iter(opened.read, None)}
    begins = 30 if fault == "frozen" else 20  # a second later, by the clock
    assert {number for number, said in found.items() if said == fault} == set(range(begins, 50))
    assert {said for said in found.values() if said != fault} == {None}
