"""A better form of the model takes over while frames are counted: none is left out, none comes twice.

Two real runtimes are swapped for one another; where an engine has to be built first, the real building process, store
and daemon run, and TensorRT and CUDA are fakes that copy a frame's bytes to the output.
"""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from agent.camera_unit import CameraUnit
from agent.cameras.frame import Frame, Source, Wanted
from agent.count import CountRequest, Watching, count_source
from agent.counting.frame_counts import FrameCounts
from agent.daemon import Daemon
from agent.engines.build import BuildNeeded, engine_for
from agent.engines.store import EngineStore
from agent.engines.supply import EngineSupply
from agent.lanes import LanePool
from agent.model import LoadedModel, load_model
from agent.store import Store
from contracts.config import AgentConfig, CameraConfig, RuntimeConfig
from contracts.engine_recipe import EngineRecipe
from contracts.errors import NoArtifactFitsError
from contracts.facts import FactValue
from contracts.messages import Considered, CountReport
from runtime.bundle import Bundle, open_bundle
from runtime.results import Result
from tests.fakes.bundles import entry, make_bundle
from tests.fakes.cudart import FakeCudart
from tests.fakes.tensorrt import fake_tensorrt

ov = pytest.importorskip("openvino", reason="not run: OpenVINO is not installed")

FAKES = Path(__file__).parents[1] / "fakes"
PATIENCE = 30.0  # seconds
FACTS: dict[str, FactValue] = {"runtime.tensorrt": "10.3.0", "gpu.sm": 87, "cpu.count": 2, "memory_mb": 32_000}
SIDE = 64
SMALL = 64


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, what
        threading.Event().wait(0.01)


def row(root: Path, name: str, backend: str, side: int, output: list[int], *files: str, **more: Any) -> dict[str, Any]:
    """An artifact of files that lie in its folder."""
    entries = [entry(root, path, (root / path).read_bytes()) for path in (f"artifacts/{name}/{file}" for file in files)]
    target, _, precision = name.partition("/")
    return {
        "id": name,
        "target": target,
        "backend": backend,
        "precision": precision,
        "files": entries,
        "entry": entries[0]["path"],
        "requires": [],
        "inputs": [{"name": "image", "dtype": "uint8", "shape": [1, side, side, 3]}],
        "outputs": [{"name": "density", "dtype": "float32", "shape": output}],
    } | more


