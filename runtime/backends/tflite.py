"""TFLite on the CPU: LiteRT's interpreter, or tflite-runtime's where only that is installed.

Both put XNNPACK under the operators that it knows, and say nothing of those that it left to slow kernels:
tflite-runtime 2.14 leaves all of int8, which then takes longer than float32. A lane counts them; opening it logs them.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from contracts.errors import ArtifactError, DeviceError, ModelFileError
from runtime.backends.base import Lane, check_options
from runtime.results import Array, Tensors

try:
    from ai_edge_litert.interpreter import Interpreter

    RUNTIME = "ai-edge-litert"
except ModuleNotFoundError as missing:
    if missing.name != "ai_edge_litert":
        raise
    try:
        from tflite_runtime.interpreter import Interpreter
    except ModuleNotFoundError:
        raise missing from None  # the newer one is what a person should install
    RUNTIME = "tflite-runtime"

_LOG = logging.getLogger(__name__)
_DELEGATE = "DELEGATE"
_HEAVY = frozenset(("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "CONV_3D", "FULLY_CONNECTED", "BATCH_MATMUL"))
_Detail = Mapping[str, Any]  # what an interpreter says of a tensor: "index", "name", "shape", "dtype"


class TfLiteLane:
    """One interpreter with its own buffers and threads; it lets go of the GIL while it computes.

    Attributes:
        runtime: the package whose interpreter it is.
        outside: kinds of operators that XNNPACK left to other kernels, and how many of each.
        slow: how many of those are convolutions and matrix products, which do the work.
    """

    runtime = RUNTIME

    def __init__(self, model_file: Path, threads: int) -> None:
        self._interpreter = _interpreter(model_file, threads)
        self._inputs, self._outputs = _ends(self._interpreter)
        self.outside = _outside_xnnpack(self._interpreter)
        self.slow = sum(number for kind, number in self.outside.items() if kind in _HEAVY)

    def infer(self, tensors: Tensors) -> Tensors:
        """Run the network once; see `runtime.backends.base.Lane`."""
        for name, detail in self._inputs.items():
            shape, dtype = tuple(int(size) for size in detail["shape"]), np.dtype(detail["dtype"])
            value = tensors.get(name)
            if value is None or value.shape != shape or value.dtype != dtype:
                came = "nothing" if value is None else f"{value.dtype} {value.shape}"
                raise ArtifactError(f"input {name!r} should be {dtype} {shape}, got {came}; check the declared size")
            self._interpreter.set_tensor(detail["index"], value)
        try:
            self._interpreter.invoke()
        except (RuntimeError, ValueError) as error:
            raise ArtifactError(f"TFLite failed: {error}; choose another artifact") from error
        # Copies: an interpreter refuses to run again while anybody holds a view of its memory.
        return {name: _array(self._interpreter.get_tensor(detail["index"])) for name, detail in self._outputs.items()}

    def close(self) -> None:
        """The interpreter goes with this object."""


def open_lanes(
    model_file: Path, *, execution_precision: str, lanes: int, threads: int, options: Mapping[str, str]
) -> list[Lane]:
    """See `runtime.backends.base.Backend`."""
    check_options("tflite", options)
    if execution_precision != "f32":
        raise DeviceError(
            "TFLite on a CPU computes in the types that stand in the file; expected execution precision f32, "
            f"got {execution_precision!r}; leave it out or choose another artifact"
        )
    if not model_file.is_file():
        raise ModelFileError(f"{model_file}: expected a TFLite file, there is none; check the path")
    opened = [TfLiteLane(model_file, threads) for _ in range(lanes)]
    if opened and opened[0].slow:
        _LOG.warning(
            "%s: XNNPACK left %d convolutions and products to %s's slow kernels; choose another precision",
            model_file,
            opened[0].slow,
            RUNTIME,
        )
    return [*opened]


def _interpreter(model_file: Path, threads: int) -> Interpreter:
    try:
        interpreter = Interpreter(model_path=str(model_file), num_threads=threads)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise ModelFileError(f"{model_file}: TFLite does not load it: {error}; convert the model again") from error
    return interpreter


def _outside_xnnpack(interpreter: Interpreter) -> dict[str, int]:
    """What XNNPACK did not take; tensors between the operators that it took are its own, and empty here."""
    operators = interpreter._get_ops_details()  # noqa: SLF001 - nothing public says what a delegate took
    given = {index for operator in operators if operator["op_name"] == _DELEGATE for index in operator["outputs"]}
    left: Counter[str] = Counter()
    for operator in operators:
        kind, made = operator["op_name"], set(map(int, operator["outputs"]))
        if kind != _DELEGATE and not made & given and all(_holds_memory(interpreter, index) for index in made):
            left[kind] += 1
    return dict(left)


def _holds_memory(interpreter: Interpreter, index: int) -> bool:
    try:
        interpreter.tensor(index)()
    except ValueError:
        return False
    return True


def _ends(interpreter: Interpreter) -> tuple[dict[str, _Detail], dict[str, _Detail]]:
    """Inputs and outputs by name: the signature's, where there is one; else the tensors' own."""
    signatures = list(interpreter.get_signature_list())
    if len(signatures) == 1:
        runner = interpreter.get_signature_runner(signatures[0])
        return dict(runner.get_input_details()), dict(runner.get_output_details())
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    return {plain_name(end["name"]): end for end in inputs}, {plain_name(end["name"]): end for end in outputs}


def plain_name(name: str) -> str:
    """A tensor's name without what TensorFlow's converter puts around it.

    ``serving_default_image:0`` gives ``image``; an output of ``StatefulPartitionedCall:0`` has no name to come back to.
    """
    return name.removeprefix("serving_default_").removesuffix(":0")


def _array(value: object) -> Array:
    if not isinstance(value, np.ndarray):
        raise ArtifactError(f"expected a tensor as output, got {type(value).__name__}; export the model without it")
    return value
