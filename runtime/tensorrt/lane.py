"""A lane on an engine in this process: fixed buffers, one stream, and a CUDA graph of the whole way in and out."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts.errors import ArtifactError, DeviceError
from runtime.results import Array, Tensors
from runtime.tensorrt.api import Context, Handle, native_handle
from runtime.tensorrt.cuda import Cuda
from runtime.tensorrt.engine import OpenEngine, TensorSpec

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Buffer:
    """A tensor's memory: on the host, page-locked, and on the GPU."""

    spec: TensorSpec
    host: NDArray[np.uint8]
    device: int

    @property
    def view(self) -> Array:
        return self.host.view(self.spec.dtype).reshape(self.spec.shape)


class TensorRtLane:
    """One execution context with its own stream and memory.

    Running releases the GIL: TensorRT's ``execute_async_v3`` does (``call_guard<gil_scoped_release>`` in the bindings'
    pyCore.cpp, NVIDIA/TensorRT), and so does every call of cuda-bindings from 12.9.1 on (its release notes). Outputs
    are views of page-locked memory, valid until the next call and never after `close`.

    Args:
        opened: the engine, which may be shared.
        cuda: CUDA, checked.
        use_graph: whether to capture the work once and replay it.

    Attributes:
        no_graph_because: why no CUDA graph is replayed; None where one is.

    Raises:
        DeviceError: the GPU's memory is full, or CUDA fails.
    """

    def __init__(self, opened: OpenEngine, cuda: Cuda, *, use_graph: bool) -> None:
        self._cuda = cuda
        self._engine: OpenEngine | None = opened
        self._graph: Handle | None = None
        self.no_graph_because: str | None = "it was turned off"
        with ExitStack() as stack:
            self._stream = cuda.stream(stack)
            self._buffers = [_buffer(spec, cuda, stack) for spec in opened.tensors]
            self._context: Context | None = _context(opened, self._buffers)
            stack.callback(self._drop_context)
            self._outputs: Tensors = {b.spec.name: b.view for b in self._buffers if not b.spec.is_input}
            self._inputs = {b.spec.name: b.view for b in self._buffers if b.spec.is_input}
            self._begin()
            cuda.wait(self._stream)  # the first run loads kernels, which cannot be captured
            if use_graph:
                self.no_graph_because = self._capture(stack)
            self._stack = stack.pop_all()

    def infer(self, tensors: Tensors) -> Tensors:
        """Run the network once; see `runtime.backends.base.Lane`. uint8 may come for floats: 0 to 255 as they are."""
        if self._context is None:
            raise RuntimeError("a lane was used after it was closed")
        fill_inputs(self._inputs, tensors)
        if self._graph is None:
            self._begin()
        else:
            self._cuda.replay(self._graph, self._stream)
        self._cuda.wait(self._stream)
        return self._outputs

    def close(self) -> None:
        """Graph, context, memory, stream and, with the last lane, the engine, in this order; twice is harmless."""
        self._graph = None
        self._outputs, self._inputs, self._buffers = {}, {}, []
        self._stack.close()
        self._engine = None

    def _drop_context(self) -> None:
        self._context = None

    def _begin(self) -> None:
        for buffer in self._buffers:
            if buffer.spec.is_input:
                self._cuda.copy_in(buffer.host, buffer.device, self._stream)
        if self._context is None or not self._context.execute_async_v3(native_handle(self._stream)):
            raise DeviceError("TensorRT does not begin to run the engine; look into the log above, build it again")
        for buffer in self._buffers:
            if not buffer.spec.is_input:
                self._cuda.copy_out(buffer.device, buffer.host, self._stream)

    def _capture(self, stack: ExitStack) -> str | None:
        """Capture the work; why not, where it does not go."""
        try:
            self._cuda.begin_capture(self._stream)
            try:
                self._begin()
            except DeviceError:
                self._cuda.abandon_capture(self._stream)
                raise
            self._graph = self._cuda.end_capture(self._stream, stack)
        except DeviceError as error:
            _log.warning("TensorRT runs without a CUDA graph: %s", error)
            return str(error)
        return None


def fill_inputs(inputs: Mapping[str, Array], tensors: Tensors) -> None:
    """Copy what came into the engine's inputs.

    Args:
        inputs: the memory, by name, of the engine's types and shapes.
        tensors: what came; uint8 where the engine takes floats is converted, nothing else is.

    Raises:
        ArtifactError: a tensor is missing, or of another shape or type.
    """
    for name, memory in inputs.items():
        value = tensors.get(name)
        if value is None:
            raise ArtifactError(f"input {name!r} should be {memory.dtype} {memory.shape}, got nothing; give it")
        converts = value.dtype == np.uint8 and memory.dtype.kind == "f"
        if value.shape != memory.shape or not (value.dtype == memory.dtype or converts):
            raise ArtifactError(
                f"input {name!r} should be {memory.dtype} {memory.shape}, got {value.dtype} {value.shape}; "
                "check the declared size"
            )
        np.copyto(memory, value, casting="unsafe")


def _buffer(spec: TensorSpec, cuda: Cuda, stack: ExitStack) -> _Buffer:
    host = cuda.pinned(spec.nbytes, stack)
    host[:] = 0
    return _Buffer(spec, host, cuda.device_memory(spec.nbytes, stack))


def _context(opened: OpenEngine, buffers: Sequence[_Buffer]) -> Context:
    context = opened.engine.create_execution_context()
    if context is None:
        raise DeviceError("TensorRT makes no execution context: the GPU's memory is full; use fewer lanes")
    for buffer in buffers:
        if not context.set_tensor_address(buffer.spec.name, buffer.device):
            raise DeviceError(f"TensorRT refuses the memory of tensor {buffer.spec.name!r}; build the engine again")
    return context
