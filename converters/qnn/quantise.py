"""Quantising for HTP: uint8 or uint16 activations, uint8 weights with one scale an output channel.

Everything is quantised, copies and pools too, for what is left in float is refused by processors without it and runs at
half the speed on the others. Per-channel weights are what makes it good: with one scale a tensor the mean error of
vehicle-density was three times as large.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from contracts.errors import DocumentError, ModelFileError
from converters.families.base import Job, Recipe
from converters.fold import PREFIX
from converters.qnn.prepare import prepared_range, quantisable_graph, with_byte_input, with_float_input
from converters.quantize.graph import Graph, load_named, normalised
from converters.quantize.heads import ends, with_activations
from converters.quantize.opset import at_opset
from converters.quantize.ranges import Ranges, tensor_ranges
from converters.read import MAX_IR, first_line, opset
from runtime.bundle import sha256

A8, A16 = "int8", "int8-a16"
MIN_OPSET = 17  # per-channel DequantizeLinear needs 13; 17 is what is exercised
_HEADROOM = 2.0
"""How much wider than in calibration a 16-bit range is: one of sixteen bits, and a denser crowd is not cut off."""

_OF_TWO = frozenset({"Add", "Div", "Mul", "Sub"})
_SPACE_TO_DEPTH = "SpaceToDepth"
_WITH_LIMITS = frozenset({"Clip", "HardSigmoid", "Sigmoid", "Softmax", "Tanh"})


@dataclass(frozen=True)
class _Names:
    """Nodes and tensors of the prepared graph that are treated apart."""

    floats: tuple[str, ...]
    wide: tuple[str, ...]


def quantised_file(job: Job, recipe: Recipe, *, has_float: bool) -> Path:
    """The quantised model, uint8 NHWC in; made once for all architectures that are alike.

    Args:
        job: with calibration pictures.
        recipe: ``int8`` or ``int8-a16``; what is kept out stays in float where the processor has it (it computes in
            FP16), and gets 16-bit activations where it has not.
        has_float: whether the processor has floating point.

    Raises:
        DocumentError: there are no calibration pictures.
        ModelFileError: the quantiser refuses the model.
    """
    assert job.folded is not None  # the family's `precisions` refused it
    if job.calibration is None:
        raise DocumentError(
            "calibration", [f"{recipe.precision} needs calibration pictures, there are none; give some"]
        )
    parts = (sha256(job.folded), recipe.precision, recipe.method, str(has_float), *recipe.kept_out)
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:20]
    target = job.scratch / f"quantised-{key}.onnx"
    if not target.is_file():
        source = _prepared(job)
        ranges = tensor_ranges(source, job.calibration, recipe.method or "minmax", cache=job.scratch)
        model = _quantise(job, recipe, onnx.load(source), ranges, has_float=has_float)
        half_written = target.with_suffix(".part")
        onnx.save(model, half_written)
        half_written.replace(target)
    return target


def _prepared(job: Job) -> Path:
    """The folded model with a quantisable preparation, and Gelu and LayerNormalization fused as HTP wants them."""
    from onnxruntime.quantization.execution_providers.qnn import qnn_preprocess_model

    assert job.folded is not None
    target = job.scratch / "prepared.onnx"
    if target.is_file():
        return target
    named = load_named(job.folded)
    raised = at_opset(named, MIN_OPSET) if opset(named) < MIN_OPSET else named
    plain, fused = job.scratch / "plain.onnx", job.scratch / "fused.onnx"
    try:
        onnx.save(quantisable_graph(_optimised(raised, job.scratch), job.spec.input), plain)
        with _quiet():
            found = qnn_preprocess_model(plain, fused, fuse_layernorm=True)  # a file: it moves a model's weights away
    except Exception as error:  # its exceptions share no base class
        raise _refused(job, error) from error
    half_written = target.with_suffix(".part")
    onnx.save(normalised(onnx.load(fused if found else plain)), half_written)
    half_written.replace(target)
    return target


def _optimised(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """The model with batch norms fused into convolutions: one by itself in 8 bits, HTP computes wrongly.

    (Off by 0.7 of a density's range in the emulation, where the same graph on ONNX Runtime's CPU was off by 0.02.)
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    options.log_severity_level = 4
    # It would move the preparation's Transpose.
    ort.InferenceSession(
        model.SerializeToString(), options, ["CPUExecutionProvider"], disabled_optimizers=["TransposeOptimizer"]
    )
    optimised = onnx.load(folder / "optimised.onnx")
    used = {node.domain for node in optimised.graph.node} | {""}
    kept = [entry for entry in optimised.opset_import if entry.domain in used]
    del optimised.opset_import[:]
    optimised.opset_import.extend(kept)
    optimised.ir_version = min(optimised.ir_version, MAX_IR)
    return optimised


