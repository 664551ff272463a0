"""Cutting a network at named tensors, and running the two halves as one lane."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from contracts.errors import ArtifactError, DocumentError, ModelFileError
from converters.read import read_onnx
from converters.stages import HOST_FILE, cut, host_stage, with_ends
from runtime.artifact_lanes import StagedLane, with_rest
from runtime.backends.table import open_lanes
from runtime.model_dir import read_model_dir
from tests.unit.converters.networks import SIDE, input_spec
from tests.unit.converters.staged_net import ENDS, two_stage_net, write_two_stages

PICTURE = np.random.default_rng(1).uniform(-2, 2, (1, 3, SIDE, SIDE)).astype(np.float32)


def read(folder: Path) -> onnx.ModelProto:
    file = folder / "whole.onnx"
    onnx.save(two_stage_net(), file)
    return read_onnx(file, input_spec())


def halves(folder: Path) -> tuple[Path, Path]:
    file = folder / "whole.onnx"
    for name, part in zip(("first.onnx", HOST_FILE), cut(file, with_ends(file, read(folder), ENDS), ENDS), strict=True):
        onnx.save(part, folder / name)
    return folder / "first.onnx", folder / HOST_FILE


def test_both_halves_in_turn_compute_what_the_whole_does(tmp_path: Path) -> None:
    first, rest = halves(tmp_path)
    (whole,) = open_lanes("onnxruntime", tmp_path / "whole.onnx")
    (staged,) = with_rest(open_lanes("onnxruntime", first), rest, ENDS)
    expected, came = whole.infer({"image": PICTURE}), staged.infer({"image": PICTURE})
    assert expected["detection_out"].shape[2] > 0
    assert came.keys() == expected.keys()
    np.testing.assert_allclose(came["detection_out"], expected["detection_out"], rtol=1e-5)
    staged.close()
    staged.close()


def test_what_goes_between_is_shown_where_asked_for(tmp_path: Path) -> None:
    first, rest = halves(tmp_path)
    (staged,) = with_rest(open_lanes("onnxruntime", first), rest, ENDS, shown=True)
    assert staged.infer({"image": PICTURE}).keys() == {*ENDS, "detection_out"}


def test_a_first_stage_that_lacks_a_tensor_is_named(tmp_path: Path) -> None:
    first, rest = halves(tmp_path)
    (lane,), (after,) = open_lanes("onnxruntime", first), open_lanes("onnxruntime", rest)
    staged = StagedLane(lane, after, (*ENDS, "masks"))
    with pytest.raises(ArtifactError, match="expected output 'masks' of the first stage, got features, objectness"):
        staged.infer({"image": PICTURE})


def test_lanes_are_closed_where_the_rest_does_not_open(tmp_path: Path) -> None:
    class Counting:
        closed = 0

        def infer(self, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            return tensors

        def close(self) -> None:
            self.closed += 1

    lane = Counting()
    with pytest.raises(ArtifactError, match=r"missing\.onnx"):
        with_rest([lane], tmp_path / "missing.onnx", ENDS)  # type: ignore[list-item] # it computes nothing
    assert lane.closed == 1


def test_a_tensor_that_is_not_there_is_named_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(
        ModelFileError, match="names 'feature', which the network does not have; did you mean 'features'"
    ):
        with_ends(Path("m.onnx"), read(tmp_path), ("feature",))


@pytest.mark.parametrize("name", ["image", "detection_out"])
def test_the_networks_own_ends_are_no_place_to_cut(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelFileError, match=f"names '{name}', which is an end of the whole network"):
        with_ends(Path("m.onnx"), read(tmp_path), (name,))


def test_a_second_stage_that_needs_more_is_refused(tmp_path: Path) -> None:
    ends = ("features",)
    with pytest.raises(ModelFileError, match=r"takes more than these tensors .* name all of them in 'stage\.ends'"):
        cut(Path("m.onnx"), with_ends(Path("m.onnx"), _without_objectness(read(tmp_path)), ends), ends)


def _without_objectness(model: onnx.ModelProto) -> onnx.ModelProto:
    """Its second stage reads the picture too."""
    for node in model.graph.node:
        if list(node.output) == ["objectness"]:
            node.input[0] = "a"
    return model


def test_a_tensor_that_the_second_stage_does_not_take_is_refused(tmp_path: Path) -> None:
    ends = (*ENDS, "a")
    with pytest.raises(ModelFileError, match="names 'a', which the next stage does not take"):
        cut(Path("m.onnx"), with_ends(Path("m.onnx"), read(tmp_path), ends), ends)


def test_sizes_that_depend_on_the_picture_are_told_apart(tmp_path: Path) -> None:
    _, rest = halves(tmp_path)
    described = host_stage("heads", rest, f"artifacts/x/{HOST_FILE}")
    assert [tensor.shape for tensor in described.inputs] == [(1, 8, 16, 16), (1, 1, 16, 16)]
    assert [tensor.shape for tensor in described.outputs] == [(1, 1, -1, 7)]


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ('[[stage]]\nname = "one"\nends = ["a"]\n', "twice"),
        ('[[stage]]\nname = "one"\n[[stage]]\nname = "two"\n', "name tensors in the first stage"),
        ('[[stage]]\nname = "one"\nends = ["a"]\n[[stage]]\nname = "two"\nends = ["b"]\n', "left out of the last"),
        ('[[stage]]\nname = "one"\nends = ["a"]\n[[stage]]\nname = "one"\n', "should differ"),
        ('[[stage]]\nname = "one"\nends = ["a", "a"]\n[[stage]]\nname = "two"\n', "each tensor once"),
    ],
)
def test_stages_that_make_no_sense_are_refused(tmp_path: Path, written: str, problem: str) -> None:
    folder = write_two_stages(tmp_path)
    text = (folder / "model.toml").read_text()
    (folder / "model.toml").write_text(text[: text.index("[[stage]]")] + written)
    with pytest.raises(DocumentError, match=problem):
        read_model_dir(folder)
