"""A lane's buffers, stream and graph, on a fake TensorRT and a fake CUDA: what is called, in what order, and freed."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from contracts.engine_recipe import EngineRecipe, Expected
from contracts.errors import ArtifactError, DeviceError, EdgetallyError, ModelFileError, RuntimeMissingError
from contracts.manifest import TensorInfo
from runtime.backends.table import open_lane
from runtime.tensorrt.api import Cudart, native_handle
from runtime.tensorrt.lane import TensorRtLane
from runtime.tensorrt.opening import lanes_here
from tests.fakes.cudart import FakeCudart
from tests.fakes.tensorrt import fake_tensorrt, make_engine

SHAPE = (1, 4, 4, 3)


class Bench:
    """A fake TensorRT on a fake CUDA, and an engine file."""

    def __init__(self, folder: Path, engine: bytes, cudart: FakeCudart | None = None, **config: Any) -> None:
        self.cudart = cudart or FakeCudart()
        self.trt = fake_tensorrt(**config)
        self.trt.SUBMIT = self.cudart.submit
        self.file = folder / "model.engine"
        self.file.write_bytes(engine)

    def open(self, lanes: int = 1, recipe: EngineRecipe | None = None, *, graph: bool = True) -> list[TensorRtLane]:
        modules = self.trt, cast("Cudart", self.cudart)
        made = lanes_here("tensorrt", modules, self.file, recipe, lanes=lanes, use_graph=graph)
        return cast("list[TensorRtLane]", made)


def recipe(**changes: Any) -> EngineRecipe:
    tensor = TensorInfo(name="image", dtype="uint8", shape=SHAPE)
    return EngineRecipe(
        generation="10.3",
        requires=(),
        onnx="model.onnx",
        precision="int8",
        strongly_typed=False,
        inputs=(tensor,),
        outputs=(tensor,),
        workspace_mib=256,
        **changes,
    )


def frame(value: int) -> dict[str, Any]:
    return {"image": np.full(SHAPE, value, np.uint8)}


@pytest.mark.parametrize("graph", [True, False])
def test_what_goes_in_comes_out_computed_with_and_without_a_graph(tmp_path: Path, graph: bool) -> None:
    (lane,) = Bench(tmp_path, make_engine(double=True)).open(graph=graph)
    for value in (1, 2, 100):
        assert (lane.infer(frame(value))["out"] == 2 * value).all()
    lane.close()


def test_the_graph_is_captured_after_one_real_run_and_replayed_from_then_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path, make_engine())
    (lane,) = bench.open()
    assert bench.trt.CALLS.count("execute_async_v3") == 2
    begin = bench.cudart.calls.index("cudaStreamBeginCapture")
    assert "cudaStreamSynchronize" in bench.cudart.calls[:begin]
    bench.cudart.calls.clear()
    lane.infer(frame(1))
    lane.infer(frame(2))
    assert bench.cudart.calls == ["cudaGraphLaunch", "cudaStreamSynchronize"] * 2
    assert bench.trt.CALLS.count("execute_async_v3") == 2
    assert lane.no_graph_because is None


@pytest.mark.parametrize("call", ["cudaStreamBeginCapture", "cudaStreamEndCapture", "cudaGraphInstantiate"])
def test_a_capture_that_fails_is_said_and_the_lane_works_without(
    tmp_path: Path, call: str, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(tmp_path, make_engine(double=True), FakeCudart(fail={call: 1}, error=900))
    with caplog.at_level(logging.WARNING):
        (lane,) = bench.open()
    assert "cudaErrorStreamCaptureUnsupported" in str(lane.no_graph_because)
    assert "without a CUDA graph" in caplog.text
    assert (lane.infer(frame(3))["out"] == 6).all()
    lane.close()
    assert not bench.cudart.live


def test_an_engine_that_cannot_be_captured_leaves_the_stream_usable(tmp_path: Path) -> None:
    bench = Bench(tmp_path, make_engine(), FakeCudart(fail={"cudaMemcpyAsync": 3}, error=900))
    (lane,) = bench.open()  # the third copy is the first one that is captured
    assert lane.no_graph_because
    assert (lane.infer(frame(7))["out"] == 7).all()


def test_closing_frees_everything_in_order_and_twice_is_harmless(tmp_path: Path) -> None:
    bench = Bench(tmp_path, make_engine())
    first, second = bench.open(lanes=2)
    first.infer(frame(1))
    bench.cudart.calls.clear()
    first.close()
    assert bench.cudart.calls == [
        *("cudaGraphExecDestroy", "cudaFree", "cudaFreeHost", "cudaFree", "cudaFreeHost", "cudaStreamDestroy"),
    ]
    assert "del engine" not in bench.trt.CALLS
    second.close()
    second.close()
    assert not bench.cudart.live
    assert bench.trt.CALLS[-1] == "del engine"
    with pytest.raises(RuntimeError, match="closed"):
        first.infer(frame(1))


@pytest.mark.parametrize(
    ("call", "number"),
    [("cudaStreamCreateWithFlags", 1), ("cudaHostAlloc", 2), ("cudaMalloc", 1), ("cudaMalloc", 3), ("cudaFree", 0)],
)
def test_nothing_is_left_where_opening_fails_on_the_way(tmp_path: Path, call: str, number: int) -> None:
    bench = Bench(tmp_path, make_engine(), FakeCudart(fail={call: number}))
    if number == 0:
        bench.trt.CONFIG["context"] = "none"
    with pytest.raises(DeviceError, match=r"cudaErrorMemoryAllocation.*fewer lanes|memory is full"):
        bench.open(lanes=2)
    assert not bench.cudart.live


def test_cuda_that_fails_while_running_is_named(tmp_path: Path) -> None:
    bench = Bench(tmp_path, make_engine())
    (lane,) = bench.open()
    bench.cudart._fail = {"cudaGraphLaunch": 1}
    with pytest.raises(DeviceError, match="cudaGraphLaunch failed with cudaErrorMemoryAllocation"):
        lane.infer(frame(1))


def test_an_engine_that_does_not_begin_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="does not begin"):
        Bench(tmp_path, make_engine(), execute="false").open()


@pytest.mark.parametrize(
    "wrong", [np.zeros((1, 5, 4, 3), np.uint8), np.zeros(SHAPE, np.float32), np.zeros((4, 4, 3), np.uint8)]
)
def test_an_input_of_another_shape_or_type_is_refused_with_both(tmp_path: Path, wrong: Any) -> None:
    (lane,) = Bench(tmp_path, make_engine()).open()
    with pytest.raises(ArtifactError) as caught:
        lane.infer({"image": wrong})
    assert f"should be uint8 {SHAPE}, got {wrong.dtype} {wrong.shape}" in str(caught.value)
    with pytest.raises(ArtifactError, match="got nothing"):
        lane.infer({})


def test_an_engine_of_floats_takes_bytes_as_they_are_and_no_other_type(tmp_path: Path) -> None:
    tensors = [
        {"name": "image", "mode": "INPUT", "dtype": "FLOAT", "shape": list(SHAPE)},
        {"name": "out", "mode": "OUTPUT", "dtype": "FLOAT", "shape": list(SHAPE)},
    ]
    (lane,) = Bench(tmp_path, make_engine(tensors=tensors)).open()
    values = np.arange(48, dtype=np.uint8).reshape(SHAPE) + 208  # to 255
    out = lane.infer({"image": values})["out"]
    assert out.dtype == np.float32
    assert (out == values.astype(np.float32)).all()
    with pytest.raises(ArtifactError, match="float64"):
        lane.infer({"image": values.astype(np.float64)})


@pytest.mark.parametrize(
    ("tensor", "says"),
    [({"shape": [-1, 4, 4, 3]}, "fixed shape"), ({"dtype": "FP8"}, "FP8")],
)
def test_an_engine_that_has_no_form_here_is_refused(tmp_path: Path, tensor: dict[str, Any], says: str) -> None:
    whole = {"name": "image", "mode": "INPUT", "dtype": "UINT8", "shape": list(SHAPE), **tensor}
    with pytest.raises(ModelFileError, match=says):
        Bench(tmp_path, make_engine(tensors=[whole])).open()


def test_none_from_deserialising_becomes_the_first_thing_that_tensorrt_said(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"does not read it: compute capability 8.7, expected 7.2") as caught:
        Bench(tmp_path, make_engine(), refuses="compute capability 8.7, expected 7.2").open()
    assert "what follows" not in str(caught.value)


@pytest.mark.parametrize(
    ("engine", "version", "says"),
    [
        (make_engine("10.3.0.30"), "10.3.0", None),
        (make_engine("10.3.0.30"), "10.3.0.30", None),
        (make_engine("10.3.0.30"), "10.3.0.26", "built by TensorRT 10.3.0.30, this device has 10.3.0.26"),
        (make_engine("10.3.0.30"), "8.6.2", "built by TensorRT 10.3.0.30, this device has 8.6.2"),
        (make_engine("0.0.0.0"), "8.5.2.2", None),  # no version stands there before 8.6
        (make_engine("1.7.1.116", magic=b"vtrt"), "10.3.0", "runtime.tensorrt_rtx"),
        (b"PK\3\4" + bytes(40), "10.3.0", "beginning with 'ftrt'"),
        (b"ft", "10.3.0", "at least 28 bytes"),
    ],
)
def test_an_engine_of_another_version_is_refused_before_tensorrt_sees_it(
    tmp_path: Path, engine: bytes, version: str, says: str | None
) -> None:
    bench = Bench(tmp_path, engine, version=version)
    if says is None:
        assert bench.open()
        return
    with pytest.raises(ModelFileError) as caught:
        bench.open()
    assert says in str(caught.value)
    assert not bench.trt.CALLS


@pytest.mark.parametrize("name", ["model.onnx", "recipe.json"])
def test_what_an_engine_is_built_from_is_no_engine(tmp_path: Path, name: str) -> None:
    bench = Bench(tmp_path, make_engine())
    bench.file = tmp_path / name
    bench.file.write_bytes(b"")
    with pytest.raises(ModelFileError, match="let the agent build it"):
        bench.open()


def test_an_execution_precision_cannot_be_chosen_any_more(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="expected execution precision f32, got 'f16'"):
        open_lane("tensorrt", tmp_path / "model.engine", execution_precision="f16")


def test_tensorrt_that_is_not_installed_is_said_with_the_extra(tmp_path: Path) -> None:
    if importlib.util.find_spec("tensorrt"):
        pytest.skip("not run: TensorRT is installed here")
    with pytest.raises(RuntimeMissingError, match=r"edgetally\[tensorrt\]"):
        open_lane("tensorrt", tmp_path / "model.engine")


@pytest.mark.parametrize("options", [{"cuda_graph": "maybe"}, {"device": "1"}])
def test_an_option_that_is_not_known_is_refused(tmp_path: Path, options: dict[str, str]) -> None:
    for backend in ("tensorrt", "tensorrt_rtx"):
        with pytest.raises(DeviceError, match="option"):
            open_lane(backend, tmp_path / "model.engine", options=options)


def convolution(of: str, **more: str) -> dict[str, Any]:
    return {"Name": "c", "LayerType": "CaskConvolution", "Inputs": [{"Format/Datatype": of}], **more}


@pytest.mark.parametrize(
    ("layers", "says"),
    [
        ([convolution("Row major linear FP32")] * 3, "0 of 53 convolutions and matrix products are int8, expected 2"),
        ([convolution("Thirty-two wide channel vectorized row major Int8 format")] * 2 + [convolution("Half")], None),
        ([convolution("Int8")] * 2, "2 of 53 convolutions and matrix products are FP16 or int8, expected 3"),
        ([convolution("Half"), {"Name": "{ForeignNode[a...b]}", "LayerType": "Myelin"}], None),
        (["only names"], None),
    ],
)
def test_an_engine_that_fell_back_to_wider_types_is_refused(
    tmp_path: Path, layers: list[Any], says: str | None
) -> None:
    bench = Bench(tmp_path, make_engine(layers=layers))
    wanted = recipe(expected=Expected(int8=2, half=3, total=53))
    if says is None:
        assert bench.open(recipe=wanted)
    else:
        with pytest.raises(EdgetallyError) as caught:
            bench.open(recipe=wanted)
        assert says in str(caught.value)


def test_the_calls_that_we_make_are_those_of_cuda_python() -> None:
    runtime = pytest.importorskip("cuda.bindings.runtime", reason="cuda-bindings is not installed")
    ours = [name for name in vars(Cudart) if name.startswith("cuda")]
    assert len(ours) > 15
    assert not [name for name in ours if not hasattr(runtime, name)]
    assert runtime.cudaGetErrorName(runtime.cudaError_t.cudaErrorNoDevice)[1] == b"cudaErrorNoDevice"
    assert native_handle(runtime.cudaStream_t(4096)) == 4096
