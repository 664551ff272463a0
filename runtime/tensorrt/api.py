"""What we use of ``tensorrt`` (or ``tensorrt_rtx``) and of CUDA's runtime API, as protocols; and getting hold of them.

The names are theirs. Neither package is needed to import this module.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Protocol, TypeAlias, cast

from contracts.errors import DeviceError, RuntimeMissingError

# ruff: noqa: N802, N803, D102 - other people's names; what they do stands in their documentation


class Named(Protocol):
    """A value of one of their enumerations (``DataType.FLOAT``)."""

    @property
    def name(self) -> str: ...


class Inspector(Protocol):
    """``EngineInspector``: says what layers an engine has."""

    def get_engine_information(self, format: object) -> str: ...  # noqa: A002


class Context(Protocol):
    """``IExecutionContext``: one caller's state of an engine."""

    def set_tensor_address(self, name: str, memory: int) -> bool: ...
    def execute_async_v3(self, stream_handle: int) -> bool: ...


class Engine(Protocol):
    """``ICudaEngine``."""

    @property
    def num_io_tensors(self) -> int: ...
    def get_tensor_name(self, index: int) -> str: ...
    def get_tensor_mode(self, name: str) -> Named: ...
    def get_tensor_shape(self, name: str) -> Iterable[int]: ...
    def get_tensor_dtype(self, name: str) -> Named: ...
    def create_execution_context(self) -> Context | None: ...
    def create_engine_inspector(self) -> Inspector: ...


class Runtime(Protocol):
    """``Runtime``: reads engines."""

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> Engine | None: ...


class InformationFormat(Protocol):
    """``LayerInformationFormat``."""

    @property
    def JSON(self) -> object: ...


class TensorRt(Protocol):
    """The module ``tensorrt`` or ``tensorrt_rtx``, as far as running engines goes."""

    __version__: str

    @property
    def ILogger(self) -> type: ...
    @property
    def LayerInformationFormat(self) -> InformationFormat: ...
    def Runtime(self, logger: object) -> Runtime: ...
    def init_libnvinfer_plugins(self, logger: object, namespace: str) -> bool: ...


class Cudart(Protocol):
    """``cuda.bindings.runtime``: every call gives a tuple that begins with its ``cudaError_t``."""

    @property
    def cudaMemcpyKind(self) -> CopyKind: ...
    @property
    def cudaStreamCaptureMode(self) -> CaptureMode: ...
    @property
    def cudaStreamNonBlocking(self) -> int: ...
    @property
    def cudaHostAllocDefault(self) -> int: ...

    def cudaGetErrorName(self, error: int) -> tuple[int, bytes]: ...
    def cudaGetLastError(self) -> tuple[int]: ...
    def cudaMalloc(self, size: int) -> tuple[int, int]: ...
    def cudaFree(self, devPtr: int) -> tuple[int]: ...
    def cudaHostAlloc(self, size: int, flags: int) -> tuple[int, int]: ...
    def cudaFreeHost(self, ptr: int) -> tuple[int]: ...
    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[int, Handle]: ...
    def cudaStreamDestroy(self, stream: Handle) -> tuple[int]: ...
    def cudaStreamSynchronize(self, stream: Handle) -> tuple[int]: ...
    def cudaMemcpyAsync(self, dst: int, src: int, count: int, kind: object, stream: Handle) -> tuple[int]: ...
    def cudaStreamBeginCapture(self, stream: Handle, mode: object) -> tuple[int]: ...
    def cudaStreamEndCapture(self, stream: Handle) -> tuple[int, Handle]: ...
    def cudaGraphInstantiate(self, graph: Handle, flags: int) -> tuple[int, Handle]: ...
    def cudaGraphLaunch(self, graphExec: Handle, stream: Handle) -> tuple[int]: ...
    def cudaGraphDestroy(self, graph: Handle) -> tuple[int]: ...
    def cudaGraphExecDestroy(self, graphExec: Handle) -> tuple[int]: ...


Handle: TypeAlias = object
"""A stream, graph or executable graph of CUDA's; see `native_handle`."""


class CopyKind(Protocol):
    """``cudaMemcpyKind``."""

    @property
    def cudaMemcpyHostToDevice(self) -> object: ...
    @property
    def cudaMemcpyDeviceToHost(self) -> object: ...


class CaptureMode(Protocol):
    """``cudaStreamCaptureMode``."""

    @property
    def cudaStreamCaptureModeThreadLocal(self) -> object: ...


def load_tensorrt(module: str) -> TensorRt:
    """The module ``tensorrt`` or ``tensorrt_rtx``.

    Raises:
        RuntimeMissingError: it is not installed for this Python.
        DeviceError: it is, and does not load (a shared library is missing, say).
    """
    extra = module.replace("_", "-")
    try:
        return cast("TensorRt", importlib.import_module(module))
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise RuntimeMissingError(f"backend {module!r}", module, extra) from error
    except (ImportError, OSError) as error:
        raise DeviceError(f"the package {module!r} does not load: {error}; install it again") from error


def load_cudart() -> Cudart:
    """CUDA's runtime API of cuda-bindings, which releases the GIL in every call from 12.9.1 on (its release notes).

    Raises:
        RuntimeMissingError: it is not installed for this Python.
        DeviceError: it is, and does not load.
    """
    try:
        return cast("Cudart", importlib.import_module("cuda.bindings.runtime"))
    except ModuleNotFoundError as error:
        raise RuntimeMissingError("backend 'tensorrt'", "cuda-bindings", "tensorrt") from error
    except (ImportError, OSError) as error:
        raise DeviceError(f"the package 'cuda-bindings' does not load: {error}; install it again") from error


def native_handle(handle: Handle) -> int:
    """The address behind a stream or graph, as TensorRT wants it; cuda-bindings means to drop ``int()`` for that."""
    if isinstance(handle, int):
        return handle
    utils = importlib.import_module("cuda.bindings.utils")
    return int(utils.get_cuda_native_handle(handle))
