"""A camera is ok only while fresh frames of it are counted, whatever it delivers."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from agent.camera_unit import CameraUnit
from agent.cameras.frame import Frame
from agent.counting.clock import ClockWindow
from agent.counting.totals import LineTotals, in_all
from agent.counting.window import WindowCounts
from agent.model import RunningForm
from contracts.config import CameraConfig, LineConfig, StatesConfig, ZoneConfig
from contracts.errors import DocumentError
from contracts.manifest import Artifact, FileEntry
from contracts.messages import StateNow
from contracts.model_spec import ModelSpec, YoloxOutput
from contracts.output_spec import ClassesOutput
from runtime.prepare import place
from runtime.results import Classes, DensityMap, Detections

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
    assert unit.health(0.0).frames_dropped == {"black": 1}


def test_a_window_of_failures_has_no_count(unit: CameraUnit) -> None:
    unit.stream.sink(a_frame(0), None)
    now = time.monotonic()
    window = unit.close_window(ClockWindow(0.0, 10.0, now - 10, now))
    assert window.count is None
    assert window.frames_dropped == {"model_error": 1}
    assert window.quality != "ok"


def a_form(digest: str, **output: Any) -> RunningForm:
    file = FileEntry(path="model.bin", sha256=digest * 64, size=1)
    artifact = Artifact(
        id=f"a/{digest}", target="a", backend="onnxruntime", precision="fp32", files=(file,), entry="model.bin",
        requires=(), inputs=(), outputs=(),
    )  # fmt: skip
    spec = SPEC.model_copy(update={"output": output["output"]}) if output else SPEC
    return RunningForm(spec, artifact, "f32")


def close(unit: CameraUnit) -> WindowCounts:
    now = time.monotonic()
    return unit.close_window(ClockWindow(0.0, 10.0, now - 10, now))


def test_a_window_names_what_counted_it_in_order_and_nothing_where_no_frame_was(unit: CameraUnit) -> None:
    first, second = a_form("1"), a_form("2")
    unit.stream.begins(first)
    assert close(unit).artifacts == ()
    counted(unit, 1)
    counted(unit, 2)
    unit.stream.begins(second)
    counted(unit, 3)
    assert close(unit).artifacts == (first.artifact.digest, second.artifact.digest)
    counted(unit, 4)
    assert close(unit).artifacts == (second.artifact.digest,)


def test_frames_that_no_model_counts_are_a_model_error_and_no_zero(unit: CameraUnit) -> None:
    unit._capture._change(state="running", problem=None)
    unit.look(time.monotonic(), served=False)
    state = unit.state({}, 0.0)
    assert (state.quality, state.available, state.count) == ("model_error", False, None)
    counted(unit, 1)
    assert unit.state({}, 0.0).quality == "ok"


def test_a_camera_that_is_away_is_so_whether_a_model_runs_or_not(unit: CameraUnit) -> None:
    unit.look(time.monotonic(), served=False)
    assert unit.state({}, 0.0).quality == "no_camera"


def test_another_form_counts_with_its_own_threshold_and_the_tracks_go_on() -> None:
    output = YoloxOutput(decoder="yolox", score=0.5)
    spec = SPEC.model_copy(update={"output": output})
    zone = ZoneConfig(name="all", polygon=((0, 0), (1, 0), (1, 1), (0, 1)))
    unit = CameraUnit(CameraConfig(id="gate", source="synthetic", zone=(zone,)), spec, threading.Condition(), "box")
    seen = Detections(np.array([[0.1, 0.1, 0.5, 0.5]], np.float32), np.array([0.4], np.float32), np.array([0]))

    def count(number: int) -> float | None:
        unit.stream.sink(a_frame(number), seen)
        return unit.state({}, 0.0).count

    unit.stream.begins(a_form("1", output=output))
    assert count(1) == 0.0
    unit.stream.begins(a_form("2", output=output.model_copy(update={"score": 0.3})))
    assert count(2) == 1.0
    unit.stream.begins(a_form("1", output=output))
    assert count(3) == 0.0
    last = unit._last
    assert last is not None
    assert [track.track_id for track in last.counts.tracks] == [1], "the swap forgot what was followed"


def test_a_camera_goes_on_with_other_lines_and_zones_and_keeps_following_what_it_followed() -> None:
    output = YoloxOutput(decoder="yolox", score=0.3)
    spec = SPEC.model_copy(update={"output": output})
    line = LineConfig(name="mid", start=(0, 0.5), end=(1, 0.5))
    camera = CameraConfig(id="gate", source="synthetic", line=(line,))
    unit = CameraUnit(camera, spec, threading.Condition(), "box")
    began = time.monotonic()
    open_window = ClockWindow(0.0, 1000.0, began, began + 1000)

    def see(number: int, y: float) -> None:
        box = np.array([[0.4, y, 0.6, y + 0.2]], np.float32)
        frame = replace(a_frame(number), shown_at=began + number / 10)
        unit.stream.sink(frame, Detections(box, np.array([0.9], np.float32), np.array([0])))

    for number, y in enumerate([0.0, 0.06, 0.12, 0.18, 0.24, 0.30]):
        see(number, y)
    zone = ZoneConfig(name="all", polygon=((0, 0), (1, 0), (1, 1), (0, 1)))
    first = unit.change(camera.model_copy(update={"zone": (zone,)}), open_window.cut(time.monotonic()))
    assert unit.state({}, 0.0).zones == {"all": None}  # no frame has shown it yet
    for number, y in enumerate([0.36, 0.42, 0.48, 0.54, 0.60, 0.66], start=6):
        see(number, y)
    second = unit.close_window(open_window.cut(time.monotonic()))
    assert (first.frames_seen, second.frames_seen) == (6, 6)
    assert (first.zones, set(second.zones)) == ({}, {"all"})
    assert in_all(first.lines["mid"], "in") + in_all(second.lines["mid"], "in") == 1  # one thing, seen on both sides
    assert unit.state({}, 0.0).zones == {"all": 1.0}


def test_what_the_model_cannot_give_is_refused_and_the_camera_goes_on_as_it_was(unit: CameraUnit) -> None:
    counted(unit)
    line = LineConfig(name="mid", start=(0, 0.5), end=(1, 0.5))
    now = time.monotonic()
    with pytest.raises(DocumentError, match="needs a model that gives boxes"):
        unit.change(unit.camera.model_copy(update={"line": (line,)}), ClockWindow(0.0, 10.0, now - 10, now))
    assert unit.camera.line == ()
    assert close(unit).frames_seen == 1


def a_classifier() -> CameraUnit:
    output = ClassesOutput(decoder="classes")
    spec = SPEC.model_copy(update={"labels": ("open", "shut"), "output": output})
    states = StatesConfig(hold_seconds=0.1, unknown_seconds=0.1)
    return CameraUnit(CameraConfig(id="gate", source="x", states=states), spec, threading.Condition(), "box")


def classified(unit: CameraUnit, number: int, shut: float, at: float) -> None:
    """A frame taken at this time, by the source's clock and since 1970."""
    frame = replace(a_frame(number), shown_at=at, wall_time=at)
    probabilities = np.array([1 - shut, shut], np.float32)
    unit.stream.sink(frame, Classes(np.array([0]), np.array([0.5], np.float32), probabilities))


