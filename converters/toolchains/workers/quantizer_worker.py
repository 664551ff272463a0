"""float16 or int8 from a float32 TFLite file: ``python quantizer_worker.py JOB RESULT``, both JSON.

The job: ``model`` (float32), ``entry`` (the .tflite to write), ``precision`` (``fp16``, ``int8``, ``dynamic``),
``keep`` (names of tensors whose operators stay as they are), ``threads``; for ``int8`` also ``calibration`` (an .npy of
uint8 ``(n, height, width, 3)``), ``input`` (the name of what takes them) and ``method``: ``minmax`` takes the whole
range that an activation had, ``mse`` the one with the least squared error of rounding.
The result: ``toolchain`` (name to version).
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
from pathlib import Path

import numpy as np

BINS = 2048  # of an activation's histogram, as in TensorRT's and NNCF's calibrators
STEPS = 64  # ranges that are tried, from the whole down to a quarter of it
LEVELS = 255


def quantize(job: dict[str, object]) -> dict[str, object]:
    """Do the job."""
    from ai_edge_quantizer import qtyping, quantizer, recipe  # type: ignore[import-not-found, unused-ignore]

    operators, precision = qtyping.TFLOperationName, job["precision"]
    work = quantizer.Quantizer(str(job["model"]))
    if precision == "int8":
        work.load_quantization_recipe(recipe.static_wi8_ai8())
    elif precision == "dynamic":
        work.load_quantization_recipe(recipe.dynamic_wi8_afp32())
    elif precision == "fp16":
        weights = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
        config = qtyping.OpQuantizationConfig(
            weight_tensor_config=weights, compute_precision=qtyping.ComputePrecision.FLOAT, explicit_dequantize=True
        )
        work.update_quantization_recipe(".*", operators.ALL_SUPPORTED, config, "float_casting")
    else:
        raise ValueError(f"precision should be fp16, int8 or dynamic, got {precision!r}")
    kept = [re.escape(str(name)) for name in job["keep"]]  # type: ignore[attr-defined]
    # An operator's scope is the names of its outputs, each with a semicolon behind it.
    if kept:
        work.update_quantization_recipe(f"(?:^|;)(?:{'|'.join(kept)});", operators.ALL_SUPPORTED, None, "no_quantize")
    for end in (operators.INPUT, operators.OUTPUT):
        work.update_quantization_recipe(".*", end, None, "no_quantize")
    ranges = _ranges(job) if precision == "int8" else None
    work.quantize(ranges, enable_progress_report=False).export_model(str(job["entry"]), overwrite=True)
    package = "ai-edge-quantizer"
    return {"toolchain": {package: importlib.metadata.version(package)}}


def _ranges(job: dict[str, object]) -> dict[str, dict[str, np.ndarray]]:
    """Least and largest value of every activation, as the quantizer wants them.

    Not its own calibration: that is a moving average in which the first picture weighs as much as the last sixty.
    """
    pictures = np.load(str(job["calibration"]), mmap_mode="r", allow_pickle=False)
    watch = _Watch(job)
    bounds = watch.bounds(pictures)
    if job["method"] == "mse":
        bounds = watch.tightened(pictures, bounds)
    elif job["method"] != "minmax":
        raise ValueError(f"method should be minmax or mse, got {job['method']!r}")
    return {
        name: {"min": np.full((1,) * rank, low, np.float32), "max": np.full((1,) * rank, high, np.float32)}
        for name, (low, high, rank) in bounds.items()
    }


class _Watch:
    """Runs the float file and looks at every activation."""

    def __init__(self, job: dict[str, object]) -> None:
        from ai_edge_litert.interpreter import (  # type: ignore[import-not-found, import-untyped, unused-ignore]
            Interpreter,
            OpResolverType,
        )

        # Without XNNPACK, which keeps activations to itself.
        self._interpreter = Interpreter(
            model_path=str(job["model"]),
            num_threads=job["threads"],
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
        self._interpreter.allocate_tensors()
        inputs = {detail["name"]: detail["index"] for detail in self._interpreter.get_input_details()}
        self._input = inputs[str(job["input"])]
        # Weights are left out: their ranges are the quantizer's, a channel at a time.
        operators = self._interpreter._get_ops_details()  # noqa: SLF001 - there is no other way to tell them apart
        made = {index for operator in operators for index in operator["outputs"]}
        self._tensors = [
            detail
            for detail in self._interpreter.get_tensor_details()
            if detail["index"] in made and detail["dtype"] == np.float32
        ]

    def _activations(self, picture: np.ndarray):  # type: ignore[no-untyped-def] # noqa: ANN202 - a generator of pairs
        self._interpreter.set_tensor(self._input, picture[None])
        self._interpreter.invoke()
        for detail in self._tensors:
            yield detail["name"], self._interpreter.get_tensor(detail["index"])

    def bounds(self, pictures: np.ndarray) -> dict[str, tuple[float, float, int]]:
        """Least and largest value over all pictures, and the number of dimensions."""
        found: dict[str, tuple[float, float, int]] = {}
        for picture in pictures:
            for name, values in self._activations(picture):
                low, high, _ = found.get(name, (np.inf, -np.inf, 0))
                found[name] = (min(low, float(values.min())), max(high, float(values.max())), values.ndim)
        return found

    def tightened(
        self, pictures: np.ndarray, bounds: dict[str, tuple[float, float, int]]
    ) -> dict[str, tuple[float, float, int]]:
        """The ranges with the least squared error over all pictures."""
        counts = {name: np.zeros(BINS, np.int64) for name in bounds}
        for picture in pictures:
            for name, values in self._activations(picture):
                low, high, _ = bounds[name]
                if high > low:
                    scaled = (values.ravel() - low) * ((BINS - 1e-3) / (high - low))
                    counts[name] += np.bincount(scaled.astype(np.int64).clip(0, BINS - 1), minlength=BINS)
        return {name: (*_tight(counts[name], low, high), rank) for name, (low, high, rank) in bounds.items()}


def _tight(counts: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """The range, a share of the whole, that rounding to 8 bits and clipping lose least in."""
    total = counts.sum()
    if not total or high <= low:
        return low, high
    centres = low + (np.arange(BINS) + 0.5) * ((high - low) / BINS)
    best, chosen = np.inf, (low, high)
    for share in np.linspace(1.0, 0.25, STEPS):
        bottom, top = min(low * share, 0.0), max(high * share, 0.0)  # zero must be a level
        scale = (top - bottom) / LEVELS
        # Inside, rounding costs a twelfth of the step squared (Widrow 1961); outside, what is cut off.
        cut = np.clip(centres, bottom, top) - centres
        loss = float((counts * cut**2).sum() / total + scale**2 / 12)
        if loss < best:
            best, chosen = loss, (bottom, top)
    return chosen


def main() -> None:
    """Write the result, or the reason why there is none."""
    job, result = (Path(argument) for argument in sys.argv[1:3])
    try:
        document = quantize(json.loads(job.read_text(encoding="utf-8")))
    except Exception as error:  # noqa: BLE001 - whatever the tool raises is its answer
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        document = {"error": f"{type(error).__name__}: {lines[0] if lines else 'no reason given'}"}
    whole = result.with_suffix(".part")
    whole.write_text(json.dumps(document), encoding="utf-8")
    whole.rename(result)


if __name__ == "__main__":
    main()
