"""INT8 of both families: ranges of all pictures, what is kept out stays in float, and it is really run in INT8."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import openvino as ov
import pytest
from onnx import TensorProto, helper, numpy_helper

from contracts.errors import DocumentError, ModelFileError
from converters.families import onnxruntime as onnx_family
from converters.families import openvino as openvino_family
from converters.families.base import VNNI, Emitted, Family, Job, Recipe
from converters.families.onnxruntime_int8 import METHODS as ONNX_METHODS
from converters.families.openvino_int8 import METHODS as OPENVINO_METHODS
from converters.families.openvino_int8 import WHOLE_RANGE
from converters.fold import PREFIX, fold
from converters.quantize.graph import normalised
from converters.table import open_family
from runtime.backends.table import open_lane
from tests.unit.converters.networks import SIDE, finish
from tests.unit.converters.test_families import model_spec

PICTURES = 15  # no whole number of any size of a batch
CASES = [("onnxruntime", method) for method in ONNX_METHODS] + [("openvino", method) for method in OPENVINO_METHODS]


def deep_net() -> onnx.ModelProto:
    """Three convolutions in a row, the last of which is the head; weights that are never 0."""
    random = np.random.default_rng(0)
    sizes = [(8, 3, 3, 3), (8, 8, 3, 3), (1, 8, 3, 3)]
    weights = [
        numpy_helper.from_array((np.abs(random.standard_normal(size)) / 30).astype(np.float32), f"w{number}")
        for number, size in enumerate(sizes)
    ]
    nodes, tensor = [], "image"
    for number, name in enumerate(("first", "second", "head")):
        out = f"conv{number}"
        nodes.append(
            helper.make_node("Conv", [tensor, f"w{number}"], [out], name=name, kernel_shape=[3, 3], pads=[1] * 4)
        )
        tensor = "density" if name == "head" else f"relu{number}"
        nodes.append(helper.make_node("Relu", [out], [tensor], name=f"relu of {name}"))
    return finish(
        nodes,
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, SIDE, SIDE))],
        [helper.make_tensor_value_info("density", TensorProto.FLOAT, (1, 1, SIDE, SIDE))],
        weights,
    )


def pictures() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """All dark but for the first, so that whoever leaves it out finds ranges that are far too small."""
    random = np.random.default_rng(1)
    frames = random.integers(0, 20, (PICTURES, SIDE, SIDE, 3), np.uint8)
    frames[0] = random.integers(100, 256, (SIDE, SIDE, 3), np.uint8)
    return frames


@pytest.fixture
def job(tmp_path: Path) -> Job:
    spec = model_spec(mean=[0.0], std=[255.0])
    onnx.save(normalised(fold(deep_net(), spec.input)), tmp_path / "folded.onnx")
    np.save(tmp_path / "calibration.npy", pictures())
    (tmp_path / "scratch").mkdir()
    return Job(
        spec,
        tmp_path / "model.onnx",
        tmp_path / "folded.onnx",
        {"model": "tiny 1.0.0"},
        tmp_path / "scratch",
        calibration=tmp_path / "calibration.npy",
    )


def emit(family: str, job: Job, method: str, *kept_out: str, name: str = "int8") -> Emitted:
    folder = job.scratch.parent / name
    folder.mkdir()
    return open_family(family).emit(job, Recipe("int8", method, kept_out), folder)


def density(family: str, entry: Path, frame: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    lane = open_lane(family, entry)
    try:
        (value,) = lane.infer({"image": pictures()[frame][np.newaxis]}).values()
        return value.copy()
    finally:
        lane.close()


# Not OpenVINO's first two: NNCF takes the mean over the pictures of each one's lowest and highest value.
@pytest.mark.parametrize(("family", "method"), [case for case in CASES if case[1] not in {"mixed", WHOLE_RANGE}])
def test_bright_and_dark_pictures_alike_stay_near_fp32(family: str, method: str, job: Job) -> None:
    """Every calibration picture counts, the first too: ranges of the dark ones alone would cut the bright one off."""
    emitted = emit(family, job, method)
    assert job.folded is not None
    exact = density("onnxruntime", job.folded, 0)
    off = np.abs(density(family, emitted.entry, 0) - exact).max() / exact.max()
    assert off < 0.05
    assert emitted.rounded
    assert emitted.precision == "int8"


@pytest.mark.parametrize(("family", "method"), CASES)
def test_the_same_model_and_pictures_give_the_same_bytes(family: str, method: str, job: Job) -> None:
    one, two = (emit(family, job, method, name=name) for name in ("one", "two"))
    for file in one.entry.parent.iterdir():
        assert file.read_bytes() == (two.entry.parent / file.name).read_bytes()


@pytest.mark.parametrize("family", ["onnxruntime", "openvino"])
def test_who_listens_to_the_log_hears_as_much_afterwards(family: str, job: Job) -> None:
    listener = logging.NullHandler()
    loggers = [logging.getLogger(), logging.getLogger("nncf")]
    levels = [logging.root.level, logging.root.manager.disable]
    for logger in loggers:
        logger.addHandler(listener)
    try:
        emit(family, job, {"onnxruntime": ONNX_METHODS, "openvino": OPENVINO_METHODS}[family][0])
    finally:
        for logger in loggers:
            logger.removeHandler(listener)
    assert listener.level == logging.NOTSET
    assert [logging.root.level, logging.root.manager.disable] == levels


def executed(family: str, emitted: Emitted, precision: str = "f32") -> Mapping[str, int]:
    found = open_family(family).executed(emitted, precision)
    assert found is not None
    return found


@pytest.mark.parametrize("family", ["onnxruntime", "openvino"])
class TestExecuted:
    def test_a_quantised_layer_is_seen_to_run_in_int8(self, family: str, job: Job) -> None:
        counted = executed(family, emit(family, job, open_family(family).methods(job, "int8")[0]))
        assert counted == {"int8": 2, "f32": 1}, "all but the head"

    def test_a_layer_that_is_kept_out_is_seen_to_run_in_float(self, family: str, job: Job) -> None:
        method = open_family(family).methods(job, "int8")[0]
        counted = executed(family, emit(family, job, method, "second"))
        assert counted == {"int8": 1, "f32": 2}

    def test_an_exact_form_runs_in_float_alone(self, family: str, job: Job, tmp_path: Path) -> None:
        (tmp_path / "fp32").mkdir()
        emitted = open_family(family).emit(job, Recipe("fp32"), tmp_path / "fp32")
        assert executed(family, emitted) == {"f32": 3}

    def test_a_layer_that_is_not_there_cannot_be_kept_out(self, family: str, job: Job) -> None:
        with pytest.raises(ModelFileError, match="no layer 'third' to keep out"):
            emit(family, job, open_family(family).methods(job, "int8")[0], "third")

    def test_without_pictures_there_is_no_int8(self, family: str, job: Job) -> None:
        blind = replace(job, calibration=None)
        with pytest.raises(ModelFileError, match="needs calibration pictures; give --calibration"):
            emit(family, blind, open_family(family).methods(job, "int8")[0])

    def test_options_of_another_family_are_refused(self, family: str, job: Job) -> None:
        with pytest.raises(DocumentError, match="got 'htp_arch'"):
            open_family(family).precisions(replace(job, options={"htp_arch": "73"}), ("int8",))


class TestKeptOutOfOnnxRuntime:
    """It would round the weights of a layer in float by itself, with one scale for all channels."""

    def test_it_is_fed_one_scale_a_channel(self, job: Job) -> None:
        graph = onnx.load(emit("onnxruntime", job, "minmax", "second").entry).graph
        sizes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
        givers = {name: node for node in graph.node for name in node.output}
        (second,) = (node for node in graph.node if node.name == "second")
        fed = givers[second.input[0]]
        assert fed.op_type == "DequantizeLinear"
        assert [sizes[name] for name in fed.input[1:]] == [[8], [8]]
        assert second.input[1] == "w1", "its weights are the model's"

    def test_its_activation_stays_in_float_with_it(self, job: Job) -> None:
        graph = onnx.load(emit("onnxruntime", job, "minmax", "first").entry).graph
        takers = {name: node.op_type for node in graph.node for name in node.input}
        assert takers["conv0"] == "Relu"

    def test_layers_in_a_row_hand_each_other_floats(self, job: Job) -> None:
        graph = onnx.load(emit("onnxruntime", job, "minmax", "first", "second").entry).graph
        (second,) = (node for node in graph.node if node.name == "second")
        assert second.input[0] == "relu0"


def test_openvino_s_precision_that_nobody_asked_about_is_not_known(job: Job) -> None:
    family: Family = open_family("openvino")
    emitted = emit("openvino", job, OPENVINO_METHODS[0])
    assert family.executed(emitted, "native") is None


@pytest.mark.parametrize(
    ("options", "weights"), [({}, "uint8"), ({"int8": "u8u8"}, "uint8"), ({"int8": "u8s8"}, "int8")]
)
def test_weights_are_of_the_type_that_the_target_asks_for(options: dict[str, str], weights: str, job: Job) -> None:
    emitted = emit("onnxruntime", replace(job, options=options), "minmax")
    graph = onnx.load(emitted.entry).graph
    (name,) = (node.input[0] for node in graph.node if node.op_type == "DequantizeLinear" and "w1" in node.input[0])
    (tensor,) = (tensor for tensor in graph.initializer if tensor.name == name)
    assert str(helper.tensor_dtype_to_np_dtype(tensor.data_type)) == weights


@pytest.mark.parametrize("kind", ["u8s8", "u8u8"])
def test_what_would_overflow_without_vnni_asks_for_it(kind: str, job: Job) -> None:
    emitted = emit("onnxruntime", replace(job, options={"int8": kind}), "minmax")
    assert (VNNI in emitted.floors) is (kind == "u8s8")


@pytest.mark.parametrize("method", OPENVINO_METHODS)
@pytest.mark.parametrize("options", [{}, {"whole_range": "vnni"}])
def test_openvino_s_weights_of_eight_bits_ask_for_vnni_where_the_processor_computes(
    options: dict[str, str], method: str, job: Job
) -> None:
    emitted = emit("openvino", replace(job, options=options), method)
    nodes = ov.Core().read_model(emitted.entry).get_ordered_ops()
    weights = [node.get_data() for node in nodes if node.get_type_name() == "Constant" and is_byte(node)]
    largest = max(int(np.abs(values.astype(int)).max()) for values in weights)
    assert (largest > 64) is (method == WHOLE_RANGE)
    assert (VNNI in emitted.floors) is (method == WHOLE_RANGE and bool(options))


def is_byte(node: ov.Node) -> bool:
    return bool(node.get_element_type() == ov.Type.i8)


def test_openvino_refuses_other_options(job: Job) -> None:
    with pytest.raises(DocumentError, match=r"expected whole_range = 'vnni' or none, got .*'sse'"):
        open_family("openvino").precisions(replace(job, options={"whole_range": "sse"}), ("int8",))


def test_an_unknown_type_is_refused_before_anything_is_made(job: Job) -> None:
    with pytest.raises(DocumentError, match="expected int8 as u8s8 or u8u8, got 's4s4'"):
        onnx_family.precisions(replace(job, options={"int8": "s4s4"}), ("fp32",))


@pytest.mark.parametrize("family", [onnx_family, openvino_family])
def test_only_int8_has_ways_of_finding_ranges(family: Family, job: Job) -> None:
    assert family.methods(job, "fp32") == ("",)
    assert len(family.methods(job, "int8")) > 1


class TestPreparation:
    """It is exact in float: in INT8 its own rounding would be that of the picture."""

    def test_it_stays_in_float_for_onnx_runtime(self, job: Job) -> None:
        graph = onnx.load(emit("onnxruntime", job, "minmax").entry).graph
        restored = {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}
        ours = [node for node in graph.node if node.name.startswith(f"{PREFIX}/")]
        assert ours
        assert not any(name in restored for node in ours for name in node.input)

    def test_it_stays_in_float_for_openvino(self, job: Job) -> None:
        model = ov.Core().read_model(emit("openvino", job, OPENVINO_METHODS[0]).entry)
        fed = [
            port.get_node().get_type_name()
            for node in model.get_ordered_ops()
            if node.get_friendly_name().startswith(f"{PREFIX}/")
            for port in node.input_values()
        ]
        assert fed
        assert "FakeQuantize" not in fed