def test_a_classifiers_camera_tells_its_state_and_since_when_and_has_no_count() -> None:
    unit = a_classifier()
    totals = {("gate", "state:state"): LineTotals("c", "s", {"shut": {"in": 3, "out": 0}})}
    for i in range(8):
        classified(unit, i, 0.9 if i >= 4 else 0.1, i / 4)
    now = unit.state(totals, 9.0)
    assert (now.count, now.available, now.lines, now.zones) == (None, True, {}, {})
    assert now.states == {"state": StateNow(state="shut", since="1970-01-01T00:00:01.250Z", entries={"shut": 3})}
    window = close(unit)
    assert (window.count, window.states["state"].last, window.states["state"].entries) == (None, "shut", {"shut": 1})
    unit.stream.sink(a_frame(9), None)
    assert unit.state(totals, 9.0).states["state"] == StateNow(state=None, since=None, entries={"shut": 3})


def test_smoothed_counts_are_shown_and_those_of_the_frames_reported() -> None:
    camera = CameraConfig(id="gate", source="synthetic", smoothing_seconds=1e3)
    unit = CameraUnit(camera, SPEC, threading.Condition(), "box")
    for number, value in enumerate((1.0, 2.0)):
        unit.stream.sink(a_frame(number), DensityMap(np.full((2, 2), value, np.float32)))
    shown = unit.state({}, 0.0).count
    assert shown is not None
    assert 4.0 <= shown < 4.5
    reported = close(unit).count
    assert reported is not None
    assert (reported.min, reported.last) == (4.0, 8.0)


def test_health_tells_what_the_camera_sees_and_what_is_missing_to_judge_it(unit: CameraUnit) -> None:
    drift = unit.health(0.0).drift
    assert drift is not None
    assert (drift.brightness_now, drift.counts.waiting) == (None, "no hour is over yet")
    close(unit)
    counted(unit)
    now = time.monotonic()
    unit.close_window(ClockWindow(10.0, 20.0, now, now + 0.5))
    drift = unit.health(0.0).drift
    assert drift is not None
    assert drift.brightness_now == pytest.approx(127.5, abs=5)


def test_no_window_mixes_two_scales(unit: CameraUnit) -> None:
    counted(unit)
    now = time.monotonic()
    first = unit.change(unit.camera.model_copy(update={"scale": 2.0}), ClockWindow(0.0, 10.0, now - 10, now))
    counted(unit)
    second = close(unit)
    assert first.count is not None
    assert second.count is not None
    assert [(one.scale, one.count.last) for one in (first, second)] == [(None, 2.0), (2.0, 4.0)]  # type: ignore[union-attr]
