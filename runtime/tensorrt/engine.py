"""Reading an engine: by its header, then by TensorRT, whose reasons are kept; and comparing it with its recipe."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from contracts.documents import read_document
from contracts.engine_recipe import RECIPE_NAME, EngineRecipe
from contracts.errors import DeviceError, ModelFileError
from contracts.facts import version_key
from runtime.documents import load_json
from runtime.plan_header import HEADER_SIZE, read_plan_header
from runtime.tensorrt.api import Engine, Runtime, TensorRt
from runtime.tensorrt.inspector import count_layers, shortage

_log = logging.getLogger(__name__)

_HEADER_SINCE = (8, 6)  # from this TensorRT on an engine's header holds its version where we read it
_KEPT = 20  # messages of TensorRT's that are kept, newest
_DTYPES: dict[str, np.dtype[Any]] = {
    "FLOAT": np.dtype(np.float32),
    "HALF": np.dtype(np.float16),
    "INT8": np.dtype(np.int8),
    "UINT8": np.dtype(np.uint8),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "BOOL": np.dtype(np.bool_),
}
"""``tensorrt.DataType`` to NumPy; its own ``nptype`` fails with NumPy from 1.24 on (TensorRT 8)."""


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of an engine.

    Args:
        name: its name.
        is_input: whether it goes in.
        dtype: NumPy's.
        shape: static.
    """

    name: str
    is_input: bool
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of the whole tensor."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


@dataclass(frozen=True)
class OpenEngine:
    """An engine ready to make contexts.

    Args:
        engine: TensorRT's.
        tensors: its inputs and outputs.
        runtime: what read it, which has to outlive it.
    """

    engine: Engine
    tensors: tuple[TensorSpec, ...]
    runtime: Runtime


class Messages:
    """What TensorRT logged, newest last; warnings and worse go to our log too."""

    def __init__(self, trt: TensorRt) -> None:
        self.errors: list[str] = []
        self.logger = _logger_class(trt)(self._take)

    def _take(self, severity: str, message: str) -> None:
        if severity in {"ERROR", "INTERNAL_ERROR"}:
            self.errors = [*self.errors, message][-_KEPT:]
        elif severity == "WARNING":
            _log.warning("TensorRT: %s", message)

    @property
    def reason(self) -> str:
        """The first error, which is the cause; the rest follow from it."""
        return self.errors[0] if self.errors else "it gave no reason"


def _logger_class(trt: TensorRt) -> type:
    """A logger of TensorRT's; its base class is only known where the module is."""
    base: Any = trt.ILogger

    class Logger(base):  # type: ignore[misc]
        def __init__(self, take: Callable[[str, str], None]) -> None:
            base.__init__(self)
            self._take = take

        def log(self, severity: Any, msg: str) -> None:  # noqa: ANN401 - TensorRT's
            self._take(severity.name, msg)

    return Logger


def open_engine(trt: TensorRt, kind: Literal["tensorrt", "tensorrt_rtx"], engine_file: Path) -> OpenEngine:
    """Read an engine and describe it.

    Args:
        trt: the module.
        kind: its name.
        engine_file: the engine.

    Raises:
        ModelFileError: the file is missing, or no engine for this TensorRT and GPU; the sentence holds its reason.
        DeviceError: CUDA does not work here.
    """
    content = read_engine_file(engine_file)
    check_header(content, kind, trt.__version__, engine_file.name)
    messages = Messages(trt)
    runtime = trt.Runtime(messages.logger)
    if runtime is None:
        raise DeviceError(f"TensorRT {trt.__version__} does not start: {messages.reason}; check the NVIDIA driver")
    if kind == "tensorrt":
        trt.init_libnvinfer_plugins(messages.logger, "")  # its parser makes plugins of some ONNX operators
    engine = runtime.deserialize_cuda_engine(content)
    if engine is None:
        raise ModelFileError(
            f"{engine_file.name}: TensorRT {trt.__version__} does not read it: {messages.reason}; build the engine "
            "on this very device"
        )
    return OpenEngine(engine, _describe(engine, engine_file.name), runtime)


