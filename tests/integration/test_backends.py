"""The real runtimes, through our lanes: they compute with what was asked for, or refuse."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from contracts.errors import ArtifactError, DeviceError, ModelFileError, UnknownNameError
from runtime.backends.base import Lane
from runtime.backends.table import open_lane, open_lanes

ROOT = Path(__file__).parents[2]
SHAPE = (1, 4, 4, 3)


@pytest.fixture(params=["openvino", "onnxruntime"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """A network that doubles its uint8 input, as the backend's file."""
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["image"], ["x"], to=TensorProto.FLOAT),
            helper.make_node("Add", ["x", "x"], ["doubled"]),
        ],
        "double",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, SHAPE)],
        [helper.make_tensor_value_info("doubled", TensorProto.FLOAT, SHAPE)],
    )
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
    if request.param == "openvino":
        from runtime.backends.quiet_openvino import ov

        path = tmp_path / "model.xml"
        ov.save_model(ov.convert_model(tmp_path / "model.onnx"), path)
    return request.param, path


def doubled(lane: Lane, value: int) -> float:
    outputs = lane.infer({"image": np.full(SHAPE, value, np.uint8)})
    (output,) = outputs.values()
    assert output.shape == SHAPE
    return float(output.min()) if output.min() == output.max() else float("nan")


def test_a_lane_computes_and_looks_at_the_value(model: tuple[str, Path]) -> None:
    lane = open_lane(*model)
    assert [doubled(lane, value) for value in (1, 2, 100)] == [2, 4, 200]


def test_lanes_used_at_once_do_not_mix_their_frames(model: tuple[str, Path]) -> None:
    backend, path = model
    wrong: list[tuple[int, float]] = []

    def work(lane: Lane, value: int) -> None:
        for _ in range(200):
            came = doubled(lane, value)
            if came != 2 * value:
                wrong.append((value, came))

    lanes = open_lanes(backend, path, lanes=3)
    threads = [threading.Thread(target=work, args=(lane, 10 + number)) for number, lane in enumerate(lanes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("shape", [(1, 4, 4, 4), (1, 5, 4, 3), (4, 4, 3)])
def test_an_input_of_another_shape_is_refused(model: tuple[str, Path], shape: tuple[int, ...]) -> None:
    with pytest.raises(ArtifactError):
        open_lane(*model).infer({"image": np.zeros(shape, np.uint8)})


def test_an_input_of_another_type_is_refused_and_not_cast(model: tuple[str, Path]) -> None:
    with pytest.raises(ArtifactError):
        open_lane(*model).infer({"image": np.zeros(SHAPE, np.float32)})


def test_a_precision_that_the_runtime_cannot_compute_with_is_refused(model: tuple[str, Path]) -> None:
    backend, path = model
    with pytest.raises(DeviceError, match="int3"):
        open_lane(backend, path, execution_precision="int3")


def test_a_missing_or_broken_file_is_refused_with_its_path(model: tuple[str, Path]) -> None:
    backend, path = model
    with pytest.raises(ModelFileError, match="there is none"):
        open_lane(backend, path.with_name("none"))
    broken = path.with_name(f"broken{path.suffix}")
    broken.write_bytes(b"nothing of the kind")
    with pytest.raises(ModelFileError, match="broken"):
        open_lane(backend, broken)


def test_an_unknown_backend_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'openvino'"):
        open_lane("openvion", Path("x"))


def test_the_null_backend_gives_zeros_of_the_declared_shape(tmp_path: Path) -> None:
    file = tmp_path / "null.json"
    file.write_text('{"density": {"dtype": "float32", "shape": [1, 1, 2, 2]}}')
    assert open_lane("null", file).infer({})["density"].shape == (1, 1, 2, 2)
    file.write_text("[]")
    with pytest.raises(ModelFileError, match="JSON object"):
        open_lane("null", file)


@pytest.mark.parametrize("model", ["openvino"], indirect=True)
def test_openvino_on_the_processor_maps_no_other_plugin(model: tuple[str, Path]) -> None:
    """Those of graphics and NPU are some 20 MB."""
    code = (
        "import sys; from pathlib import Path; from runtime.backends.table import open_lanes; "
        "open_lanes(sys.argv[1], Path(sys.argv[2])); print(Path('/proc/self/maps').read_text())"
    )
    command = [sys.executable, "-c", code, model[0], str(model[1])]
    maps = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True).stdout
    assert "intel_cpu_plugin" in maps or "arm_cpu_plugin" in maps
    assert "gpu_plugin" not in maps
    assert "npu_plugin" not in maps


AT_ONCE = """
import sys, threading
from runtime.backends.quiet_openvino import ov
sys.setswitchinterval(1e-6)
together = threading.Barrier(4)

def ask():
    together.wait()
    ov.Type.f32.to_dtype()

threads = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_lanes_that_ask_openvino_for_a_dtype_at_once_do_not_wait_for_each_other_for_ever() -> None:
    for _ in range(4):  # without care two of three processes hang
        subprocess.run([sys.executable, "-c", AT_ONCE], cwd=ROOT, check=True, timeout=60)


def test_a_session_of_onnxruntime_starts_no_telemetry_and_leaves_no_id_behind(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "same",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
    )
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
    home = tmp_path / "home"
    home.mkdir()
    program = f"import runtime.backends.onnxruntime as one; one._session(one.Path({str(path)!r}), 1)"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_"))}
    environment |= {"HOME": str(home), "TMPDIR": str(home)}
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, check=True)
    assert not list(home.rglob("*"))


def test_opening_openvino_starts_no_telemetry_and_leaves_no_id_behind(tmp_path: Path) -> None:
    program = "import runtime.backends.openvino, sys; assert sys.modules['openvino_telemetry'] is None"
    environment = {**os.environ, "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, check=True)
    assert not list(tmp_path.iterdir())
