"""nvinfer's configuration says what model.toml says, and with the ONNX beside it the result is the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from contracts.errors import DocumentError, ModelFileError
from contracts.model_spec import InputSpec
from converters.families import deepstream
from converters.families.base import Recipe
from converters.fold import PREFIX, fold
from converters.nvidia.deepstream import KEYS, LABELS_NAME, read_config, settings, strip_preparation, write_config
from tests.unit.converters.networks import identity_net, input_spec
from tests.unit.converters.nvidia.jobs import nvidia_job
from tests.unit.converters.quantize.blocks import PICTURES, run

OPTIONS = {"generation": "10.3"}


def by_nvinfer(picture: np.ndarray, config: dict[str, str]) -> np.ndarray:
    """What nvinfer hands to the network, by its documentation: NCHW, y = net-scale-factor * (x - offsets)."""
    bgr = picture.astype(np.float32)
    order = {"0": [2, 1, 0], "1": [0, 1, 2]}[config["model-color-format"]]
    planes = bgr[..., order].transpose(2, 0, 1)[None]
    offsets = [float(value) for value in config.get("offsets", "0;0;0").split(";")]
    return np.float32(config["net-scale-factor"]) * (planes - np.array(offsets, np.float32).reshape(1, 3, 1, 1))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"color": "bgr"},
        {"color": "rgb", "mean": [127.0], "std": [128.0]},
        {"color": "bgr", "mean": [1.0, 2.0, 3.0], "std": [255.0]},
        {"color": "rgb", "mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]},
        {"color": "bgr", "std": [1.0, 2.0, 3.0]},
    ],
    ids=str,
)
def test_nvinfers_preparation_and_what_is_left_in_the_onnx_are_the_models_own(changes: dict[str, Any]) -> None:
    spec = input_spec(**changes)
    folded = fold(identity_net(spec), spec)
    stripped = strip_preparation(folded, spec)
    onnx.checker.check_model(stripped, full_check=True)
    (wanted,) = run(folded, PICTURES[:1])
    from converters.reference import run_onnx

    given = by_nvinfer(PICTURES[0], dict(settings(spec, "fp16", 512)))
    (came,) = run_onnx(Path("m.onnx"), stripped.SerializeToString(), "image", [given])
    np.testing.assert_allclose(came["same"], wanted["same"], rtol=1e-5, atol=1e-4)


def test_a_deviation_a_channel_is_all_that_stays_of_the_preparation() -> None:
    spec = input_spec(color="rgb", mean=[1.0], std=[1.0, 2.0, 3.0])
    left = strip_preparation(fold(identity_net(spec), spec), spec)
    assert [node.op_type for node in left.graph.node if node.name.startswith(PREFIX)] == ["Div"]
    one = input_spec(color="rgb", mean=[1.0, 2.0, 3.0], std=[4.0])
    assert not [n for n in strip_preparation(fold(identity_net(one), one), one).graph.node if n.name.startswith(PREFIX)]


@pytest.mark.parametrize(
    ("resize", "keeps", "symmetric"), [("stretch", "0", "0"), ("letterbox", "1", "1"), ("letterbox-topleft", "1", "0")]
)
def test_the_resize_is_said_in_nvinfers_keys(resize: str, keeps: str, symmetric: str) -> None:
    config = settings(input_spec(resize=resize), "fp16", 512)
    assert (config["maintain-aspect-ratio"], config["symmetric-padding"]) == (keeps, symmetric)


@pytest.mark.parametrize(("precision", "mode"), [("fp32", "0"), ("int8", "1"), ("fp16", "2")])
def test_it_parses_back_and_every_key_is_known(precision: str, mode: str, tmp_path: Path) -> None:
    job = nvidia_job(tmp_path, OPTIONS)
    folder = tmp_path / "out"
    folder.mkdir()
    emitted = deepstream.emit(job, Recipe(precision, "minmax" if precision == "int8" else ""), folder)
    config = read_config(emitted.entry)
    assert config["network-mode"] == mode
    assert config.keys() <= KEYS.keys()
    assert (folder / config["onnx-file"]).is_file()
    assert (folder / config["labelfile-path"]).read_text() == "vehicle\nperson\n"
    assert (config["network-type"], config["output-tensor-meta"]) == ("100", "1")
    assert config["infer-dims"] == "3;64;64"
    assert (emitted.inputs[0].dtype, emitted.inputs[0].shape) == ("float32", (1, 3, 64, 64))
    model = onnx.load(folder / "model.onnx")
    pairs = sum(node.op_type == "QuantizeLinear" for node in model.graph.node)
    assert (pairs > 0) == (precision == "int8")


def test_a_key_that_nvinfer_does_not_know_is_refused(tmp_path: Path) -> None:
    file = write_config(tmp_path, settings(InputSpec(width=64, height=64), "fp16", 1), ["a"])
    file.write_text(file.read_text() + "symetric-padding=1\n")
    with pytest.raises(ModelFileError, match="nvinfer knows no key 'symetric-padding'"):
        read_config(file)
    file.write_text("no section\n")
    with pytest.raises(ModelFileError, match=r"expected nvinfer's \[property\]"):
        read_config(file)
    assert (tmp_path / LABELS_NAME).is_file()


def test_padding_that_nvinfer_cannot_make_is_said(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    job = nvidia_job(tmp_path, OPTIONS, resize="letterbox", pad_value=114)
    emitted = deepstream.emit(job, Recipe("fp32"), tmp_path / "out")
    assert any("with black, model.toml's pad_value is 114" in text for text in emitted.warnings)


def test_a_generation_with_strong_types_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="nvinfer chooses the precision by its network-mode, TensorRT 11 takes it"):
        deepstream.emit(nvidia_job(tmp_path, {"generation": "11"}), Recipe("fp16"), tmp_path)
    with pytest.raises(DocumentError, match="missing key 'generation'"):
        deepstream.precisions(nvidia_job(tmp_path, {}), ("fp16",))
