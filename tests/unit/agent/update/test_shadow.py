"""Frames for the new model are left by the way, and made fit for it where it wants another size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agent.cameras.frame import Frame
from agent.update.comparison import THINGS, Seen
from agent.update.shadow import Refitter, ShadowTap, seen_of
from contracts.config import CameraConfig
from contracts.model_spec import InputSpec, ModelSpec
from runtime.prepare import place
from runtime.results import UNSURE, Classes, DensityMap, Detections, Landmarks

NOTHING = Detections.none()


def frame(at: float = 0.0, spec: InputSpec | None = None, source: tuple[int, int] = (1920, 1080)) -> Frame:
    placement = place(spec or InputSpec(width=64, height=64), *source)
    ramp = np.linspace(0, 255, placement.width, dtype=np.uint8)
    image = np.repeat(np.tile(ramp, (placement.height, 1))[:, :, np.newaxis], 3, axis=2)
    return Frame(image, placement, 0, at, at, at)


class TestTap:
    """It costs nothing where it is full, and gives no more than is asked for."""

    def test_one_frame_of_each_camera_waits_and_the_others_go_by(self) -> None:
        tap = ShadowTap(1.0)
        for camera in ("a", "b", "a"):
            tap.offer(camera, frame(), NOTHING)
        taken = [tap.take(0), tap.take(0), tap.take(0)]
        assert [one and one.camera for one in taken] == ["a", "b", None]

    def test_what_waits_is_not_replaced_however_slow_the_new_model_is(self) -> None:
        tap = ShadowTap(1.0)
        for at in (0.0, 10.0, 20.0):
            tap.offer("a", frame(at=at), NOTHING)
        taken = tap.take(0)
        assert taken is not None
        assert taken.frame.captured_at == 0.0
        assert tap.take(0) is None

    def test_no_more_come_than_the_rate_that_is_wanted(self) -> None:
        tap = ShadowTap(2.0)
        given = []
        for n in range(100):
            tap.offer("a", frame(at=n / 10), NOTHING)
            one = tap.take(0)
            given += [] if one is None else [one.frame.captured_at]
        assert given == [n / 2 for n in range(20)]

    def test_a_frame_that_the_old_model_failed_on_compares_nothing(self) -> None:
        tap = ShadowTap(1.0)
        tap.offer("a", frame(), None)
        assert tap.take(0) is None

    def test_closed_it_holds_no_frame(self) -> None:
        tap = ShadowTap(1.0)
        tap.offer("a", frame(), NOTHING)
        tap.close()
        tap.offer("b", frame(), NOTHING)
        assert tap.take(60.0) is None


SHAPES = [
    {"width": 64, "height": 64},
    {"width": 640, "height": 640, "resize": "letterbox"},
    {"width": 320, "height": 256, "resize": "letterbox-topleft"},
    {"width": 416, "height": 416, "resize": "letterbox"},
]


class TestRefitter:
    """A frame that was scaled for one model is made fit for another."""

    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize("source", [(1920, 1080), (1366, 768), (640, 480), (721, 1283)])
    def test_the_same_size_is_the_very_same_picture(self, shape: Any, source: tuple[int, int]) -> None:
        spec = InputSpec(**shape)
        one = frame(spec=spec, source=source)
        picture, placement = Refitter(spec)(one)
        assert picture is one.image
        assert (placement.left, placement.top, placement.width) == (
            one.placement.left,
            one.placement.top,
            one.placement.width,
        )
        assert placement.aspect == pytest.approx(one.placement.aspect, rel=1e-3)

    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize("other", SHAPES)
    def test_another_size_shows_the_whole_view_where_a_camera_would(self, shape: Any, other: Any) -> None:
        one, spec = frame(spec=InputSpec(**shape)), InputSpec(**other)
        picture, placement = Refitter(spec)(one)
        wanted = place(spec, 1920, 1080)
        assert picture.shape == (placement.height, placement.width, 3)
        assert abs(placement.width - wanted.width) <= 1
        assert abs(placement.height - wanted.height) <= 1
        assert placement.aspect == pytest.approx(16 / 9, rel=0.01)
        row = picture[placement.height // 2, :, 0].astype(int)
        assert row[0] < 8
        assert row[-1] > 247
        assert (np.diff(row) >= 0).all()


def spec(decoder: str, labels: tuple[str, ...], **output: Any) -> ModelSpec:
    return ModelSpec.model_validate(
        {
            "name": "m",
            "version": "1.0.0",
            "labels": labels,
            "input": {"width": 64, "height": 64},
            "output": {"decoder": decoder, **output},
        }
    )


CAMERA = CameraConfig(id="gate", source="synthetic")


def test_boxes_above_the_threshold_are_counted_by_label_and_doubles_once() -> None:
    boxes = np.array([[0, 0, 0.2, 0.2], [0, 0, 0.2, 0.2], [0.5, 0.5, 0.9, 0.9], [0.1, 0.6, 0.2, 0.9]], np.float32)
    found = Detections(boxes, np.array([0.9, 0.8, 0.7, 0.4], np.float32), np.array([0, 1, 1, 0]))
    model = spec("yolox", ("car", "van", "bus"), score=0.5)
    assert seen_of(found, model, CAMERA) == Seen({"car": 1.0, "van": 1.0, "bus": 0.0})
    lower = CAMERA.model_copy(update={"score": 0.3})
    assert seen_of(found, model, lower) == Seen({"car": 2.0, "van": 1.0, "bus": 0.0})


def test_a_density_map_is_summed_and_scaled_as_the_camera_s_counts_are() -> None:
    scaled = CAMERA.model_copy(update={"scale": 1.5})
    seen = seen_of(DensityMap(np.full((2, 2), 0.5, np.float32)), spec("density", ("car",)), scaled)
    assert seen.amounts == pytest.approx({THINGS: 3.0})


def test_a_classifier_answers_its_questions() -> None:
    heads = [{"output": "gate", "labels": ["open", "closed"]}, {"output": "light", "labels": ["on", "off"]}]
    model = spec("classes", ("open", "closed", "on", "off"), head=heads)
    said = Classes(np.array([1, UNSURE]), np.array([0.9, 0.4], np.float32), np.zeros(4, np.float32))
    assert seen_of(said, model, CAMERA) == Seen(answers={"gate": "closed", "light": "unsure"})


def test_landmarks_are_counted_by_nothing() -> None:
    points = Landmarks(np.zeros((1, 2), np.float32), None, np.ones(1, bool))
    with pytest.raises(TypeError, match="Landmarks"):
        seen_of(points, spec("density", ("car",)), CAMERA)
