"""A real classifier in a real daemon: its camera has a state, entries that survive, events, and no count."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from agent.cameras.frame import Frame, Source, Wanted
from agent.count import CountRequest, count_source
from agent.daemon import Daemon
from agent.page.jpeg import encode_jpeg
from agent.store import Store
from contracts.config import AgentConfig, CameraConfig
from contracts.errors import WrittenError
from contracts.messages import CountReport, StateEvent
from tests.fakes.bundles import entry, make_bundle

SIDE = 64
SHOWN = ["shut"] * 12 + ["open"] * 3 + ["shut"] * 10 + ["open"] * 15 + ["shut"] * 15
"""What ten frames a second show: for 0.3 s it opens a little, which is nothing; then it is opened and shut again."""


def a_picture(number: int, state: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Noise that is mostly blue where the gate is open, and mostly red where it is shut."""
    picture = np.random.default_rng(number).integers(0, 120, (SIDE, SIDE, 3), np.uint8)
    picture[:, :, 0 if state == "open" else 2] += 130
    return picture


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("gate") / "b"
    # Logits: by how much the one colour is brighter than the other.
    weights = np.array([[0.05, -0.05], [0, 0], [-0.05, 0.05]], np.float32)
    nodes = [
        helper.make_node("Cast", ["image"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["f"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["mean", "w"], ["logits"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, (1, SIDE, SIDE, 3))
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, (1, 2))
    graph = helper.make_graph(nodes, "gate", [image], [logits], [numpy_helper.from_array(weights, "w")])
    file = root / "artifacts/cpu/fp32/model.onnx"
    file.parent.mkdir(parents=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), file)
    return make_bundle(root, [_artifact(root, file)], golden=[_golden(root, file)], model=_model())


def _model() -> dict[str, Any]:
    return {
        "name": "gate",
        "version": "1.0.0",
        "labels": ["open", "shut"],
        "input": {"width": SIDE, "height": SIDE},
        "output": {"decoder": "classes", "scores": "logits"},
    }


def _artifact(root: Path, file: Path) -> dict[str, Any]:
    path = str(file.relative_to(root))
    return {
        "id": "cpu/fp32",
        "target": "cpu",
        "backend": "onnxruntime",
        "precision": "fp32",
        "files": [entry(root, path, file.read_bytes())],
        "entry": path,
        "requires": [],
        "inputs": [{"name": "image", "dtype": "uint8", "shape": [1, SIDE, SIDE, 3]}],
        "outputs": [{"name": "logits", "dtype": "float32", "shape": [1, 2]}],
    }


def _golden(root: Path, file: Path) -> dict[str, Any]:
    frame = a_picture(0, "open")
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    np.save(root / "frame.npy", frame)
    np.savez(root / "expected.npz", logits=session.run(None, {"image": frame[np.newaxis]})[0])
    return {
        "frame": entry(root, "golden/frame.npy", (root / "frame.npy").read_bytes()),
        "expected": entry(root, "golden/expected.npz", (root / "expected.npz").read_bytes()),
    }


class Gate:
    """A camera that shows what it was told to, ten frames a second by its own clock and faster by ours."""

    def __init__(self, wanted: Wanted) -> None:
        self.dropped: dict[str, int] = {}
        self._wanted = wanted
        self._given = 0

    def read(self) -> Frame | None:
        if self._given == len(SHOWN):
            return None
        number, now = self._given, time.monotonic()
        self._given += 1
        image = a_picture(number, SHOWN[number])
        return Frame(image, self._wanted.placement(SIDE, SIDE), number, now, time.time(), number / 10)

    def close(self) -> None:
        """Nothing is held."""


def run_once(bundle: Path, folder: Path) -> None:
    config = AgentConfig.model_validate(
        {
            "device": "box",
            "bundle": str(bundle),
            "state_dir": str(folder / "state"),
            "broker": {"host": "127.0.0.1", "port": 1},
            "camera": [{"id": "gate", "source": "synthetic", "realtime": False, "events": True}],
        }
    )

    def opener(camera: CameraConfig, wanted: Wanted, stop: threading.Event) -> Source:
        del camera, stop
        return Gate(wanted)

    daemon = Daemon(config, opener=opener)
    try:
        daemon.start()
        daemon.run(until_end=True)
    finally:
        daemon.close()


def test_entries_are_counted_told_and_kept_over_a_restart(bundle: Path, tmp_path: Path) -> None:
    for _ in range(2):
        run_once(bundle, tmp_path)
    store = Store.open(tmp_path / "state", max_reports=1000)
    rows = [row.payload for row in store.waiting(0, 1000)]
    store.close()
    reports = [CountReport.model_validate_json(row) for row in rows if b'"window"' in row]
    events = [StateEvent.model_validate_json(row) for row in rows if b'"kind":"state"' in row]
    told = [(event.before, event.state, event.entry) for event in events]
    assert told == [("unknown", "shut", False), ("shut", "open", True), ("open", "shut", True)] * 2
    assert all(report.count is None for report in reports)
    entries = sum(sum(report.states["state"].entries.values()) for report in reports)
    assert (entries, reports[-1].states["state"].total_entries) == (4, {"open": 2, "shut": 2})
    assert len({report.states["state"].counter_id for report in reports}) == 1
    for report in reports:
        observed = report.coverage * 10
        assert sum((report.states["state"].seconds or {}).values()) == pytest.approx(observed, abs=1e-6)


def test_a_classifier_is_tried_out_on_pictures(bundle: Path, tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"{number}.jpg").write_bytes(encode_jpeg(a_picture(number, "open")))
    found = count_source(CountRequest(str(tmp_path), bundle)).document()
    states = found["states"]
    assert isinstance(states, dict)
    assert (found["frames"], states["state"]["last"]) == (4, "open")
    assert "count" not in found
    shorter = count_source(CountRequest(str(tmp_path), bundle, fps=20.0)).states("state")
    assert shorter["last"] == "unknown", "four pictures at this rate are no second"
    for wrong in ({"true": 3.0}, {"labels": ("open",)}):
        with pytest.raises(WrittenError, match="leave it out"):
            count_source(CountRequest(str(tmp_path), bundle, **wrong))
