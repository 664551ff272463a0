"""A classifier is judged by how many of its answers are right, not by what could be counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from converters.ladder import _problem
from converters.material import Material
from converters.preparing import Prepared, prepare
from converters.request import Request
from converters.source import open_model
from converters.trial import try_lanes
from runtime.backends.base import Lane
from runtime.backends.table import open_lanes
from runtime.model_dir import read_model_dir
from runtime.results import Classes, Tensors
from tests.unit.agent.cameras.clips import write_picture
from tests.unit.converters.networks import SIDE, finish

PICTURES = 20


def classifier() -> onnx.ModelProto:
    """``image`` to ``answer`` ``(1, 2)``: whether the picture's left half is brighter than its right."""
    halves = np.zeros((2, 3, SIDE, SIDE), np.float32)
    halves[0, :, :, : SIDE // 2] = halves[1, :, :, SIDE // 2 :] = 10 / (3 * SIDE * SIDE)
    nodes = [
        helper.make_node("Conv", ["image", "halves"], ["sums"], name="halves"),
        helper.make_node("Flatten", ["sums"], ["flat"]),
        helper.make_node("Softmax", ["flat"], ["answer"], axis=1),
    ]
    return finish(
        nodes,
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, SIDE, SIDE))],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, (1, 2))],
        [numpy_helper.from_array(halves, "halves")],
    )


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("answers")
    onnx.save(classifier(), folder / "model.onnx")
    (folder / "model.toml").write_text(
        'name = "sides"\nversion = "1.0.0"\nlabels = ["left", "right"]\n'
        f"[input]\nwidth = {SIDE}\nheight = {SIDE}\nmean = [127.0]\nstd = [20.0]\n"
        '[output]\ndecoder = "classes"\n'
    )
    for name in ("scratch", "shown"):
        (folder / name).mkdir()
    for number in range(2 * PICTURES):
        picture = np.full((SIDE, SIDE, 3), 100, np.uint8)
        picture[:, SIDE // 2 * (number % 2) :][:, : SIDE // 2] += np.uint8(20 + number)
        write_picture(folder / "shown" / f"{number:02}.png", picture)
    request = Request(folder, folder / "out", calibration=folder / "shown", pictures=PICTURES)
    return prepare(request, open_model(read_model_dir(folder)), folder / "scratch", lambda _: None)


@pytest.fixture
def material(prepared: Prepared) -> Material:
    return prepared.material


@pytest.fixture
def lane(prepared: Prepared) -> Lane:
    assert prepared.folded.file is not None
    (lane,) = open_lanes("onnxruntime", prepared.folded.file)
    return lane


class Contrary:
    """Answers every fourth picture the other way round."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._asked = 0

    def infer(self, tensors: Tensors) -> Tensors:
        ((name, value),) = self._lane.infer(tensors).items()
        self._asked += 1
        return {name: value[:, ::-1] if self._asked % 4 == 0 else value}

    def close(self) -> None:
        self._lane.close()


def test_fp32_gives_the_answers_that_are_expected(material: Material) -> None:
    answers = material.evaluation.answers
    assert answers is not None
    assert {int(answer.class_ids[0]) for answer in answers if isinstance(answer, Classes)} == {0, 1}, "both occur"
    np.testing.assert_array_equal(material.truth.true, np.ones(PICTURES))
    np.testing.assert_array_equal(material.truth.reference, np.ones(PICTURES))


def test_the_same_answers_lose_nothing(lane: Lane, material: Material) -> None:
    trial = try_lanes([lane], material, "f32", None)
    assert (trial.accuracy.verdict, trial.accuracy.loss, trial.tuned) == ("passed", 0.0, None)
    assert _problem(trial, material) is None


def test_other_answers_are_a_loss_of_their_share(lane: Lane, material: Material) -> None:
    trial = try_lanes([Contrary(lane)], material, "f32", None)
    assert trial.accuracy.verdict == "failed"
    assert trial.accuracy.loss == pytest.approx(0.25, abs=0.06)


def test_the_sentence_speaks_of_answers(lane: Lane, material: Material) -> None:
    trial = try_lanes([Contrary(lane)], material, "f32", None)
    unproven = replace(trial, parity=trial.parity.model_copy(update={"decoded": None}))
    problem = _problem(unproven, material)
    assert problem is not None
    assert "of the answers that FP32 gives on 20 pictures are its own, the budget is 99.00%" in problem