def save_onnx(path: Path, nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto], side: int) -> None:
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, (1, side, side, 3))
    density = helper.make_tensor_value_info("density", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "small", [image], [density], constants)
    path.parent.mkdir(parents=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def bundle_of(
    root: Path, rows: list[dict[str, Any]], side: int, expected: Callable[[np.ndarray[Any, Any]], Any]
) -> Bundle:
    frame = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    np.save(root / "frame.npy", frame)
    np.savez(root / "expected.npz", density=expected(frame))
    golden = {
        "frame": entry(root, "golden/frame.npy", (root / "frame.npy").read_bytes()),
        "expected": entry(root, "golden/expected.npz", (root / "expected.npz").read_bytes()),
    }
    model = {
        "name": "fake",
        "version": "1.0.0",
        "labels": ["vehicle"],
        "input": {"width": side, "height": side},
        "output": {"decoder": "density"},
    }
    return open_bundle(make_bundle(root, rows, golden=[golden], model=model))


class Noted(CameraUnit):
    """A camera that keeps what it counted: number, count and the artifact that saw it."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.frames: list[tuple[int, float, str]] = []
        counter = self._counter
        self._update, counter.update = counter.update, self._keep  # type: ignore[method-assign]
        self._sink, self.stream.sink = self.stream.sink, self._number

    def _number(self, frame: Frame, result: Result | None) -> None:
        self._sequence = frame.sequence
        self._sink(frame, result)

    def _keep(self, result: Any, at: float, aspect: float) -> FrameCounts:
        counts = self._update(result, at, aspect)
        assert self._form is not None
        assert counts.count is not None
        self.frames.append((self._sequence, counts.count, self._form.artifact.id))
        return counts


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    root = tmp_path_factory.mktemp("two") / "b"
    weights = np.random.default_rng(1).random((1, 3, 4, 4)).astype(np.float32) / 255
    nodes = [
        helper.make_node("Cast", ["image"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["f"], ["x"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["x", "w"], ["density"], strides=[4, 4]),
    ]
    onnx_file = root / "artifacts/ort/fp32/model.onnx"
    save_onnx(onnx_file, nodes, [numpy_helper.from_array(weights, "w")], SIDE)
    folder = root / "artifacts/ov/fp32"
    folder.mkdir(parents=True)
    ov.save_model(ov.convert_model(onnx_file), folder / "model.xml", compress_to_fp16=False)
    shape = [1, 1, SIDE // 4, SIDE // 4]
    rows = [
        row(root, "ov/fp32", "openvino", SIDE, shape, "model.xml", "model.bin"),
        row(root, "ort/fp32", "onnxruntime", SIDE, shape, "model.onnx"),
    ]

    def reference(frame: np.ndarray[Any, Any]) -> Any:
        import onnxruntime as ort

        session = ort.InferenceSession(onnx_file, providers=["CPUExecutionProvider"])
        return session.run(None, {"image": frame[np.newaxis]})[0]

    return bundle_of(root, rows, SIDE, reference)


class TestTwoRuntimes:
    """ONNX Runtime counts the synthetic road, OpenVINO takes over."""

    @pytest.mark.parametrize("lanes", [(1, 1), (2, 2), (1, 3)])
    def test_every_frame_is_counted_once_in_order_and_the_same(
        self, two: Bundle, tmp_path: Path, lanes: tuple[int, int]
    ) -> None:
        first = self.load(two, tmp_path, "ort/fp32", lanes[0])
        frames, ready = 400, threading.Condition()
        camera = CameraConfig(id="gate", source=f"synthetic:frames={frames},width=64,height=64", realtime=False)
        unit = Noted(camera, two.manifest.model, ready, "box")
        pool = LanePool([unit.stream], ready)
        assert pool.switch(first) is None
        unit.start()
        until(lambda: unit.counted >= 20, "no frame is counted")
        second = self.load(two, tmp_path, "ov/fp32", lanes[1])  # opened and proven while the first counts
        begun = unit.counted
        assert pool.switch(second, PATIENCE) is first
        switched = unit.counted
        first.close()
        until(lambda: unit.ended, "the road does not end")
        unit.close()
        assert pool.stop() is second
        second.close()
        numbers = [number for number, _, _ in unit.frames]
        assert numbers == list(range(frames))
        by = [artifact for _, _, artifact in unit.frames]
        change = by.index("ov/fp32")
        assert by == ["ort/fp32"] * change + ["ov/fp32"] * (frames - change)
        # What was under way at the switch was the first's to finish: at most a frame a lane, and none waited for it.
        assert begun <= change <= switched + lanes[0]
        assert [count for _, count, _ in unit.frames] == pytest.approx(self.alone(two, tmp_path, camera), rel=1e-4)

    @staticmethod
    def load(bundle: Bundle, folder: Path, artifact: str, lanes: int) -> LoadedModel:
        wanted = RuntimeConfig(artifact=artifact, lanes=lanes)
        model = load_model(bundle, FACTS, wanted, EngineSupply(folder / "engines", FACTS)).model
        assert model is not None
        return model

    @staticmethod
    def alone(bundle: Bundle, folder: Path, camera: CameraConfig) -> list[float]:
        """The counts of ONNX Runtime alone."""
        request = CountRequest(camera.source, bundle.path, artifact="ort/fp32", engines=folder / "engines")
        return [counts.count or 0.0 for _, counts in count_source(request).frames]


class Scripted:
    """A source whose frames the test lets through."""

    def __init__(self, wanted: Wanted) -> None:
        self.dropped: dict[str, int] = {}
        self.stop = threading.Event()
        self._wanted = wanted
        self._allowed = threading.Semaphore(0)
        self._given = 0
        self._ended = False

    def let(self, frames: int) -> None:
        for _ in range(frames):
            self._allowed.release()

    def end(self) -> None:
        self._ended = True
        self._allowed.release()

    def read(self) -> Frame | None:
        while not self._allowed.acquire(timeout=0.02):
            if self.stop.is_set():
                return None
        if self._ended:
            return None
        image = np.random.default_rng(self._given).integers(0, 256, (SMALL, SMALL, 3), np.uint8)
        now = time.monotonic()
        self._given += 1
        return Frame(image, self._wanted.placement(SMALL, SMALL), self._given - 1, now, now, now)

    def close(self) -> None:
        self.end()


class Box:
    """A daemon in this process, on a box with a fake TensorRT; its broker is not there."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._set = monkeypatch.setenv
        bindings = folder / "bindings"
        bindings.mkdir()
        shutil.copyfile(FAKES / "tensorrt.py", bindings / "tensorrt.py")
        monkeypatch.setenv("PYTHONPATH", str(bindings))
        cudart, trt = FakeCudart(), fake_tensorrt()
        trt.SUBMIT = cudart.submit
        monkeypatch.setattr("runtime.tensorrt.opening.load_tensorrt", lambda _: trt)
        monkeypatch.setattr("runtime.tensorrt.opening.load_cudart", lambda: cudart)
        for module in ("agent.daemon", "agent.count"):
            monkeypatch.setattr(f"{module}.device_facts", lambda: FACTS)
        self.behaves()
        self.facts: list[tuple[Considered, ...]] = []
        self._closing = ExitStack()

    def behaves(self, *, double: bool = False, **config: Any) -> None:
        tensors = [
            {"name": "image", "mode": "INPUT", "dtype": "UINT8", "shape": [1, SMALL, SMALL, 3]},
            {"name": "density", "mode": "OUTPUT", "dtype": "UINT8", "shape": [1, 1, SMALL, 3 * SMALL]},
        ]
        engine = {"tensors": tensors, "double": double}
        self._set("FAKE_TENSORRT", json.dumps({"version": "10.3.0", "engine": engine, **config}))

    def bundle(self, *, fallback: bool = True) -> Bundle:
        root = self.folder / "bundle"
        output = [1, 1, SMALL, 3 * SMALL]
        place = root / "artifacts/jetson/int8"
        place.mkdir(parents=True)
        (place / "model.onnx").write_bytes(b"onnx")
        tensors = {
            "inputs": [{"name": "image", "dtype": "uint8", "shape": [1, SMALL, SMALL, 3]}],
            "outputs": [{"name": "density", "dtype": "float32", "shape": output}],
        }
        recipe = {"generation": "10.3", "requires": [], "onnx": "model.onnx", "precision": "int8", **tensors}
        document = EngineRecipe.model_validate(recipe | {"strongly_typed": False, "workspace_mib": 256})
        (place / "recipe.json").write_text(document.model_dump_json())
        rows = [row(root, "jetson/int8", "tensorrt", SMALL, output, "model.onnx", "recipe.json")]
        if fallback:
            nodes = [
                helper.make_node("Reshape", ["image", "shape"], ["r"]),
                helper.make_node("Cast", ["r"], ["density"], to=TensorProto.FLOAT),
            ]
            shape = numpy_helper.from_array(np.array(output, np.int64), "shape")
            save_onnx(root / "artifacts/cpu/fp32/model.onnx", nodes, [shape], SMALL)
            rows.append(row(root, "cpu/fp32", "onnxruntime", SMALL, output, "model.onnx"))
        return bundle_of(root, rows, SMALL, lambda frame: frame.reshape(output).astype(np.float32))

    def daemon(self, bundle: Bundle) -> tuple[Daemon, Scripted]:
        document = {
            "device": "box",
            "bundle": str(bundle.path),
            "state_dir": str(self.folder / "state"),
            "window_seconds": 1,
            "broker": {"host": "127.0.0.1", "port": 1},
            "runtime": {"lanes": 1},
            "camera": [{"id": "gate", "source": "synthetic", "realtime": False}],
        }
        config = AgentConfig.model_validate(document)
        source = Scripted(Wanted(bundle.manifest.model.input))

        def opener(camera: CameraConfig, wanted: Wanted, stop: threading.Event) -> Source:
            source.stop = stop
            return source

        daemon = Daemon(config, opener=opener)
        self._closing.callback(daemon.close)
        self._closing.callback(source.end)
        daemon.start()
        return daemon, source

    def hold_builds(self, bundle: Bundle) -> ExitStack:
        """Nothing is built until this is closed: as if another process did."""
        store = EngineStore(self.folder / "state/engines")
        needed = engine_for("fake", bundle.manifest.artifacts[0], FACTS, store)
        assert isinstance(needed, BuildNeeded)
        held = ExitStack()
        assert held.enter_context(store.building("fake", needed.key)) is not None
        self._closing.callback(held.close)
        return held

    def close(self) -> None:
        self._closing.close()

    def reports(self) -> list[CountReport]:
        store = Store.open(self.folder / "state", max_reports=1000)
        try:
            return [CountReport.model_validate_json(row.payload) for row in store.waiting(0, 1000)]
        finally:
            store.close()


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    made = Box(tmp_path, monkeypatch)
    yield made
    made.close()


class Turning:
    """The daemon's loop in a thread."""

    def __init__(self, daemon: Daemon) -> None:
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(daemon,), daemon=True)
        self._thread.start()

    def _run(self, daemon: Daemon) -> None:
        try:
            daemon.run(until_end=True)
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            self._error = error

    def end(self) -> None:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        if self._error is not None:
            raise self._error