def read_engine_file(engine_file: Path) -> bytes:
    """The bytes of an engine.

    Raises:
        ModelFileError: there is none, or it is an ONNX, from which an engine has to be built first.
    """
    if engine_file.suffix == ".onnx" or engine_file.name == RECIPE_NAME:
        raise ModelFileError(
            f"{engine_file.name}: expected an engine, got what one is built from; let the agent build it"
        )
    try:
        return engine_file.read_bytes()
    except OSError as error:
        raise ModelFileError(f"{engine_file}: the engine cannot be read: {error.strerror}; build it again") from error


def check_header(content: bytes, kind: Literal["tensorrt", "tensorrt_rtx"], version: str, name: str) -> None:
    """Refuse an engine of another kind or version before TensorRT does with less to say.

    Args:
        content: the engine's first bytes, at least.
        kind: the module that should run it.
        version: the module's ``__version__``, of three or four numbers: as many as it has are compared.
        name: of the file, for the error's text.

    Raises:
        ModelFileError: it is for another one; both versions are named.
    """
    header = read_plan_header(content[:HEADER_SIZE], name)
    if header.fact != f"runtime.{kind}":
        raise ModelFileError(
            f"{name}: expected an engine of {kind}, got one for the fact {header.fact}; build it again"
        )
    if kind == "tensorrt" and version_key(version) < _HEADER_SINCE:
        return
    installed, built = version.split("."), header.version.split(".")
    if installed[:4] != built[: len(installed)]:
        raise ModelFileError(
            f"{name}: engine built by TensorRT {header.version}, this device has {version}; build it again"
        )


def _describe(engine: Engine, name: str) -> tuple[TensorSpec, ...]:
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    return tuple(
        tensor_spec(
            tensor,
            is_input=engine.get_tensor_mode(tensor).name == "INPUT",
            dtype=engine.get_tensor_dtype(tensor).name,
            shape=tuple(engine.get_tensor_shape(tensor)),
            where=name,
        )
        for tensor in names
    )


def tensor_spec(name: str, *, is_input: bool, dtype: str, shape: tuple[int, ...], where: str) -> TensorSpec:
    """One tensor as TensorRT names it, checked.

    Args:
        name: its name.
        is_input: whether it goes in.
        dtype: the name in ``tensorrt.DataType``.
        shape: its dimensions.
        where: the engine's file, for the error's text.

    Raises:
        ModelFileError: its type has no form here, or its shape is not fixed.
    """
    known = _DTYPES.get(dtype)
    if known is None:
        raise ModelFileError(
            f"{where}: tensor {name!r} should be one of {', '.join(_DTYPES)}, got {dtype}; export it so"
        )
    if any(size < 1 for size in shape):
        raise ModelFileError(f"{where}: tensor {name!r} should have a fixed shape, got {shape}; build it with one")
    return TensorSpec(name, is_input, known, shape)


def recipe_beside(engine_file: Path) -> EngineRecipe | None:
    """What the engine was built from, where it lies beside it.

    Raises:
        DocumentError: it does not fit its model.
    """
    path = engine_file.with_name(RECIPE_NAME)
    if not path.is_file():
        return None
    return read_document(EngineRecipe, load_json(path), str(path))


def check_layers(report: str, recipe: EngineRecipe, name: str) -> None:
    """Refuse an engine that fell back to a wider type than its recipe intended.

    Raises:
        DeviceError: it did; the sentence says how many layers of how many.
    """
    counts = count_layers(report)
    missing = shortage(recipe.expected, counts)
    if missing:
        raise DeviceError(f"{name}: {missing}; this GPU or TensorRT lacks fast kernels for it: choose another artifact")
    if (recipe.expected.int8 or recipe.expected.half) and (counts.opaque or not counts.detailed):
        _log.warning("%s: the types that its layers compute in cannot be seen (%d fused)", name, counts.opaque)


def check_execution_precision(asked: str, name: str) -> None:
    """See that nothing else is asked for than the types that the engine was built with; they cannot be changed.

    Raises:
        DeviceError: something else is.
    """
    if asked != "f32":
        raise DeviceError(
            f"{name}: TensorRT computes in the types that the engine was built with; expected execution precision f32, "
            f"got {asked!r}; leave it out or choose another artifact"
        )
