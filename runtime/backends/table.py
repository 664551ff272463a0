"""The backends that exist, by name; asking imports none of them."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
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
}


def open_lanes(
    backend: str, model_file: Path, *, execution_precision: str = "f32", lanes: int = 1, threads: int = 1
) -> list[Lane]:
    """Load an artifact with a backend and open lanes on it; arguments as in `Backend.open_lanes`.

    Raises:
        UnknownNameError: no such backend.
        RuntimeMissingError: its runtime is not installed here.
        ArtifactError: the runtime refuses the file.
        DeviceError: this box cannot run it so.
    """
    module = _load(backend)
    return module.open_lanes(model_file, execution_precision=execution_precision, lanes=lanes, threads=threads)


def open_lane(backend: str, model_file: Path, *, execution_precision: str = "f32", threads: int = 1) -> Lane:
    """One lane, for who runs one inference at a time; raises as `open_lanes` does."""
    (lane,) = open_lanes(backend, model_file, execution_precision=execution_precision, threads=threads)
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
