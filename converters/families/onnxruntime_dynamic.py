"""Dynamic INT8 for ONNX Runtime: weights are rounded in the file, activations by the runtime, picture for picture.

Only products and LSTMs. ONNX Runtime has an operator for convolutions too (ConvInteger), but its kernel multiplies the
plain way and everything around it falls back to float: 2 to 10 times the CPU time of FP32 (docs/converting.md).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization import quantize_dynamic
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from contracts.errors import ModelFileError
from converters.families.base import Job, Recipe
from converters.families.onnxruntime_int8 import weight_type
from converters.fold import PREFIX
from converters.quantize.graph import Graph, load_named
from converters.quantize.heads import head_layers
from converters.quantize.opset import at_opset
from converters.read import MAX_IR, first_line, opset

DYNAMIC = "dynamic"
_OPERATORS = ("MatMul", "Gemm", "LSTM")
_OPSET = 13  # scales per channel need it


def nothing_to_round(job: Job) -> str | None:
    """Why a model gains nothing by dynamic INT8, as a sentence; None where it may."""
    assert job.folded is not None  # the family refused it
    if _layers(job, load_named(job.folded)):
        return None
    return (
        f"{job.source}: dynamic INT8 quantises {', '.join(_OPERATORS)} with constant weights, the model has none that "
        "may be rounded (its convolutions would be slower than in FP32); choose int8"
    )


def write_dynamic(job: Job, recipe: Recipe, entry: Path) -> str:
    """Write the folded model with the weights of its products and LSTMs in 8 bits.

    Args:
        job: option ``int8`` is the types of activations and weights, as for static INT8.
        recipe: what is kept out.
        entry: where it goes.

    Returns:
        ONNX Runtime's version.

    Raises:
        DocumentError: the option is unknown.
        ModelFileError: all that could be quantised is kept out, or ONNX Runtime does not quantise it.
    """
    assert job.folded is not None  # the family refused it
    model = load_named(job.folded)
    layers = _layers(job, model)
    chosen = [name for name in layers if name not in recipe.kept_out]
    if not chosen:
        raise ModelFileError(f"{job.source}: all {len(layers)} layers are kept out of dynamic INT8; choose fp32")
    with tempfile.TemporaryDirectory(dir=job.scratch) as folder:
        ready = Path(folder, "ready.onnx")
        try:
            model = model if opset(model) >= _OPSET else at_opset(model, _OPSET)
            add_pre_process_metadata(model)  # it was simplified, and its shapes are inferred
            onnx.save(model, ready)
            quantize_dynamic(
                str(ready),
                str(entry),
                op_types_to_quantize=list(_OPERATORS),
                # A Gemm becomes a MatMul and an Add first.
                nodes_to_quantize=[*chosen, *(f"{name}_MatMul" for name in chosen)],
                weight_type=weight_type(job),
                per_channel=True,
            )
        except Exception as error:  # its exceptions share no base class
            raise ModelFileError(
                f"{job.source}: ONNX Runtime does not quantise it ({first_line(error)}); choose another precision"
            ) from error
    written = onnx.load(entry)
    written.ir_version = min(written.ir_version, MAX_IR)  # which older runtimes read
    onnx.save(written, entry)
    return str(ort.__version__)


def _layers(job: Job, model: onnx.ModelProto) -> list[str]:
    """Names of the nodes that are quantised; not a density's last one, whose rounding would be counted as things."""
    graph = Graph(model)
    heads = head_layers(graph) if job.spec.output.decoder == "density" else ()
    return [node.name for node in graph.nodes if node.name not in heads and _is_candidate(graph, node)]


def _is_candidate(graph: Graph, node: onnx.NodeProto) -> bool:
    if node.op_type not in _OPERATORS or node.name.startswith(f"{PREFIX}/"):
        return False
    constants = node.input[1:3] if node.op_type == "LSTM" else node.input[1:2]
    if any(graph.weights(name) is None for name in constants):
        return False
    return node.op_type != "Gemm" or _is_plain(node)


def _is_plain(node: onnx.NodeProto) -> bool:
    """Whether ONNX Runtime's quantiser can write a Gemm as a MatMul and an Add."""
    given = {found.name: onnx.helper.get_attribute_value(found) for found in node.attribute}
    factors = np.array([given.get("alpha", 1.0), given.get("beta", 1.0)])
    return bool(np.all(factors == 1.0)) and not given.get("transA", 0)
