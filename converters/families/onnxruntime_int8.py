"""Quantising to ONNX Q/DQ with ONNX Runtime's own quantiser, after training, for its CPU kernels."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from contracts.errors import DocumentError, ModelFileError
from converters.families.base import Job, Recipe
from converters.fold import PREFIX
from converters.quantize.graph import Graph, load_named
from converters.quantize.heads import head_layers
from converters.quantize.opset import at_opset
from converters.quantize.reader import calibration_frames
from converters.read import MAX_IR, first_line

METHODS = ("minmax", "percentile")
"""Ways to find ranges, cheapest first; with all but convolutions in float yolox-nano lost more than with either."""

_WEIGHTS = {"u8s8": QuantType.QInt8, "u8u8": QuantType.QUInt8}
_OPSET = 17  # scales per channel need 13
_MANY, _FEW = 300, 32  # pictures; percentile holds every tensor of all of them


def write_quantised(job: Job, recipe: Recipe, entry: Path) -> str:
    """Write the folded model with Q/DQ in it; the preparation and a density's head stay in floating point.

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
    assert job.folded is not None  # the family refused it
    if job.calibration is None:
        raise ModelFileError(f"{job.source}: INT8 needs calibration pictures; give --calibration")
    weights = weight_type(job)
    percentile = recipe.method == "percentile"
    with tempfile.TemporaryDirectory(dir=job.scratch) as folder, _silent():
        ready = Path(folder, "ready.onnx")
        try:
            onnx.save(at_opset(onnx.load(job.folded), _OPSET), ready)
            quant_pre_process(str(ready), str(ready), skip_symbolic_shape=True)
            quantize_static(
                str(ready),
                str(entry),
                _Reader(job.calibration, ready, _FEW if percentile else _MANY),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8,
                weight_type=weights,
                per_channel=True,
                calibrate_method=CalibrationMethod.Percentile if percentile else CalibrationMethod.MinMax,
                nodes_to_exclude=_excluded(job, recipe, ready),
            )
        except ModelFileError:
            raise
        except Exception as error:  # its exceptions share no base class
            raise ModelFileError(
                f"{job.source}: ONNX Runtime does not quantise it ({first_line(error)}); choose another precision"
            ) from error
    _finish(entry)
    return str(ort.__version__)


def optimised(model: Path) -> onnx.ModelProto:
    """The model as ONNX Runtime's CPU provider runs it on this processor."""
    with tempfile.TemporaryDirectory() as folder:
        options = ort.SessionOptions()
        options.log_severity_level = 4
        options.optimized_model_filepath = str(Path(folder, "optimised.onnx"))
        ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        return onnx.load(options.optimized_model_filepath)


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # the package has no types
    """Hands the pictures to the calibrator, one at a time."""

    def __init__(self, calibration: Path, model: Path, most: int) -> None:
        (self._input,) = (value.name for value in onnx.load(model, load_external_data=False).graph.input)
        self._frames: Iterator[NDArray[np.uint8]] = calibration_frames(calibration, most)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        frame = next(self._frames, None)
        return None if frame is None else {self._input: frame}


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


def _excluded(job: Job, recipe: Recipe, model: Path) -> list[str]:
    graph = Graph(load_named(model))
    names = [node.name for node in graph.nodes]
    missing = sorted(set(recipe.kept_out) - set(names))
    if missing:
        raise ModelFileError(f"{job.source}: there is no layer {missing[0]!r} to keep out of INT8; keep out another")
    heads = head_layers(graph)
    # The preparation is exact in float32 and costs next to nothing.
    return sorted({*recipe.kept_out, *heads, *(name for name in names if name.startswith(f"{PREFIX}/"))})


def _finish(entry: Path) -> None:
    """An IR version that older runtimes read."""
    model = onnx.load(entry)
    model.ir_version = min(model.ir_version, MAX_IR)
    onnx.save(model, entry)


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
