"""What of a picture may be shown: what the configuration names is hidden, and where that cannot be told all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.check import check_config
from agent.page.ports import Look
from agent.privacy.hiding import WHOLE, Box, hide_boxes
from agent.privacy.redact import Redactor
from agent.privacy.regions import parts_of
from contracts.config import AgentConfig, Blurred, BrokerConfig, CameraConfig, MaskConfig, Point, PrivacyConfig
from contracts.errors import ArtifactError
from runtime.results import DensityMap, Detections, Picture
from tests.fakes.rpc import look

Polygon = tuple[Point, ...]
LABELS = ("person", "car", "dog", "License-Plate", "face")
BOXES = {"person": (0.1, 0.1, 0.2, 0.9), "car": (0.5, 0.5, 0.9, 0.9), "dog": (0.3, 0.0, 0.4, 0.1)}


class FakeFaces:
    """Finds what a test says."""

    def __init__(self, *found: Box, error: Exception | None = None) -> None:
        self._found = found
        self._error = error

    def find(self, picture: Picture, aspect: float) -> list[Box]:
        if self._error is not None:
            raise self._error
        return list(self._found)


def seen(*labels: str, known: tuple[str, ...] = LABELS, **more: Any) -> Look:
    found = Detections(
        np.array([BOXES[label] for label in labels], np.float32).reshape(-1, 4),
        np.full(len(labels), 0.5, np.float32),
        np.array([known.index(label) for label in labels], np.int64),
    )
    return look(height=200, width=200, aspect=1.0, result=found, labels=known, **more)


def redacted(
    one: Look, faces: FakeFaces | None = None, *, blur: tuple[Blurred, ...] = (), masks: tuple[Polygon, ...] = ()
) -> Picture:
    camera = CameraConfig(id="gate", source="synthetic", mask=tuple(MaskConfig(polygon=one) for one in masks))
    return Redactor(PrivacyConfig(blur=blur), lambda: [camera], faces)(one)


def only(one: Look, *boxes: Box) -> Picture:
    picture = one.image.copy()
    hide_boxes(picture, boxes)
    return picture


def whole(one: Look) -> Picture:
    return only(one, WHOLE)


def test_nothing_is_hidden_where_nothing_is_to_be() -> None:
    one = seen("person")
    assert redacted(one) is one.image


@pytest.mark.parametrize(
    ("what", "box"),
    [
        ("people", (0.1, 0.1, 0.2, 0.9)),
        ("faces", (0.1, 0.1, 0.2, 0.26)),  # the upper fifth
        ("plates", (0.5, 0.7, 0.9, 0.9)),  # the lower half
    ],
)
def test_that_part_is_hidden_that_was_named_and_no_other(what: Blurred, box: Box) -> None:
    one = seen("person", "car", "dog")
    before = one.image.copy()
    expected = np.array(parts_of(one, what))
    np.testing.assert_allclose(expected, [box], atol=1e-6)
    assert (redacted(one, blur=(what,)) == only(one, tuple(expected[0]))).all()
    assert (one.image == before).all(), "others look at the same picture"


@pytest.mark.parametrize(("aspect", "height"), [(1.0, 0.24), (2.0, 0.48), (9.0, 0.5)])
def test_of_who_is_seen_from_the_waist_up_more_is_hidden(aspect: float, height: float) -> None:
    box = np.array([[0.2, 0.4, 0.5, 0.9]], np.float32)
    found = Detections(box, np.ones(1, np.float32), np.zeros(1, np.int64))
    parts = parts_of(look(result=found, labels=("person",), aspect=aspect), "faces")
    assert parts is not None
    ((x1, y1, x2, y2),) = parts
    assert (x1, y1, x2) == pytest.approx((0.2, 0.4, 0.5))
    assert y2 - y1 == pytest.approx(height)


@pytest.mark.parametrize(("label", "what"), [("face", "faces"), ("License-Plate", "plates")])
def test_a_model_that_finds_faces_or_plates_itself_is_believed(label: str, what: Blurred) -> None:
    box = np.array([[0.125, 0.125, 0.25, 0.25]], np.float32)
    found = Detections(box, np.ones(1, np.float32), np.zeros(1, np.int64))
    assert parts_of(look(result=found, labels=(label,)), what) == [(0.125, 0.125, 0.25, 0.25)]


@pytest.mark.parametrize("what", ["faces", "plates", "people"])
@pytest.mark.parametrize(
    "one",
    [
        look(height=200, width=200, result=None),
        look(height=200, width=200, result=DensityMap(np.zeros((4, 4), np.float32)), labels=LABELS),
        seen("dog", known=("dog", "cat")),
        seen(known=()),
    ],
    ids=["nothing asked", "density", "other things", "no labels"],
)
def test_where_it_cannot_be_told_the_whole_picture_is_hidden(one: Look, what: Blurred) -> None:
    assert (redacted(one, blur=(what,)) == whole(one)).all()


def test_one_of_several_that_cannot_be_told_is_enough_to_hide_all() -> None:
    one = seen("person", known=("person",))
    assert (redacted(one, blur=("people", "plates")) == whole(one)).all()


def test_a_face_model_serves_where_the_counting_model_cannot() -> None:
    one = look(height=200, width=200, result=DensityMap(np.zeros((4, 4), np.float32)))
    face = (0.4, 0.4, 0.6, 0.6)
    assert (redacted(one, FakeFaces(face), blur=("faces",)) == only(one, face)).all()


def test_both_models_count_where_both_know() -> None:
    one, face = seen("person"), (0.4, 0.4, 0.6, 0.6)
    expected = only(one, *(parts_of(one, "faces") or ()), face)
    assert (redacted(one, FakeFaces(face), blur=("faces",)) == expected).all()


@pytest.mark.parametrize("error", [ArtifactError("no such bundle"), ZeroDivisionError()])
def test_a_face_model_that_fails_shows_nothing(error: Exception) -> None:
    one = seen("person")
    assert (redacted(one, FakeFaces(error=error), blur=("faces",)) == whole(one)).all()


def test_a_box_that_is_no_number_shows_nothing() -> None:
    found = Detections(np.full((1, 4), np.nan, np.float32), np.ones(1, np.float32), np.zeros(1, np.int64))
    with pytest.raises(ValueError, match="NaN"):
        redacted(look(result=found, labels=("person",)), blur=("people",))


def test_a_mask_is_black_whatever_else_is_shown() -> None:
    half = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
    blurs: tuple[tuple[Blurred, ...], ...] = ((), ("people",))
    for blur in blurs:
        one = seen("person")
        picture = redacted(one, masks=(half,), blur=blur)
        assert (picture[:, :100] == 0).all()
        assert (picture[:, 102:] == one.image[:, 102:]).all()


def test_the_masks_of_a_camera_that_is_gone_are_not_known_so_nothing_is_shown() -> None:
    with pytest.raises(ArtifactError, match="not configured any more"):
        redacted(seen("person", camera="yard"))


def test_a_detector_of_what_is_not_hidden_is_refused() -> None:
    with pytest.raises(ValueError, match="add \"faces\" to 'blur'"):
        PrivacyConfig(faces="b")


def test_a_check_of_the_configuration_tries_the_face_detector(tmp_path: Path) -> None:
    camera = CameraConfig(id="gate", source="synthetic")
    config = AgentConfig(
        device="box-1",
        bundle=str(tmp_path / "none.bundle"),
        state_dir=str(tmp_path / "state"),
        broker=BrokerConfig(host="127.0.0.1"),
        privacy=PrivacyConfig(blur=("faces",), faces=str(tmp_path / "faces.bundle")),
        camera=(camera,),
    )
    found = {finding.what: finding for finding in check_config(config, broker=False)}
    assert not found["privacy.faces"].passed
    assert "faces.bundle: expected a bundle" in found["privacy.faces"].text
