"""Quantising to ONNX Q/DQ with ONNX Runtime's own quantiser, after training, for its CPU kernels."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper
from onnxruntime.quantization import QuantType
from onnxruntime.quantization.calibrate import TensorData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry
from onnxruntime.quantization.shape_inference import quant_pre_process

from contracts.errors import DocumentError, ModelFileError
from converters.families.base import Job, Recipe
from converters.fold import PREFIX
from converters.quantize.graph import Graph, attribute, load_named
from converters.quantize.heads import ends, with_activations
from converters.quantize.opset import at_opset
from converters.quantize.ranges import Ranges, tensor_ranges
from converters.read import MAX_IR, first_line
from runtime.bundle import sha256

METHODS = ("minmax", "percentile")
"""Ways to find ranges, cheapest first."""

_WEIGHTS = {"u8s8": QuantType.QInt8, "u8u8": QuantType.QUInt8}
_OPSET = 17  # scales per channel need 13
_ROUNDED_ANYWAY = frozenset({"Conv", "ConvTranspose", "Gemm"})


def write_quantised(job: Job, recipe: Recipe, entry: Path) -> str:
    """Write the folded model with Q/DQ in it; the preparation and the last layers stay in floating point.

    Args:
        job: option ``int8`` is the types of activations and weights: ``u8s8`` (processors with VNNI) or ``u8u8`` (Arm,
            and any other).
        recipe: how ranges are found and what is kept out.
        entry: where it goes.

    Returns:
        ONNX Runtime's version.

    Raises:
        DocumentError: the option is none of these.
        ModelFileError: there are no calibration pictures, or it does not quantise the model.
    """
    if job.calibration is None:
        raise ModelFileError(f"{job.source}: INT8 needs calibration pictures; give --calibration")
    weights = weight_type(job)
    source = _prepared(job)
    model = load_named(source)
    excluded = _excluded(job, recipe, Graph(model))
    ranges = tensor_ranges(source, job.calibration, recipe.method, cache=job.scratch)
    try:
        with _silent():
            quantised = _quantised(model, ranges, weights, excluded)
    except Exception as error:  # its exceptions share no base class
        raise _refused(job, error) from error
    _hold(quantised.graph, excluded)
    quantised.ir_version = min(quantised.ir_version, MAX_IR)  # which older runtimes read
    onnx.save(quantised, entry)
    return str(ort.__version__)


def _prepared(job: Job) -> Path:
    """The folded model as ONNX Runtime's quantiser wants it; made once for all recipes."""
    assert job.folded is not None  # the family refused it
    ready = job.scratch / f"ready-{sha256(job.folded)[:20]}.onnx"
    if ready.is_file():
        return ready
    with tempfile.TemporaryDirectory(dir=job.scratch) as folder:
        own = Path(folder, "ready.onnx")
        raised = at_opset(onnx.load(job.folded), _OPSET)
        try:
            onnx.save(raised, own)
            with _silent():
                quant_pre_process(str(own), str(own), skip_symbolic_shape=True)
        except Exception as error:  # its exceptions share no base class
            raise _refused(job, error) from error
        onnx.save(load_named(own), own)
        own.replace(ready)
    return ready


def _quantised(model: onnx.ModelProto, ranges: Ranges, weights: QuantType, excluded: list[str]) -> onnx.ModelProto:
    """What `onnxruntime.quantization.quantize_static` gives, from ranges that are known."""
    found = {name: TensorData(lowest=np.float32(low), highest=np.float32(high)) for name, (low, high) in ranges.items()}
    operators = sorted({*QLinearOpsRegistry, *QDQRegistry})
    quantizer = QDQQuantizer(model, True, False, weights, QuantType.QUInt8, found, [], excluded, operators, {})
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    quantised: onnx.ModelProto = quantizer.model.model
    return quantised


def _hold(graph: onnx.GraphProto, excluded: Collection[str]) -> None:
    """See to it that what was kept out computes in float on a device, and reads floats where there are any.

    ONNX Runtime rounds the weights of a layer in float by itself, with one scale for all channels, if what it reads is
    dequantised with one scale (its transformer WeightBiasQuantization; in 1.31 only if its result is quantised too).
    With the same scale written once for each channel it does not.
    """
    producers = {name: node for node in graph.node for name in node.output}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        if node.name in excluded:
            for index, name in enumerate(node.input):
                restored = producers.get(name)
                if restored is None or restored.op_type != "DequantizeLinear" or restored.input[0] not in producers:
                    continue
                exact = producers[restored.input[0]].input[0]
                if exact in producers and producers[exact].name in excluded:
                    node.input[index] = exact
                elif index == 0 and node.op_type in _ROUNDED_ANYWAY:
                    nodes.append(_by_channel(graph, restored, node, constants))
                    node.input[index] = nodes[-1].output[0]
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def _by_channel(
    graph: onnx.GraphProto, restored: onnx.NodeProto, layer: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto]
) -> onnx.NodeProto:
    """A DequantizeLinear for one layer, with the scale of another one for each of its channels."""
    base = f"{layer.name}/by_channel"
    shape = constants[layer.input[1]].dims
    channels = {
        "Conv": shape[1] * attribute(layer, "group", 1),
        "ConvTranspose": shape[0],
        "Gemm": shape[attribute(layer, "transB", 0)],
    }[layer.op_type]
    names = []
    for part, name in zip(("scale", "zero"), restored.input[1:], strict=True):
        value = numpy_helper.to_array(constants[name])
        graph.initializer.append(numpy_helper.from_array(np.full(channels, value, value.dtype), f"{base}/{part}"))
        names.append(f"{base}/{part}")
    return helper.make_node("DequantizeLinear", [restored.input[0], *names], [f"{base}/real"], base, axis=1)


def optimised(model: Path) -> onnx.ModelProto:
    """The model as ONNX Runtime's CPU provider runs it on this processor."""
    with tempfile.TemporaryDirectory() as folder:
        options = ort.SessionOptions()
        options.log_severity_level = 4
        options.optimized_model_filepath = str(Path(folder, "optimised.onnx"))
        ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        return onnx.load(options.optimized_model_filepath)


def weight_type(job: Job) -> QuantType:
    """What the target's options ask for.

    Raises:
        DocumentError: they are none that this family honours.
    """
    strange = sorted(job.options.keys() - {"int8"})
    kind = job.options.get("int8", "u8u8")
    if strange or kind not in _WEIGHTS:
        raise DocumentError(
            "the target's options",
            [f"expected int8 as {' or '.join(_WEIGHTS)}, got {strange[0] if strange else kind!r}; mend the target"],
        )
    return _WEIGHTS[kind]


def _excluded(job: Job, recipe: Recipe, graph: Graph) -> list[str]:
    names = [node.name for node in graph.nodes]
    missing = sorted(set(recipe.kept_out) - set(names))
    if missing:
        raise ModelFileError(f"{job.source}: there is no layer {missing[0]!r} to keep out of INT8; keep out another")
    # The preparation is exact in float32 and costs next to nothing.
    prepared = (name for name in names if name.startswith(f"{PREFIX}/"))
    return sorted({*with_activations(graph, recipe.kept_out), *ends(graph), *prepared})


def _refused(job: Job, error: Exception) -> ModelFileError:
    return ModelFileError(
        f"{job.source}: ONNX Runtime does not quantise it ({first_line(error)}); choose another precision"
    )


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """The quantiser warns through the root logger and prints; neither says what a person could act on."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