def serves(daemon: Daemon) -> str | None:
    form = daemon._slots["main"].serving.form
    return form.artifact.id if form is not None else None


def why(daemon: Daemon) -> dict[str, str | None]:
    return {one.artifact: one.refused for one in daemon._slots["main"].serving.considered}


class TestEngines:
    """TensorRT's engine is built in the background."""

    def test_the_next_artifact_serves_until_the_engine_is_built_and_no_frame_is_lost(self, box: Box) -> None:
        bundle = box.bundle()
        held = box.hold_builds(bundle)
        daemon, source = box.daemon(bundle)
        turning = Turning(daemon)
        assert why(daemon) == {
            "jetson/int8": "its engine is being built; cpu/fp32 serves until then",
            "cpu/fp32": None,
        }
        (unit,) = daemon.units
        source.let(10)
        until(lambda: unit.counted == 10, "the fallback does not count")
        held.close()
        until(lambda: serves(daemon) == "jetson/int8", "the engine does not take over")
        assert why(daemon) == {"jetson/int8": None, "cpu/fp32": "jetson/int8 comes before it"}
        source.let(10)
        until(lambda: unit.counted == 20, "the engine does not count")
        source.end()
        turning.end()
        daemon.close()
        reports = box.reports()
        assert sum(report.frames_seen for report in reports) == 20
        engine, fallback = (artifact.digest for artifact in bundle.manifest.artifacts)
        said = [d for report in reports for d in (*report.earlier_digests, report.artifact_digest) if d is not None]
        assert list(dict.fromkeys(said)) == [fallback, engine]
        assert all(report.artifact_digest is None for report in reports if not report.frames_seen)
        assert not any(report.frames_dropped for report in reports)

    def test_the_next_start_takes_the_engine_at_once(self, box: Box) -> None:
        bundle = box.bundle()
        daemon, _ = box.daemon(bundle)
        until(lambda: serves(daemon) == "jetson/int8", "the engine does not take over")
        daemon.close()
        box.behaves(build="none")
        again, _ = box.daemon(bundle)
        assert serves(again) == "jetson/int8"

    def test_with_nothing_else_the_frames_wait_and_no_window_says_zero(self, box: Box) -> None:
        bundle = box.bundle(fallback=False)
        held = box.hold_builds(bundle)
        daemon, source = box.daemon(bundle)
        turning = Turning(daemon)
        source.let(3)
        assert why(daemon) == {"jetson/int8": "its engine is being built; nothing serves until then"}
        until(lambda: daemon._teller.health(0.0).models["main"].building is not None, "no progress is told")
        (unit,) = daemon.units
        until(lambda: unit.state({}, 0.0).quality == "model_error", "it is not said that nothing counts")
        assert unit.state({}, 0.0).count is None
        until(lambda: daemon._store.status().waiting >= 2, "no window ends")
        held.close()
        until(lambda: unit.counted == 3, "the frames that waited are not counted")
        source.end()
        turning.end()
        daemon.close()
        reports = box.reports()
        assert sum(report.frames_seen for report in reports) == 3
        blind = [report for report in reports if not report.frames_seen]
        assert "model_error" in {report.quality for report in blind}
        assert all(report.count is None and report.coverage == 0 for report in blind)

    def test_a_build_that_fails_leaves_what_serves_alone_and_is_not_repeated(self, box: Box) -> None:
        box.behaves(build="none")
        bundle = box.bundle()
        daemon, source = box.daemon(bundle)
        until(lambda: "could not be built" in str(why(daemon)["jetson/int8"]), "the failure is not told")
        assert "no implementation for node conv1" in str(why(daemon)["jetson/int8"])
        assert "it is tried again at 2" in str(why(daemon)["jetson/int8"])
        assert serves(daemon) == "cpu/fp32"
        source.let(5)
        until(lambda: daemon.units[0].counted == 5, "the fallback does not count")
        daemon.close()
        box.behaves()  # it would work now: but it is not tried so soon
        again, _ = box.daemon(bundle)
        assert "it is tried again at 2" in str(why(again)["jetson/int8"])
        assert serves(again) == "cpu/fp32"

    def test_an_engine_that_computes_something_else_does_not_take_over(self, box: Box) -> None:
        box.behaves(double=True)
        daemon, source = box.daemon(box.bundle())
        until(lambda: "is off by" in str(why(daemon)["jetson/int8"]), "the self-test does not refuse it")
        assert serves(daemon) == "cpu/fp32"
        source.let(5)
        until(lambda: daemon.units[0].counted == 5, "the fallback does not count")

    def test_with_nothing_else_a_build_that_fails_ends_a_run_until_the_end_with_its_reason(self, box: Box) -> None:
        box.behaves(build="none")
        daemon, source = box.daemon(box.bundle(fallback=False))
        source.let(1)
        with pytest.raises(NoArtifactFitsError, match="no implementation for node conv1"):
            Turning(daemon).end()

    def test_an_agent_that_is_stopped_ends_the_build_and_begins_it_again_at_the_next_start(self, box: Box) -> None:
        box.behaves(build="hang")
        bundle = box.bundle()
        daemon, _ = box.daemon(bundle)
        until(lambda: daemon._teller.health(0.0).models["main"].building is not None, "it does not begin")
        daemon.close()
        box.behaves()
        again, _ = box.daemon(bundle)
        until(lambda: serves(again) == "jetson/int8", "the engine does not take over")

    def test_counting_a_clip_waits_for_the_engine_and_tells_how_far_it_is(self, box: Box) -> None:
        bundle = box.bundle()
        held = box.hold_builds(bundle)
        told: list[str] = []

        def building(artifact: str, _: object) -> None:
            told.append(artifact)
            held.close()

        request = CountRequest("synthetic:frames=3", bundle.path, engines=box.folder / "state/engines")
        summary = count_source(request, Watching(building=building))
        assert (summary.artifact, len(summary.frames)) == ("jetson/int8", 3)
        assert set(told) == {"jetson/int8"}
