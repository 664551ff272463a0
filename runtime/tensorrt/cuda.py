"""Memory, a stream and graphs of CUDA, every call checked; what is opened is given back in order."""

from __future__ import annotations

import ctypes
from contextlib import ExitStack
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from contracts.errors import DeviceError
from runtime.tensorrt.api import Cudart, Handle

T = TypeVar("T")


class Cuda:
    """CUDA's runtime API with errors as exceptions.

    Args:
        api: `runtime.tensorrt.api.load_cudart`, or what behaves like it.
    """

    def __init__(self, api: Cudart) -> None:
        self._api = api

    def stream(self, stack: ExitStack) -> Handle:
        """A stream of its own, which waits for no other; destroyed with the stack.

        Raises:
            DeviceError: CUDA refuses; so do all methods here.
        """
        stream = self._value("cudaStreamCreateWithFlags", self._api.cudaStreamCreateWithFlags(self._non_blocking))
        stack.callback(lambda: self._done("cudaStreamDestroy", self._api.cudaStreamDestroy(stream)))
        return stream

    @property
    def _non_blocking(self) -> int:
        return self._api.cudaStreamNonBlocking

    def pinned(self, size: int, stack: ExitStack) -> NDArray[np.uint8]:
        """Page-locked host memory, which alone is copied without waiting; freed with the stack.

        Args:
            size: bytes, at least 1.
            stack: what frees it.
        """
        address = int(self._value("cudaHostAlloc", self._api.cudaHostAlloc(size, self._api.cudaHostAllocDefault)))
        stack.callback(lambda: self._done("cudaFreeHost", self._api.cudaFreeHost(address)))
        return np.ctypeslib.as_array((ctypes.c_ubyte * size).from_address(address))

    def device_memory(self, size: int, stack: ExitStack) -> int:
        """The address of GPU memory of that many bytes; freed with the stack."""
        address = int(self._value("cudaMalloc", self._api.cudaMalloc(size)))
        stack.callback(lambda: self._done("cudaFree", self._api.cudaFree(address)))
        return address

    def copy_in(self, host: NDArray[np.uint8], device: int, stream: Handle) -> None:
        """Begin to copy host memory to the GPU."""
        kind = self._api.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._done("cudaMemcpyAsync", self._api.cudaMemcpyAsync(device, host.ctypes.data, host.nbytes, kind, stream))

    def copy_out(self, device: int, host: NDArray[np.uint8], stream: Handle) -> None:
        """Begin to copy GPU memory to the host."""
        kind = self._api.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._done("cudaMemcpyAsync", self._api.cudaMemcpyAsync(host.ctypes.data, device, host.nbytes, kind, stream))

    def wait(self, stream: Handle) -> None:
        """Wait for what was begun on a stream."""
        self._done("cudaStreamSynchronize", self._api.cudaStreamSynchronize(stream))

    def begin_capture(self, stream: Handle) -> None:
        """From here on the stream's work is written down instead of done."""
        mode = self._api.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._done("cudaStreamBeginCapture", self._api.cudaStreamBeginCapture(stream, mode))

    def end_capture(self, stream: Handle, stack: ExitStack) -> Handle:
        """What was written down, ready to be replayed; destroyed with the stack."""
        graph = self._value("cudaStreamEndCapture", self._api.cudaStreamEndCapture(stream))
        try:
            replay = self._value("cudaGraphInstantiate", self._api.cudaGraphInstantiate(graph, 0))
        finally:
            self._done("cudaGraphDestroy", self._api.cudaGraphDestroy(graph))
        stack.callback(lambda: self._done("cudaGraphExecDestroy", self._api.cudaGraphExecDestroy(replay)))
        return replay

    def abandon_capture(self, stream: Handle) -> None:
        """Leave capturing after a failure, so that the stream works again; its errors are those that led here."""
        self._api.cudaStreamEndCapture(stream)
        self._api.cudaGetLastError()

    def replay(self, graph: Handle, stream: Handle) -> None:
        """Begin to do what was captured."""
        self._done("cudaGraphLaunch", self._api.cudaGraphLaunch(graph, stream))

    def _value(self, call: str, result: tuple[int, T]) -> T:
        self._check(call, result[0])
        return result[1]

    def _done(self, call: str, result: tuple[int]) -> None:
        self._check(call, result[0])

    def _check(self, call: str, error: int) -> None:
        if int(error) == 0:
            return
        name = self._api.cudaGetErrorName(error)[1].decode(errors="replace")
        raise DeviceError(f"CUDA's {call} failed with {name}; {_CURES.get(name, 'look into the kernel log (dmesg)')}")


_CURES = {
    "cudaErrorMemoryAllocation": "the GPU's memory is full: use fewer lanes or a smaller model",
    "cudaErrorNoDevice": "this box shows no NVIDIA GPU: check its driver",
    "cudaErrorInsufficientDriver": "the NVIDIA driver is missing or older than CUDA asks for: update it",
}
