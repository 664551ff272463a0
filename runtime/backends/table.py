"""The backends that exist, by name; asking imports none of them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import cast

from contracts.errors import RuntimeMissingError, UnknownNameError
from runtime.backends.base import Backend, Lane


@dataclass(frozen=True)
class Entry:
    """Where a backend is.

    Args:
        module: imported when the backend is opened.
        package: the runtime's import name; None where there is none.
        extra: the extra of edgetally that brings it.
    """

    module: str
    package: str | None
    extra: str


BACKENDS = {
    "null": Entry("runtime.backends.null", None, ""),
    "onnxruntime": Entry("runtime.backends.onnxruntime", "onnxruntime", "onnxruntime"),
    "openvino": Entry("runtime.backends.openvino", "openvino", "openvino"),
    "qnn": Entry("runtime.backends.qnn", "onnxruntime_qnn", "qnn"),
    "tflite": Entry("runtime.backends.tflite", "ai_edge_litert", "tflite"),
    "tensorrt": Entry("runtime.backends.tensorrt", "tensorrt", "tensorrt"),
    "tensorrt_rtx": Entry("runtime.backends.tensorrt_rtx", "tensorrt_rtx", "tensorrt-rtx"),
}


_NO_OPTIONS: Mapping[str, str] = MappingProxyType({})


def open_lanes(
    backend: str,
    model_file: Path,
    *,
    execution_precision: str = "f32",
    lanes: int = 1,
    threads: int = 1,
    options: Mapping[str, str] = _NO_OPTIONS,
) -> list[Lane]:
    """Load an artifact with a backend and open lanes on it; arguments as in `Backend.open_lanes`.

    Raises:
        UnknownNameError: no such backend.
        RuntimeMissingError: its runtime is not installed here.
        ArtifactError: the runtime refuses the file.
        DeviceError: this box cannot run it so.
    """
    module = _load(backend)
    return module.open_lanes(
        model_file, execution_precision=execution_precision, lanes=lanes, threads=threads, options=options
    )


def open_lane(
    backend: str,
    model_file: Path,
    *,
    execution_precision: str = "f32",
    threads: int = 1,
    options: Mapping[str, str] = _NO_OPTIONS,
) -> Lane:
    """One lane, for who runs one inference at a time; raises as `open_lanes` does."""
    (lane,) = open_lanes(backend, model_file, execution_precision=execution_precision, threads=threads, options=options)
    return lane


def _load(name: str) -> Backend:
    entry = BACKENDS.get(name)
    if entry is None:
        raise UnknownNameError("backend", name, BACKENDS)
    try:
        return cast("Backend", importlib.import_module(entry.module))
    except ModuleNotFoundError as error:
        # A missing shared library is an ImportError or OSError with its own text: that has another cure.
        if entry.package is None or error.name != entry.package:
            raise
        raise RuntimeMissingError(f"backend {name!r}", entry.package, entry.extra) from error
