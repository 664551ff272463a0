"""The network that is measured is as large as it says; a measurement that fails or hangs says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from contracts.errors import EdgetallyError
from runtime.model_dir import read_model_dir
from tools.bench import bare
from tools.bench.job import Measured
from tools.bench.process import measured_by
from tools.bench.resnet import write_model


def test_the_drawn_network_is_as_large_as_resnet50_and_keeps_its_numbers_within_bounds(tmp_path: Path) -> None:
    directory = read_model_dir(write_model(tmp_path / "resnet50"))
    model = onnx.shape_inference.infer_shapes(onnx.load(directory.model_file), strict_mode=True)
    assert sum(np.prod(tensor.dims) for tensor in model.graph.initializer) == 25_530_472  # batch norms fused
    places = {value.name: [size.dim_value for size in value.type.tensor_type.shape.dim] for value in shapes(model)}
    assert places["answer"] == [1, 1000]
    assert places[last_map(model)] == [1, 2048, 7, 7]
    assert all(np.isfinite(numpy_helper.to_array(tensor)).all() for tensor in model.graph.initializer)


def shapes(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    return [*model.graph.value_info, *model.graph.output]


def last_map(model: onnx.ModelProto) -> str:
    (pooled,) = (node.input[0] for node in model.graph.node if node.op_type == "GlobalAveragePool")
    return str(pooled)


PLAN = {
    "backend": "broken",
    "lanes": 2,
    "cameras": 2,
    "seconds": 3600.0,
    "warm": 3600.0,
    "realtime": False,
    "live": False,
    "alone": True,
    "source": "",
    "shape": [1, 2, 2, 3],
    "placement": [0, 0, 2, 2],
    "pad": 0,
    "started": 0.0,
}


def fail(_tensor: object) -> object:
    raise RuntimeError("the runtime gave up")


def two_lanes(infer: bare.Infer, monkeypatch: pytest.MonkeyPatch) -> None:
    def lanes(_plan: dict[str, Any]) -> list[bare.Infer]:
        return [infer, infer]

    monkeypatch.setitem(bare._RUNTIMES, "broken", lanes)


def test_a_lane_that_fails_ends_the_floor_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    two_lanes(fail, monkeypatch)
    with pytest.raises(RuntimeError, match="the runtime gave up"):
        bare.measure(PLAN)


def test_a_camera_that_cannot_be_read_ends_the_floor_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    two_lanes(lambda tensor: tensor, monkeypatch)
    with pytest.raises(FileNotFoundError, match=r"no-such\.mp4"):
        bare.measure({**PLAN, "alone": False, "source": "no-such.mp4"})


def test_a_clip_without_pictures_ends_the_floor_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    two_lanes(lambda tensor: tensor, monkeypatch)
    clip = tmp_path / "empty.avi"
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        container.start_encoding()
    with pytest.raises(RuntimeError, match=r"empty\.avi: expected pictures, it has none"):
        bare.measure({**PLAN, "alone": False, "source": str(clip)})


HANGS = """
import sys, threading
print("as far as here", file=sys.stderr, flush=True)
def waits_for_what_never_comes():
    threading.Event().wait()
waits_for_what_never_comes()
"""


def test_a_measurement_that_hangs_is_ended_and_says_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hangs.py").write_text(HANGS)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EdgetallyError) as refused:
        measured_by("hangs", "{}", Measured, timeout=5.0)
    said = str(refused.value)
    assert said.startswith("hangs did not end within 5 s; where it was:\nas far as here")
    assert "in waits_for_what_never_comes" in said


def test_a_measurement_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fails.py").write_text("raise SystemExit('no such runtime here')")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EdgetallyError, match="fails failed: no such runtime here"):
        measured_by("fails", "{}", Measured)
