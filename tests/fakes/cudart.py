"""A stand-in for CUDA's runtime API: memory that knows whether it is still there, streams, capture and replay.

GPU memory is host memory here. It says which calls came in which order, and fails where it is told to.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

_OUT_OF_MEMORY = 2


class FakeCudart:
    """``cuda.bindings.runtime`` as far as `runtime.tensorrt.api.Cudart` goes.

    Args:
        fail: call to the number of the call of that name (from 1) that fails.
        error: with which error.
    """

    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice="H2D", cudaMemcpyDeviceToHost="D2H")  # noqa: N815
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)  # noqa: N815
    cudaStreamNonBlocking = 1  # noqa: N815
    cudaHostAllocDefault = 0  # noqa: N815

    def __init__(self, fail: dict[str, int] | None = None, error: int = _OUT_OF_MEMORY) -> None:
        self.calls: list[str] = []
        self.live: dict[int, tuple[str, Any]] = {}
        self._fail = fail or {}
        self._handles = 0
        self._error = error
        self._captured: list[Callable[[], None]] | None = None
        self._queued: list[Callable[[], None]] = []

    def submit(self, stream: int, work: Callable[[], None]) -> None:
        """What others put on a stream."""
        assert stream in self.live, "a stream that was destroyed"
        (self._queued if self._captured is None else self._captured).append(work)

    def __getattr__(self, name: str) -> Callable[..., tuple[Any, ...]]:
        does = getattr(type(self), f"_{name}", None)
        if does is None:
            raise AttributeError(name)

        def call(*arguments: Any) -> tuple[Any, ...]:
            self.calls.append(name)
            if self._fail.get(name) == self.calls.count(name):
                if name == "cudaStreamEndCapture":
                    self._captured = None  # CUDA ends the capture in any case
                return (self._error, None)
            return (0, *does(self, *arguments))

        return call

    def cudaGetErrorName(self, error: int) -> tuple[int, bytes]:  # noqa: N802
        names = {_OUT_OF_MEMORY: b"cudaErrorMemoryAllocation", 900: b"cudaErrorStreamCaptureUnsupported"}
        return 0, names.get(error, b"cudaErrorUnknown")

    def _new(self, kind: str, size: int = 1) -> int:
        memory = ctypes.create_string_buffer(size)
        address = ctypes.addressof(memory)
        self.live[address] = (kind, memory)
        return address

    def _handle(self, kind: str, content: Any) -> int:
        self._handles += 1
        self.live[self._handles] = (kind, content)
        return self._handles

    def _gone(self, address: Any, kind: str) -> tuple[()]:
        assert self.live.pop(int(address))[0] == kind
        return ()

    def _cudaGetLastError(self) -> tuple[()]:  # noqa: N802
        return ()

    def _cudaMalloc(self, size: int) -> tuple[int]:  # noqa: N802
        return (self._new("device", size),)

    def _cudaFree(self, pointer: int) -> tuple[()]:  # noqa: N802
        return self._gone(pointer, "device")

    def _cudaHostAlloc(self, size: int, flags: int) -> tuple[int]:  # noqa: N802
        return (self._new("host", size),)

    def _cudaFreeHost(self, pointer: int) -> tuple[()]:  # noqa: N802
        return self._gone(pointer, "host")

    def _cudaStreamCreateWithFlags(self, flags: int) -> tuple[int]:  # noqa: N802
        return (self._handle("stream", None),)

    def _cudaStreamDestroy(self, stream: int) -> tuple[()]:  # noqa: N802
        return self._gone(stream, "stream")

    def _cudaStreamSynchronize(self, stream: int) -> tuple[()]:  # noqa: N802
        assert self._captured is None, "waiting is not allowed while capturing"
        while self._queued:
            self._queued.pop(0)()
        return ()

    def _cudaMemcpyAsync(self, dst: int, src: int, count: int, kind: str, stream: int) -> tuple[()]:  # noqa: N802
        device, host = (dst, src) if kind == "H2D" else (src, dst)
        assert self.live[device][0] == "device"
        assert self.live[host][0] == "host"
        assert max(count, 0) <= min(len(self.live[dst][1]), len(self.live[src][1]))
        self.submit(stream, lambda: void(ctypes.memmove(dst, src, count)))
        return ()

    def _cudaStreamBeginCapture(self, stream: int, mode: int) -> tuple[()]:  # noqa: N802
        assert self._captured is None
        self._captured = []
        return ()

    def _cudaStreamEndCapture(self, stream: int) -> tuple[Any]:  # noqa: N802
        captured, self._captured = self._captured, None
        assert captured is not None
        return (self._handle("graph", captured),)

    def _cudaGraphInstantiate(self, graph: int, flags: int) -> tuple[int]:  # noqa: N802
        return (self._handle("replay", self.live[graph][1]),)

    def _cudaGraphLaunch(self, graph: int, stream: int) -> tuple[()]:  # noqa: N802
        self._queued.extend(self.live[graph][1])
        return ()

    def _cudaGraphDestroy(self, graph: int) -> tuple[()]:  # noqa: N802
        return self._gone(graph, "graph")

    def _cudaGraphExecDestroy(self, graph: int) -> tuple[()]:  # noqa: N802
        return self._gone(graph, "replay")


def void(_: object) -> None:
    """Give nothing back."""
