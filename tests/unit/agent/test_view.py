"""A view that shows nothing is noticed; a dark road is not taken for one."""

from __future__ import annotations

import numpy as np
import pytest

from agent.view import is_obscured
from runtime.synthetic_road import RoadSettings, SyntheticRoad


@pytest.mark.parametrize("grey", [0, 16, 128, 255])
def test_a_picture_of_one_brightness_is_obscured_with_or_without_sensor_noise(grey: int) -> None:
    noise = np.random.default_rng(0).integers(-1, 2, (384, 384, 3))
    assert is_obscured(np.full((384, 384, 3), grey, np.uint8))
    assert is_obscured(np.clip(grey + noise, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("night", [False, True])
def test_a_road_is_not_obscured_by_day_or_by_night(night: bool) -> None:
    road = SyntheticRoad(RoadSettings(width=384, height=384, night=night))
    assert not is_obscured(road.frame(100))
