"""A camera is ok only while fresh frames of it are counted, whatever it delivers."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from agent.camera_unit import CameraUnit
from agent.cameras.frame import Frame
from agent.counting.clock import ClockWindow
from contracts.config import CameraConfig
from contracts.model_spec import ModelSpec
from runtime.prepare import place
from runtime.results import DensityMap

SPEC = ModelSpec.model_validate(
    {
        "name": "m",
        "version": "1.0.0",
        "labels": ["vehicle"],
        "input": {"width": 64, "height": 64},
        "output": {"decoder": "density"},
    }
)


@pytest.fixture
def unit() -> CameraUnit:
    camera = CameraConfig(id="gate", source="synthetic", stale_after=1)
    return CameraUnit(camera, SPEC, threading.Condition(), "box")


def a_frame(number: int, *, grey: int | None = None) -> Frame:
    image = np.random.default_rng(number).integers(0, 256, (64, 64, 3), np.uint8)
    now = time.monotonic()
    return Frame(image if grey is None else np.full_like(image, grey), place(SPEC.input, 64, 64), number, now, now, now)


def counted(unit: CameraUnit, number: int = 0) -> Frame:
    frame = a_frame(number)
    unit.stream.sink(frame, DensityMap(np.full((2, 2), 0.5, np.float32)))
    return frame


def test_a_counted_frame_makes_it_ok_with_its_count(unit: CameraUnit) -> None:
    counted(unit, 7)
    state = unit.state({}, 0.0)
    assert (state.quality, state.available, state.count, state.frame) == ("ok", True, 2.0, 7)


def test_a_model_that_fails_leaves_no_count_and_is_counted_as_a_dropped_frame(unit: CameraUnit) -> None:
    counted(unit)
    unit.stream.sink(a_frame(1), None)
    state = unit.state({}, 0.0)
    assert (state.quality, state.available, state.count) == ("model_error", False, None)
    assert unit.health(0.0).frames_dropped == {"model_error": 1}


def test_a_black_view_is_not_given_to_the_model_and_said_to_be_obscured(unit: CameraUnit) -> None:
    counted(unit)
    assert not unit.stream.worth(a_frame(1, grey=0))
    state = unit.state({}, 0.0)
    assert (state.quality, state.count) == ("obscured", None)
    assert unit.health(0.0).frames_dropped == {"obscured": 1}


def test_a_window_of_failures_has_no_count(unit: CameraUnit) -> None:
    unit.stream.sink(a_frame(0), None)
    now = time.monotonic()
    window = unit.close_window(ClockWindow(0.0, 10.0, now - 10, now))
    assert window.count is None
    assert window.frames_dropped == {"model_error": 1}
    assert window.quality != "ok"
