"""Whether a runtime runs at all: it loads a network of one multiplication, and 6 times 7 is 42.

To be asked in a process of its own, for a runtime that does not fit its driver may end the process.
"""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from contracts.engine_recipe import EngineRecipe
from contracts.errors import DeviceError, UnknownNameError
from contracts.facts import Facts
from contracts.manifest import TensorInfo
from runtime.backends.base import Lane
from runtime.backends.table import open_lane
from runtime.tensorrt.plan import Module, plan_build

# c = a·b, float32 of one element; tests/integration/test_trial.py makes them anew and compares.
ONNX = base64.b64decode(
    "CAgSCWVkZ2V0YWxseTpICg4KAWEKAWISAWMiA011bBIDbXVsWg8KAWESCgoICAESBAoCCAFaDwoBYhIKCggIARIECgIIAWIPCgFjEgoKCAgBEgQKAggB"
    "QgQKABAN"
)
"""The network for every runtime but TFLite: ONNX of opset 13."""

TFLITE = base64.b64decode(
    "CAAAAFRGTDPK////FAAAABwAAAAgAAAAIAEAAAMAAAABAAAABAAAAJD///8DAAAAbXVsAAEAAAAUAAAAAAAOABgAFAAQAAwACAAEAA4AAAAUAAAAGAAA"
    "AFwAAABgAAAAaAAAAAMAAABtdWwAAQAAABQAAAAAAA4AFAAAABAADAALAAQADgAAABQAAAAAAAAVEAAAABQAAAAEAAQABAAAAAEAAAACAAAAAgAAAAAA"
    "AAABAAAAAQAAAAIAAAACAAAAAAAAAAEAAAADAAAAUAAAACQAAAAEAAAAyP///wgAAAAMAAAAAQAAAGMAAAABAAAAAQAAAOT///8IAAAADAAAAAEAAABi"
    "AAAAAQAAAAEAAAAMAAwACAAAAAAABAAMAAAACAAAAAwAAAABAAAAYQAAAAEAAAABAAAAAQAAABAAAAAMAAwACwAAAAAABAAMAAAAEgAAAAAAABI="
)
"""The same for TFLite."""

_A, _B = 6.0, 7.0
_WORKSPACE_MIB = 16


def multiply(backend: str, facts: Facts) -> float:
    """Multiply 6 and 7.

    Args:
        backend: whose runtime does.
        facts: the box's; TensorRT's engine is built by them.

    Raises:
        UnknownNameError: no such backend, or one that computes nothing.
        DeviceError: it computed something else.
        EdgetallyError: the runtime is not here, or does not run here; says why.
    """
    opener = TRIALS.get(backend)
    if opener is None:
        raise UnknownNameError("backend", backend, TRIALS)
    with tempfile.TemporaryDirectory(prefix="edgetally-") as folder:
        lane = opener(Path(folder), facts)
        try:
            (made,) = lane.infer({"a": np.array([_A], np.float32), "b": np.array([_B], np.float32)}).values()
            product = float(made[0])
        finally:
            lane.close()
    if product != _A * _B:
        raise DeviceError(f"{_A:g} times {_B:g} should be {_A * _B:g}, {backend} says {product:g}; install it anew")
    return product


def _of_file(backend: str, name: str, data: bytes, precision: str = "f32") -> Callable[[Path, Facts], Lane]:
    def open_it(folder: Path, _: Facts) -> Lane:
        (folder / name).write_bytes(data)
        return open_lane(backend, folder / name, execution_precision=precision)

    return open_it


def _of_engine(module: Module) -> Callable[[Path, Facts], Lane]:
    def open_it(folder: Path, facts: Facts) -> Lane:
        """An engine is built for this GPU first: that takes seconds."""
        from runtime.tensorrt.build import BuildJob, build_engine
        from runtime.tensorrt.interpreter import other_python

        (folder / "mul.onnx").write_bytes(ONNX)
        engine = folder / "mul.engine"
        python = other_python(None) if module == "tensorrt" else None
        build_engine(BuildJob(plan_build(_recipe(), facts, module), folder / "mul.onnx", engine, python=python))
        return open_lane(module, engine)

    return open_it


def _recipe() -> EngineRecipe:
    """Without types or flags that only some generations of TensorRT know."""
    one = {name: TensorInfo(name=name, dtype="float32", shape=(1,)) for name in ("a", "b", "c")}
    return EngineRecipe(
        generation="10.3",
        requires=(),
        onnx="mul.onnx",
        precision="fp32",
        strongly_typed=False,
        inputs=(one["a"], one["b"]),
        outputs=(one["c"],),
        workspace_mib=_WORKSPACE_MIB,
    )


TRIALS: Mapping[str, Callable[[Path, Facts], Lane]] = {
    "onnxruntime": _of_file("onnxruntime", "mul.onnx", ONNX),
    "openvino": _of_file("openvino", "mul.onnx", ONNX),
    "tflite": _of_file("tflite", "mul.tflite", TFLITE),
    "qnn": _of_file("qnn", "mul.onnx", ONNX, "native"),
    "tensorrt": _of_engine("tensorrt"),
    "tensorrt_rtx": _of_engine("tensorrt_rtx"),
}
"""How each backend is tried; `multiply`."""
