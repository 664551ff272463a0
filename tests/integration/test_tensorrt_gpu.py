"""Our buffers, stream and graph on a real GPU; a copy on the GPU takes the engine's place, for TensorRT is not at hand
everywhere that CUDA is.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, cast

import numpy as np
import pytest

from contracts.errors import DeviceError
from runtime.tensorrt.api import Context, Engine, load_cudart
from runtime.tensorrt.cuda import Cuda
from runtime.tensorrt.engine import OpenEngine, TensorSpec
from runtime.tensorrt.lane import TensorRtLane

pytestmark = pytest.mark.gpu

SHAPE = (1, 416, 416, 3)
SPECS = (
    TensorSpec("image", is_input=True, dtype=np.dtype(np.uint8), shape=SHAPE),
    TensorSpec("out", is_input=False, dtype=np.dtype(np.uint8), shape=SHAPE),
)


@pytest.fixture
def cudart() -> Any:
    api = pytest.importorskip("cuda.bindings.runtime", reason="cuda-bindings is not installed")
    error, count = api.cudaGetDeviceCount()
    if int(error) != 0 or count == 0:
        pytest.skip("not run: no GPU")
    return api


class CopyEngine:
    """Copies its input to its output on the GPU, on the stream that it is given."""

    def __init__(self, cudart: Any) -> None:
        self._cudart = cudart
        self._addresses: dict[str, int] = {}

    def create_execution_context(self) -> Context:
        return cast("Context", self)

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        kind = self._cudart.cudaMemcpyKind.cudaMemcpyDeviceToDevice
        count = SPECS[0].nbytes
        (error,) = self._cudart.cudaMemcpyAsync(
            self._addresses["out"], self._addresses["image"], count, kind, stream_handle
        )
        return int(error) == 0


def lane(cudart: Any, *, graph: bool) -> TensorRtLane:
    engine = OpenEngine(cast("Engine", CopyEngine(cudart)), SPECS, cast("Any", None))
    return TensorRtLane(engine, Cuda(load_cudart()), use_graph=graph)


@pytest.mark.parametrize("graph", [True, False])
def test_what_goes_in_comes_out_of_the_gpu(cudart: Any, graph: bool) -> None:
    ours = lane(cudart, graph=graph)
    assert (ours.no_graph_because is None) is graph
    for seed in range(3):
        frame = np.random.default_rng(seed).integers(0, 256, SHAPE, np.uint8)
        assert (ours.infer({"image": frame})["out"] == frame).all()
    ours.close()


def test_closing_gives_the_memory_back(cudart: Any) -> None:
    lane(cudart, graph=True).close()
    before = cudart.cudaMemGetInfo()[1]
    for _ in range(50):
        lane(cudart, graph=True).close()
    assert cudart.cudaMemGetInfo()[1] == before


def test_more_memory_than_there_is_names_cudas_error(cudart: Any) -> None:
    del cudart
    with ExitStack() as stack, pytest.raises(DeviceError, match="cudaErrorMemoryAllocation"):
        Cuda(load_cudart()).device_memory(1 << 50, stack)
