"""Brightness and sharpness: blur is seen, light and contrast are not taken for it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.drift.rules import BLURRED
from agent.drift.sight import sight_of
from contracts.model_spec import InputSpec
from runtime.pictures import clip_frames
from runtime.results import Picture
from runtime.synthetic_road import RoadSettings, SyntheticRoad
from tests.data import data_dir
from tools.drift_sim.clips import blurred

ROAD = SyntheticRoad(RoadSettings(width=384, height=384)).frame(100)


def sharpness(picture: Picture) -> float:
    sight = sight_of(picture)
    assert sight is not None
    return sight.sharpness


@pytest.mark.parametrize("clip", ["ahmetozlu_vehicle_survaillance.mp4", "intel_car-detection.mp4"])
def test_a_real_clip_out_of_focus_by_a_pixel_is_below_the_threshold_and_a_usual_one_is_not(clip: str) -> None:
    frames = [
        frame.copy() for frame, _ in clip_frames(data_dir() / "videos" / clip, 4, InputSpec(width=384, height=384))
    ]
    usual = float(np.median([sharpness(frame) for frame in frames]))
    assert min(sharpness(frame) for frame in frames) > BLURRED * usual
    assert max(sharpness(blurred(frame, 1.0)) for frame in frames) < BLURRED * usual


def test_the_more_blur_the_less_sharp() -> None:
    steps = [sharpness(blurred(ROAD, sigma)) for sigma in (0.0, 0.5, 1.0, 1.5)]
    assert steps == sorted(steps, reverse=True)
    assert len(set(steps)) == 4


@given(gain=st.floats(0.3, 1.0))
@settings(max_examples=20)
def test_a_darker_picture_is_as_sharp(gain: float) -> None:
    dim = (ROAD * gain).astype(np.uint8)
    assert sharpness(dim) == pytest.approx(sharpness(ROAD), rel=0.1)


@given(st.integers(0, 255))
@settings(max_examples=20)
def test_brightness_is_the_mean_and_a_smooth_picture_is_not_judged(level: int) -> None:
    assert sight_of(np.full((64, 64, 3), level, np.uint8)) is None
    picture = np.full((64, 64, 3), level, np.uint8)
    picture[:, ::2] = 255 - level
    sight = sight_of(picture)
    assert sight is None or sight.brightness == pytest.approx(127.5)


@given(st.integers(1, 40), st.integers(1, 40))
def test_any_size_is_looked_at(height: int, width: int) -> None:
    sight = sight_of(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))
    assert sight is None or (0 <= sight.brightness <= 255 and sight.sharpness >= 0)
