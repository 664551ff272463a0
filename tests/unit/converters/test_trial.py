"""A trial pairs every output with its picture, tunes only what was rounded, and refuses what is no result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from contracts.errors import ArtifactError
from converters.artifacts import checking_lanes
from converters.families import onnxruntime as onnx_family
from converters.families.base import Recipe
from converters.material import Material
from converters.preparing import Prepared
from converters.trial import try_lanes
from runtime.backends.base import Lane
from runtime.backends.table import open_lanes
from runtime.results import Array, Tensors
from tests.unit.converters.materials import PICTURES, target, tiny

EXACT = 1e-3


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def material(prepared: Prepared) -> Material:
    return prepared.material


class ChangedLane:
    """A real lane whose output a test changes; it gives the same memory every time, as a lane may."""

    def __init__(self, lane: Lane, scale: float = 1.0, shift: float = 0.0) -> None:
        self._lane = lane
        self._scale = scale
        self._shift = shift
        self._memory: Array = np.zeros((1, 1, 16, 16), np.float32)

    def infer(self, tensors: Tensors) -> Tensors:
        ((name, value),) = self._lane.infer(tensors).items()
        self._memory[:] = value * self._scale + self._shift
        return {name: self._memory}

    def close(self) -> None:
        self._lane.close()


class WrongLane(ChangedLane):
    """Gives an output of another name or shape."""

    def __init__(self, lane: Lane, name: str = "density", rows: int = 16) -> None:
        super().__init__(lane)
        self._given = {name: np.full((1, 1, rows, 16), 0.1, np.float32)}

    def infer(self, tensors: Tensors) -> Tensors:
        assert tensors
        return self._given


@pytest.fixture
def lanes(prepared: Prepared) -> Iterator[list[Lane]]:
    assert prepared.folded.file is not None
    opened = open_lanes("onnxruntime", prepared.folded.file, lanes=3)
    yield opened
    for lane in opened:
        lane.close()


@pytest.mark.parametrize("number", [1, 2, 3])
def test_however_many_lanes_share_the_work_each_output_belongs_to_its_picture(
    number: int, lanes: list[Lane], material: Material
) -> None:
    trial = try_lanes([ChangedLane(lane) for lane in lanes[:number]], material, "f32", EXACT)
    assert trial.parity.passed
    assert trial.parity.frames == PICTURES
    assert trial.accuracy.loss < 1e-5
    assert trial.accuracy.n == PICTURES
    assert trial.tuned is None


def test_pictures_in_another_order_would_show(lanes: list[Lane], material: Material) -> None:
    """The test above is worth something only if the pictures differ."""
    turned = replace(material, reference=material.reference[::-1])
    assert not try_lanes(lanes, turned, "f32", EXACT).parity.passed


def test_what_rounding_shifted_is_tuned_on_the_calibration_pictures(lanes: list[Lane], material: Material) -> None:
    trial = try_lanes([ChangedLane(lane, scale=0.9) for lane in lanes], material, "f32", None)
    assert trial.tuned is not None
    assert trial.tuned.scale == pytest.approx(1 / 0.9, rel=1e-4)
    assert trial.accuracy.loss < 1e-4
    assert trial.parity.outputs[0].max_error == pytest.approx(0.1, rel=0.01), "the raw output stays what it is"
    assert trial.parity.decoded is not None
    assert trial.parity.decoded.max_error < 1e-4, "the result is decoded as the device will"


def test_what_was_not_rounded_is_never_tuned_but_held_to_its_numbers(lanes: list[Lane], material: Material) -> None:
    trial = try_lanes([ChangedLane(lane, scale=0.9) for lane in lanes], material, "f32", EXACT)
    assert trial.tuned is None
    assert not trial.parity.passed


@pytest.mark.parametrize("tolerance", [None, EXACT])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none_are_refused(
    value: float, tolerance: float | None, lanes: list[Lane], material: Material
) -> None:
    with pytest.raises(ArtifactError, match=r"NaN or infinity|not finite"):
        try_lanes([ChangedLane(lane, shift=value) for lane in lanes], material, "f32", tolerance)


@pytest.mark.parametrize("tolerance", [None, EXACT])
@pytest.mark.parametrize(("name", "rows"), [("other", 16), ("density", 8)])
def test_an_output_of_another_name_or_size_is_refused(
    name: str, rows: int, tolerance: float | None, lanes: list[Lane], material: Material
) -> None:
    with pytest.raises(ArtifactError, match="'density' is missing, of another shape"):
        try_lanes([WrongLane(lane, name, rows) for lane in lanes], material, "f32", tolerance)


def test_the_real_artifact_of_a_family_is_tried_on_lanes_for_all_cores(
    prepared: Prepared, tmp_path_factory: pytest.TempPathFactory
) -> None:
    emitted = onnx_family.emit(prepared.job(target()), Recipe("fp32"), tmp_path_factory.mktemp("fp32"))
    with checking_lanes(target(), emitted, "f32") as opened:
        trial = try_lanes(opened, prepared.material, "f32", EXACT)
    assert trial.parity.passed
    assert trial.accuracy.verdict == "passed"


class CountingLane(ChangedLane):
    """Counts how often it is asked."""

    asked = 0

    def infer(self, tensors: Tensors) -> Tensors:
        self.asked += 1
        return super().infer(tensors)


def test_no_picture_is_run_twice(lanes: list[Lane], material: Material) -> None:
    lane = CountingLane(lanes[0])
    trial = try_lanes(
        [lane], replace(material, frames=material.frames[::4], reference=material.reference[::4]), "f32", EXACT
    )
    assert (trial.parity.frames, trial.accuracy.n) == (PICTURES // 4, PICTURES)
    assert trial.accuracy.loss < 1e-5, "each count belongs to its picture"
    assert lane.asked == PICTURES