def _quantise(job: Job, recipe: Recipe, model: onnx.ModelProto, ranges: Ranges, *, has_float: bool) -> onnx.ModelProto:
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.calibrate import TensorData
    from onnxruntime.quantization.execution_providers.qnn import get_qnn_qdq_config
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    names = _treated_apart(job, recipe, model, has_float=has_float)
    has_wide = recipe.precision == A16 or bool(names.wide)
    floating = with_float_input(model)
    image = str(floating.graph.input[0].name)
    config = get_qnn_qdq_config(
        floating,
        None,
        activation_type=QuantType.QUInt16 if recipe.precision == A16 else QuantType.QUInt8,
        weight_type=QuantType.QUInt8,
        per_channel=True,
        init_overrides=_overrides(image, names.wide),
        nodes_to_exclude=list(names.floats) or None,
    )
    wide = _wide_tensors(config.extra_options["TensorQuantOverrides"], ranges, all_wide=recipe.precision == A16)
    wide -= _bounded(Graph(model))
    bounds = {**ranges, image: (0.0, 255.0), _prepared_tensor(model): prepared_range(job.spec.input)}
    found = {
        name: TensorData(
            lowest=np.float32(low * (_HEADROOM if name in wide else 1)),
            highest=np.float32(high * (_HEADROOM if name in wide else 1)),
        )
        for name, (low, high) in bounds.items()
    }
    try:
        quantizer = QDQQuantizer(
            floating,
            config.per_channel,
            config.reduce_range,
            config.weight_type,
            config.activation_type,
            found,
            config.nodes_to_quantize,
            config.nodes_to_exclude,
            config.op_types_to_quantize,
            # Before opset 21 only ONNX Runtime's own operators have 16 bits.
            {**config.extra_options, "ForceQuantizeNoInputCheck": True, "UseQDQContribOps": has_wide},
        )
        with _quiet(), _space_to_depth_as_a_move():
            quantizer.quantize_model()
        quantizer.model.topological_sort()
        quantised = with_byte_input(quantizer.model.model)
        onnx.checker.check_model(quantised, full_check=True)
    except Exception as error:  # its exceptions share no base class
        raise _refused(job, error) from error
    return quantised


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """ONNX Runtime warns through the root logger of channels without weights and of names that it makes up."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


@contextlib.contextmanager
def _space_to_depth_as_a_move() -> Iterator[None]:
    """Have the quantiser give SpaceToDepth's result the scale of what goes in, as it does for Transpose or MaxPool.

    It does not know the operator, and gives the result a scale of its own. ONNX Runtime's CPU then rounds again; HTP
    hands the integers on as they are, so that what follows is off by the ratio of the two scales. (By 2 behind
    YOLOX's first layer in 16 bits, where one scale has the headroom and the other has not. In the emulation of QAIRT
    2.51, 8 and 16 bits, no other operator that moves values, DepthToSpace among them, does so.)
    """
    from onnxruntime.quantization.operators.direct_q8 import QDQDirect8BitOp
    from onnxruntime.quantization.registry import QDQRegistry

    before = QDQRegistry.get(_SPACE_TO_DEPTH)
    QDQRegistry[_SPACE_TO_DEPTH] = QDQDirect8BitOp
    try:
        yield
    finally:
        if before is None:
            del QDQRegistry[_SPACE_TO_DEPTH]
        else:
            QDQRegistry[_SPACE_TO_DEPTH] = before


def _overrides(image: str, wide: Collection[str]) -> dict[str, list[dict[str, Any]]]:
    from onnxruntime.quantization import QuantType

    pixels = {"quant_type": QuantType.QUInt8, "scale": np.array(1, np.float32), "zero_point": np.array(0, np.uint8)}
    return {image: [pixels], **{name: [{"quant_type": QuantType.QUInt16}] for name in wide}}


def _treated_apart(job: Job, recipe: Recipe, model: onnx.ModelProto, *, has_float: bool) -> _Names:
    """The nodes to keep out, found again by their outputs: fusing may have renamed or swallowed them."""
    assert job.folded is not None
    before, prepared = Graph(load_named(job.folded)), Graph(model)
    after = prepared.producers
    named = {node.name: node for node in before.nodes}
    wanted = [*with_activations(before, recipe.kept_out), *(ends(before) if recipe.precision == A8 else ())]
    kept = [named[name].output[0] for name in dict.fromkeys(wanted) if name in named and not name.startswith(PREFIX)]
    found = [name for tensor in kept if (name := _still_there(before, tensor, after)) is not None]
    if has_float:
        return _Names(tuple(dict.fromkeys(after[name].name for name in found)), ())
    return _Names((), _with_constants(prepared, found))


def _with_constants(graph: Graph, tensors: Collection[str]) -> tuple[str, ...]:
    """The tensors and the constants that are added to them or multiplied with them, which HTP wants as wide."""
    makers = [graph.producers[name] for name in tensors if graph.producers[name].op_type in _OF_TWO]
    constants = [name for node in makers for name in node.input if graph.weights(name) is not None]
    return tuple(dict.fromkeys((*tensors, *constants)))


def _still_there(graph: Graph, tensor: str, after: Collection[str]) -> str | None:
    """The tensor, or the one behind it that came of it when the nodes between were fused; None where there is none."""
    while tensor not in after:
        consumers = graph.consumers.get(tensor, [])
        if len(consumers) != 1:
            return None
        tensor = consumers[0].output[0]
    return tensor


def _wide_tensors(overrides: dict[str, list[dict[str, Any]]], ranges: Ranges, *, all_wide: bool) -> set[str]:
    """The tensors whose only form has 16 bits."""
    from onnxruntime.quantization import QuantType

    default = QuantType.QUInt16 if all_wide else QuantType.QUInt8
    found = set()
    for name in ranges:
        entry = overrides.get(name, [{}])[0]
        if "convert" not in entry and "scale" not in entry and entry.get("quant_type", default) == QuantType.QUInt16:
            found.add(name)
    return found


def _bounded(graph: Graph) -> set[str]:
    """Tensors that go into a Clip or come out of something with limits: their range is what does the clipping.

    The quantiser takes a Clip out whose limits are those of the range, and HTP does so even where they are narrower.
    """
    clipped = {name for node in graph.nodes if node.op_type == "Clip" for name in node.input}
    return clipped | {name for node in graph.nodes if node.op_type in _WITH_LIMITS for name in node.output}


def _prepared_tensor(model: onnx.ModelProto) -> str:
    """What the preparation gives."""
    return str([node for node in model.graph.node if node.name.startswith(PREFIX)][-1].output[0])


def _refused(job: Job, error: Exception) -> ModelFileError:
    return ModelFileError(
        f"{job.source}: ONNX Runtime's quantiser for QNN refuses it ({first_line(error)}); choose another target"
    )
