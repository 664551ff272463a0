"""What is done for Qualcomm before its compiler runs, and what is made of what the compiler says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from contracts.errors import DocumentError, ModelFileError
from converters.families import qnn
from converters.families.base import Job, Recipe
from converters.fold import PREFIX, fold
from converters.qnn.context import compiler_said
from converters.qnn.prepare import float_graph, prepared_range, quantisable_graph, with_byte_input
from converters.qnn.quantise import quantised_file
from runtime.hexagon import ARCHITECTURES, htp_problems
from targets.load import all_targets
from tests.unit.converters.networks import SIDE, density_net, focus_net, identity_net, input_spec
from tests.unit.converters.test_families import model_spec

V68 = {"htp_arch": "68", "soc_model": "35"}
V73 = {"htp_arch": "73", "soc_model": "43"}
CASES = [
    {},
    {"color": "rgb"},
    {"color": "bgr"},
    {"color": "rgb", "mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]},
    {"color": "bgr", "mean": [10.0, 20.0, 30.0]},
    {"color": "gray", "mean": [3.0], "std": [5.0]},
]
PLAIN: dict[str, Any] = {"color": "bgr", "mean": [0.0], "std": [1.0]}  # the network takes the bytes as they are
FRAME = np.random.default_rng(3).integers(0, 256, (1, SIDE, SIDE, 3), np.uint8)


def qnn_job(folder: Path, options: dict[str, str] = V73, model: onnx.ModelProto | None = None, **changes: Any) -> Job:
    """Pictures of light patches on dark ground, so that the ranges are those of pictures and not of noise.

    The changes are those of ``[input]``.
    """
    spec = model_spec(**changes)
    folded = folder / "folded.onnx"
    onnx.save(fold(model or density_net(), spec.input), folded)
    random = np.random.default_rng(0)
    pictures = np.kron(random.integers(0, 256, (8, 8, 8, 3)), np.ones((1, SIDE // 8, SIDE // 8, 1))).astype(np.uint8)
    np.save(folder / "calibration.npy", pictures)
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    origin = {"model": "tiny 1.0.0"}
    return Job(spec, folder / "model.onnx", folded, origin, scratch, folder / "calibration.npy", options)


def run(model: onnx.ModelProto, frame: np.ndarray[Any, Any] = FRAME) -> np.ndarray[Any, Any]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {session.get_inputs()[0].name: frame})
    return np.asarray(output)


class TestPreparation:
    @pytest.mark.parametrize("changes", CASES, ids=str)
    def test_both_forms_give_what_folding_gives(self, changes: dict[str, Any]) -> None:
        spec = input_spec(**changes)
        folded = fold(identity_net(spec), spec)
        for form in (float_graph(folded), quantisable_graph(folded, spec)):
            onnx.checker.check_model(form, full_check=True)
            np.testing.assert_allclose(run(form), run(folded), rtol=1e-5, atol=1e-4)

    @pytest.mark.parametrize("changes", CASES, ids=str)
    def test_no_picture_leaves_the_range_said(self, changes: dict[str, Any]) -> None:
        spec = input_spec(**changes)
        low, high = prepared_range(spec)
        for value in (0, 255):
            prepared = run(fold(identity_net(spec), spec), np.full_like(FRAME, value))
            assert low - 1e-4 <= prepared.min()
            assert prepared.max() <= high + 1e-4

    def test_a_picture_that_is_not_quantised_first_is_a_bug(self) -> None:
        with pytest.raises(ValueError, match="expected the picture to be quantised first"):
            with_byte_input(density_net())


class TestQuantising:
    def test_it_is_done_once_for_processors_that_are_alike(self, tmp_path: Path) -> None:
        one = quantised_file(qnn_job(tmp_path), Recipe("int8", "minmax"), has_float=True)
        written = one.stat().st_mtime_ns
        again = quantised_file(qnn_job(tmp_path), Recipe("int8", "minmax"), has_float=True)
        assert (again, again.stat().st_mtime_ns) == (one, written)
        other = quantised_file(qnn_job(tmp_path), Recipe("int8-a16", "minmax"), has_float=True)
        assert other != one

    @pytest.mark.parametrize(("precision", "kind"), [("int8", "UINT8"), ("int8-a16", "UINT16")])
    def test_every_activation_has_the_bits_asked_for_but_the_last(
        self, precision: str, kind: str, tmp_path: Path
    ) -> None:
        model = onnx.load(quantised_file(qnn_job(tmp_path), Recipe(precision, "minmax"), has_float=False))
        kinds = activation_kinds(model)
        assert kinds.pop("density") == "UINT16"
        assert {kinds[name] for name in kinds if not name.startswith((PREFIX, "image"))} == {kind}
        assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8

    def test_weights_have_one_scale_an_output_channel(self, tmp_path: Path) -> None:
        model = onnx.load(quantised_file(qnn_job(tmp_path), Recipe("int8", "minmax"), has_float=True))
        sizes = {tensor.name: int(np.prod(tensor.dims)) for tensor in model.graph.initializer}
        assert 8 in {size for name, size in sizes.items() if name.endswith("_scale")}

    def test_sixteen_bits_leave_room_for_a_denser_crowd(self, tmp_path: Path) -> None:
        job = qnn_job(tmp_path)
        assert job.folded is not None
        assert job.calibration is not None
        model = onnx.load(quantised_file(job, Recipe("int8-a16", "minmax"), has_float=True))
        values = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        seen = max(float(run(onnx.load(job.folded), frame[np.newaxis]).max()) for frame in np.load(job.calibration))
        assert float(values["density_scale"]) * 65535 == pytest.approx(2 * seen, rel=1e-3)

    def test_what_is_kept_out_stays_in_float_or_gets_sixteen_bits(self, tmp_path: Path) -> None:
        model = density_net()
        for number, node in enumerate(model.graph.node):
            node.name = f"layer{number}"
        job = qnn_job(tmp_path, model=model)
        kinds = activation_kinds(onnx.load(quantised_file(job, Recipe("int8", "minmax"), has_float=False)))
        assert (kinds["c"], kinds["density"]) == ("UINT8", "UINT16")
        kept = Recipe("int8", "minmax", ("layer0",))  # its batch norm and ReLU are fused into it by then
        kinds = activation_kinds(onnx.load(quantised_file(job, kept, has_float=False)))
        assert kinds["c"] == "UINT16"
        kinds = activation_kinds(onnx.load(quantised_file(job, kept, has_float=True)))
        assert not {"UINT16"} & set(kinds.values())
        assert "density" not in kinds

    def test_what_a_result_of_sixteen_bits_is_multiplied_by_has_sixteen_bits_too(self, tmp_path: Path) -> None:
        """HTP refuses to multiply 16 bits by 8."""
        model = density_net()
        (last,) = (node for node in model.graph.node if "density" in node.output)
        last.output[0] = "whole"
        model.graph.initializer.append(numpy_helper.from_array(np.array(0.125, np.float32), "share"))
        model.graph.node.append(helper.make_node("Mul", ["whole", "share"], ["density"], name="scaled"))
        quantised = onnx.load(quantised_file(qnn_job(tmp_path, model=model), Recipe("int8", "minmax"), has_float=False))
        kinds = {
            tensor.name: onnx.TensorProto.DataType.Name(tensor.data_type) for tensor in quantised.graph.initializer
        }
        givers = {name: node for node in quantised.graph.node for name in node.output}
        (scaled,) = (node for node in quantised.graph.node if node.name == "scaled")
        assert [kinds[givers[name].input[2]] for name in scaled.input] == ["UINT16", "UINT16"]

    @pytest.mark.parametrize("precision", ["int8", "int8-a16"])
    def test_what_htp_moves_as_it_is_keeps_its_scale(self, precision: str, tmp_path: Path) -> None:
        job = qnn_job(tmp_path, model=focus_net(), **PLAIN)
        quantised = onnx.load(quantised_file(job, Recipe(precision, "percentile"), has_float=True))
        (moving,) = (node for node in quantised.graph.node if node.op_type == "SpaceToDepth")
        givers = {name: node for node in quantised.graph.node for name in node.output}
        (taker,) = (node for node in quantised.graph.node if moving.output[0] in node.input)
        values = {tensor.name: numpy_helper.to_array(tensor) for tensor in quantised.graph.initializer}
        before, behind = ([values[name] for name in node.input[1:]] for node in (givers[moving.input[0]], taker))
        assert before == behind

    def test_without_calibration_pictures_it_is_refused(self, tmp_path: Path) -> None:
        job = qnn_job(tmp_path)
        bare = Job(job.spec, job.source, job.folded, job.origin, job.scratch, None, job.options)
        with pytest.raises(DocumentError, match="int8 needs calibration pictures, there are none"):
            quantised_file(bare, Recipe("int8", "minmax"), has_float=True)


def activation_kinds(model: onnx.ModelProto) -> dict[str, str]:
    """Tensor that is quantised to the type that it first gets."""
    kinds = {tensor.name: onnx.TensorProto.DataType.Name(tensor.data_type) for tensor in model.graph.initializer}
    return {
        node.input[0].removesuffix("_QuantizeLinear_Input"): kinds[node.input[2]]
        for node in model.graph.node
        if node.op_type == "QuantizeLinear" and not node.input[0].endswith("_DequantizeLinear_Output")
    }


class TestFamily:
    def test_a_processor_without_floats_makes_no_fp16(self, tmp_path: Path) -> None:
        wanted = ("int8", "int8-a16", "fp16", "fp32")
        assert qnn.precisions(qnn_job(tmp_path, V68), wanted) == ("int8", "int8-a16")
        assert qnn.precisions(qnn_job(tmp_path, V73), wanted) == ("int8", "int8-a16", "fp16")
        with pytest.raises(ModelFileError, match=r"precisions are int8, int8-a16, got 'fp16'"):
            qnn.emit(qnn_job(tmp_path, V68), Recipe("fp16"), tmp_path)
        with pytest.raises(ModelFileError, match="no floating point to keep layers out"):
            qnn.emit(qnn_job(tmp_path, V68), Recipe("int8-a16", "minmax", ("x",)), tmp_path)

    def test_methods_are_those_that_change_something(self, tmp_path: Path) -> None:
        job = qnn_job(tmp_path)
        assert [qnn.methods(job, name) for name in ("int8", "int8-a16", "fp16")] == [
            ("minmax", "percentile", "entropy"),
            ("minmax",),
            ("",),
        ]

    def test_an_option_that_is_not_its_own_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DocumentError, match="got 'generation'"):
            qnn.precisions(qnn_job(tmp_path, {**V73, "generation": "1"}), ("int8",))

    def test_a_model_packed_for_another_runtime_is_refused(self, tmp_path: Path) -> None:
        job = qnn_job(tmp_path)
        with pytest.raises(ModelFileError, match=r"QNN takes ONNX files, got \.xml"):
            qnn.precisions(Job(job.spec, tmp_path / "m.xml", None, {}, tmp_path, None, V73), ("int8",))


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "problem"),
        [
            ({}, "expected the option htp_arch"),
            ({"htp_arch": "73", "soc_model": "57"}, "soc_model 57 has htp_arch 75, got '73'"),
            ({"htp_arch": "99", "soc_model": "43"}, "soc_model 43 has htp_arch 73, got '99'"),
            ({"htp_arch": "73", "soc_model": "99999"}, "soc_model should be one of"),
            ({**V73, "vtcm_mb": "0"}, "vtcm_mb should be a number"),
            ({**V73, "vtcm_mb": "٣"}, "vtcm_mb should be a number"),
        ],
    )
    def test_what_the_library_would_take_silently_is_refused(self, options: dict[str, str], problem: str) -> None:
        assert any(problem in found for found in htp_problems(options))

    @given(st.dictionaries(st.sampled_from(["htp_arch", "soc_model", "vtcm_mb", "x"]), st.text()))
    def test_any_text_gives_sentences(self, options: dict[str, str]) -> None:
        known = ARCHITECTURES.get(options.get("soc_model", "")) == options.get("htp_arch", "-")
        assert known or htp_problems(options)

    def test_every_target_asks_for_the_processor_that_it_is_compiled_for(self) -> None:
        targets = [target for target in all_targets() if target.family == "qnn"]
        assert len(targets) >= 3
        for target in targets:
            assert htp_problems(target.options) == htp_problems(target.device_options) == []
            required = {requirement.fact: str(requirement.equals) for requirement in target.requires}
            for name in ("htp_arch", "soc_model"):
                assert required[f"qnn.{name}"] == target.options[name] == target.device_options[name]


class TestCompilerLog:
    def test_nodes_that_are_refused_are_named(self) -> None:
        nodes = b"{ name: a/b, type: Sub }{ name: c, type: NonMaxSuppression }"
        log = b"x\n[E:onnxruntime] Unsupported nodes in QNN EP: " + nodes + b"\nlast"
        assert "HTP does not take Sub 'a/b', NonMaxSuppression 'c', which would run on the CPU" in compiler_said(1, log)

    def test_many_nodes_are_counted(self) -> None:
        log = b"Unsupported nodes in QNN EP: " + b"".join(b"{ name: n%d, type: Conv }" % number for number in range(9))
        assert "Conv 'n2' and 6 more" in compiler_said(1, log)

    def test_a_crash_is_named_by_its_signal(self) -> None:
        assert "ended by SIGSEGV" in compiler_said(-11, b"whatever")

    def test_else_the_last_line_is_given(self) -> None:
        assert "refuses it (the reason);" in compiler_said(1, b"first\nthe reason\n\n")

    @given(st.integers(-70, 255), st.binary(max_size=2000))
    def test_any_bytes_give_one_line(self, code: int, log: bytes) -> None:
        said = compiler_said(code, log)
        assert said
        assert len(said) < 5000
        assert code < 0 or "\n" not in said
