"""Engines built in the real child process: with a fake TensorRT for what needs a GPU, with the real parser and builder
of TensorRT for RTX, which need none; and the store that keeps them, with processes killed in the middle.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from agent.engines.build import BuildNeeded, EngineBuild, engine_for
from agent.engines.store import EngineStore
from contracts.engine_recipe import EngineRecipe
from contracts.errors import BundleError, DeviceError, ModelFileError
from contracts.facts import FactValue
from contracts.manifest import Artifact, FileEntry, Manifest, Source, TensorInfo
from contracts.model_spec import ModelSpec
from runtime.bundle import Bundle
from runtime.tensorrt.build import BuildCancelledError, BuildJob, BuildProgress, build_engine
from runtime.tensorrt.plan import BuildPlan, plan_build
from tests.integration.interpreters import older_python

ROOT = Path(__file__).parents[2]
FAKES = ROOT / "tests/fakes"
FACTS: dict[str, FactValue] = {"runtime.tensorrt": "10.3.0", "gpu.sm": 87, "cuda": "12.6", "memory_mb": 32_000}
TENSOR = TensorInfo(name="image", dtype="uint8", shape=(1, 16, 16, 3))


def recipe(**changes: Any) -> EngineRecipe:
    given: dict[str, Any] = {"generation": "10.3", "requires": (), "onnx": "model.onnx", "precision": "int8"}
    given |= {"strongly_typed": False, "inputs": (TENSOR,), "outputs": (TENSOR,), "workspace_mib": 256}
    return EngineRecipe.model_validate({**given, **changes})


class Fake:
    """The fake TensorRT, on the path of child processes."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        bindings = folder / "bindings"
        bindings.mkdir()
        shutil.copyfile(FAKES / "tensorrt.py", bindings / "tensorrt.py")
        monkeypatch.setenv("PYTHONPATH", str(bindings))
        self._set = monkeypatch.setenv
        self.behaves()

    def behaves(self, version: str = "10.3.0", **config: Any) -> None:
        self._set("FAKE_TENSORRT", json.dumps({"version": version, **config}))


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    return Fake(tmp_path, monkeypatch)


def job(folder: Path, plan: BuildPlan | None = None, **more: Any) -> BuildJob:
    source = folder / "model.onnx"
    if not source.exists():
        source.write_bytes(b"onnx")
    return BuildJob(plan or plan_build(recipe(), FACTS), source, folder / "new.engine", folder / "timings", **more)


def calls(engine: Path) -> list[str]:
    return [str(call) for call in json.loads(engine.read_bytes()[28:])["calls"]]


@pytest.mark.parametrize(
    ("version", "changes", "wanted", "unwanted"),
    [
        ("8.2.1.9", {"flags": ("FP16",)}, ["max_workspace_size = 268435456", "create_network 1"], "memory_pool"),
        ("8.5.2.2", {"flags": ("FP16", "INT8")}, ["set_flag INT8", "create_network 1"], "max_workspace"),
        ("8.6.2", {"builder_optimization_level": 2}, ["builder_optimization_level = 2"], "set_flag"),
        ("10.3.0", {"flags": ("FP16",)}, ["set_flag FP16", "create_network 0"], "max_workspace"),
        ("10.13.3.9", {"strongly_typed": True}, ["create_network 2"], "set_flag"),
        ("11.4.1", {"strongly_typed": True}, ["create_network 0"], "set_flag"),
    ],
)
def test_the_child_calls_what_the_version_has(
    fake: Fake, tmp_path: Path, version: str, changes: dict[str, Any], wanted: list[str], unwanted: str
) -> None:
    fake.behaves(version)
    made = job(tmp_path, plan_build(recipe(**changes), {**FACTS, "runtime.tensorrt": version}))
    built = build_engine(made)
    done = calls(made.engine)
    assert set(wanted) <= set(done)
    assert {"profiling_verbosity = DETAILED", "clear_flag TF32"} <= set(done)
    assert not [call for call in done if unwanted in call]
    assert built.sha256 == hashlib.sha256(made.engine.read_bytes()).hexdigest()
    assert built.size == made.engine.stat().st_size
    assert built.tensorrt == version


@pytest.mark.parametrize("version", ["3.6", "3.8"])
def test_an_older_python_builds_too(fake: Fake, tmp_path: Path, version: str) -> None:
    fake.behaves("8.5.2.2")
    made = job(tmp_path, plan_build(recipe(), {**FACTS, "runtime.tensorrt": "8.5.2"}), python=older_python(version))
    assert build_engine(made).tensorrt == "8.5.2.2"


@pytest.mark.parametrize("version", ["8.5.2.2", "10.3.0"])
def test_layers_that_stay_float_are_held_to_it(fake: Fake, tmp_path: Path, version: str) -> None:
    fake.behaves(version, layers={"Sub_3": "FLOAT", "Shape_4": "INT32", "Conv_5": "FLOAT"})
    wanted = recipe(flags=("FP16",), float_layers=("Sub_3", "Shape_4"))
    made = job(tmp_path, plan_build(wanted, {**FACTS, "runtime.tensorrt": version}))
    build_engine(made)
    assert [call for call in calls(made.engine) if "output_type" in call] == [
        f"set_output_type Sub_3{' renamed' if version != '8.5.2.2' else ''} FLOAT"
    ]
    assert "set_flag OBEY_PRECISION_CONSTRAINTS" in calls(made.engine)


def test_none_of_the_layers_that_have_to_stay_float_is_an_error(fake: Fake, tmp_path: Path) -> None:
    fake.behaves(layers={"Conv_5": "FLOAT"})
    with pytest.raises(ModelFileError, match="none of the layers that have to stay FP32"):
        build_engine(job(tmp_path, plan_build(recipe(float_layers=("Sub_3",)), FACTS)))


@pytest.mark.parametrize(
    ("version", "says"),
    [("8.5.2", "node 12: unsupported mode; node 13"), ("10.3.0", "node 'Resize_12' (Resize): unsupported mode")],
)
def test_what_the_parser_refuses_is_one_sentence_with_the_nodes(
    fake: Fake, tmp_path: Path, version: str, says: str
) -> None:
    errors = [{"node": 12 + n, "name": f"Resize_{12 + n}", "operator": "Resize"} for n in range(5)]
    fake.behaves(version, parse_errors=[error | {"text": "unsupported mode"} for error in errors])
    with pytest.raises(ModelFileError) as caught:
        build_engine(job(tmp_path, plan_build(recipe(), {**FACTS, "runtime.tensorrt": version})))
    assert says in str(caught.value)
    assert "and 2 more" in str(caught.value)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"build": "none"}, "builds no engine: no implementation for node conv1"),
        ({"build": "crash"}, "ended by SIGSEGV"),
        ({"build": "killed"}, r"SIGKILL.*memory runs out: add swap"),
        ({"version": "10.4.0"}, r"expected TensorRT 10.3.0, this Python has 10.4.0"),
    ],
)
def test_whatever_befalls_the_child_is_a_typed_error(
    fake: Fake, tmp_path: Path, config: dict[str, Any], says: str
) -> None:
    fake.behaves(**config)
    with pytest.raises(DeviceError, match=says):
        build_engine(job(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["model.onnx"]


def test_a_python_without_tensorrt_is_said(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="No module named 'tensorrt'"):
        build_engine(job(tmp_path))


def test_timings_are_kept_from_one_build_to_the_next_and_foreign_ones_dropped(fake: Fake, tmp_path: Path) -> None:
    made = job(tmp_path)
    build_engine(made)
    assert (tmp_path / "timings").read_bytes() == b"+"
    build_engine(made)
    assert "create_timing_cache b'+'" in calls(made.engine)
    assert (tmp_path / "timings").read_bytes() == b"++"
    fake.behaves(timings="foreign")
    build_engine(made)
    assert (tmp_path / "timings").read_bytes() == b"+"


def test_progress_is_told_and_a_build_that_hangs_can_be_cancelled(fake: Fake, tmp_path: Path) -> None:
    fake.behaves(build="hang")
    told: list[BuildProgress] = []
    with pytest.raises(BuildCancelledError, match="cancelled"):
        build_engine(job(tmp_path), told.append, lambda: any(progress.phase for progress in told))
    assert told[-1].phase == "Building engine"
    assert told[-1].fraction is not None
    assert 0.0 <= told[-1].fraction <= 1.0


def test_a_build_that_takes_too_long_is_ended(fake: Fake, tmp_path: Path) -> None:
    fake.behaves(build="hang")
    with pytest.raises(DeviceError, match=r"more than 0.5 s"):
        build_engine(job(tmp_path, seconds=0.5))


def small_onnx(path: Path, operator: str = "Conv") -> None:
    weights = np.random.default_rng(0).normal(size=(8, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["image"], ["f"], name="cast", to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["f"], ["x"], name="turn", perm=[0, 3, 1, 2]),
        helper.make_node(operator, ["x", "w"], ["out"], name="conv1"),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, (1, 16, 16, 3))
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, (1, 8, 14, 14))
    graph = helper.make_graph(nodes, "small", [image], [out], [numpy_helper.from_array(weights, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


class TestRtx:
    """The real parser and builder."""

    @pytest.fixture(autouse=True)
    def _installed(self) -> None:
        if importlib.util.find_spec("tensorrt_rtx") is None:
            pytest.skip("not run: TensorRT for RTX is not installed")

    @staticmethod
    def plan() -> BuildPlan:
        from importlib.metadata import version

        rtx = version("tensorrt_rtx")
        made = plan_build(recipe(strongly_typed=True), {"runtime.tensorrt_rtx": rtx}, "tensorrt_rtx")
        return made.model_copy(update={"compute_capabilities": ("SM86",)})

    def test_the_real_builder_builds_and_tells_how_far_it_is(self, tmp_path: Path) -> None:
        small_onnx(tmp_path / "model.onnx")
        told: list[BuildProgress] = []
        made = job(tmp_path, self.plan())
        built = build_engine(made, told.append)
        assert made.engine.read_bytes().startswith(b"vtrt")
        assert built.size == made.engine.stat().st_size
        assert [progress for progress in told if progress.phase]

    def test_the_real_parsers_refusal_names_the_node(self, tmp_path: Path) -> None:
        small_onnx(tmp_path / "model.onnx", "Nonsense")
        with pytest.raises(ModelFileError, match=r"node 'conv1' \(Nonsense\)"):
            build_engine(job(tmp_path, self.plan()))

    def test_the_real_runtime_without_a_gpu_says_why_it_reads_no_engine(self, tmp_path: Path) -> None:
        if Path("/dev/nvidia0").exists():
            pytest.skip("not run: this box has a GPU, which the engine may not be for")
        small_onnx(tmp_path / "model.onnx")
        made = job(tmp_path, self.plan())
        build_engine(made)
        from runtime.backends.table import open_lanes

        with pytest.raises(ModelFileError, match=r"does not read it: .*CUDA driver"):
            open_lanes("tensorrt_rtx", made.engine, execution_precision="f32")


def bundle(folder: Path) -> tuple[Bundle, Artifact]:
    place = folder / "bundle/artifacts/jetson/int8"
    place.mkdir(parents=True)
    (place / "model.onnx").write_bytes(b"onnx")
    (place / "recipe.json").write_text(recipe().model_dump_json())
    files = tuple(
        FileEntry(
            path=f"artifacts/jetson/int8/{path.name}",
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            size=path.stat().st_size,
        )
        for path in sorted(place.iterdir())
    )
    artifact = Artifact(
        id="jetson/int8", target="jetson", backend="tensorrt", precision="int8", files=files, entry=files[0].path,
        requires=(), inputs=(TENSOR,), outputs=(TENSOR,),
    )  # fmt: skip
    spec = ModelSpec.model_validate(
        {
            "name": "cars",
            "version": "1.0.0",
            "labels": ["car"],
            "input": {"width": 16, "height": 16},
            "output": {"decoder": "density"},
        }
    )
    source = Source(file="model.onnx", sha256="0" * 64)
    manifest = Manifest(created="now", converter="x", model=spec, source=source, artifacts=(artifact,))
    return Bundle(folder / "bundle", manifest, "0" * 64), artifact


class Site:
    """A bundle, a store and a fake TensorRT."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bundle, self.artifact = bundle(folder)
        self.store = EngineStore(folder / "engines")

    def ask(self) -> Path | BuildNeeded:
        return engine_for("cars", self.artifact, FACTS, self.store)

    def build(self) -> EngineBuild:
        needed = self.ask()
        assert isinstance(needed, BuildNeeded)
        building = EngineBuild(self.bundle, needed, FACTS, self.store)
        building.start()
        return building

    def left(self) -> list[str]:
        return [path.name for path in (self.folder / "engines/cars").iterdir()]


@pytest.fixture
def site(tmp_path: Path, fake: Fake) -> Site:
    del fake
    return Site(tmp_path)


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, what
        threading.Event().wait(0.02)


def test_an_engine_is_built_once_and_found_from_then_on(site: Site) -> None:
    engine = site.build().result(60)
    assert site.ask() == engine
    assert (engine.parent / "recipe.json").is_file()
    assert len(site.left()) == 1


def test_a_damaged_engine_is_built_again(site: Site) -> None:
    engine = site.build().result(60)
    engine.write_bytes(engine.read_bytes()[:-1] + b"x")
    assert isinstance(site.ask(), BuildNeeded)
    assert site.build().result(60) == engine
    assert site.ask() == engine


def test_a_changed_bundle_is_not_built_from(site: Site) -> None:
    (site.bundle.path / "artifacts/jetson/int8/model.onnx").write_bytes(b"none")
    with pytest.raises(BundleError, match="SHA-256"):
        site.build().result(60)


def test_a_cancelled_build_leaves_nothing(site: Site, fake: Fake) -> None:
    fake.behaves(build="hang")
    building = site.build()
    until(lambda: building.progress.phase != "", "the build does not begin")
    assert not building.done
    with pytest.raises(TimeoutError):
        building.result(0)
    building.cancel()
    with pytest.raises(BuildCancelledError):
        building.result(60)
    assert site.left() == []


def test_a_child_that_is_killed_in_the_middle_leaves_no_half_engine(site: Site, fake: Fake) -> None:
    fake.behaves(build="hang")
    building = site.build()
    until(lambda: building.progress.phase != "", "the build does not begin")
    (child,) = children()
    os.kill(child, signal.SIGKILL)
    with pytest.raises(DeviceError, match="SIGKILL"):
        building.result(60)
    assert site.left() == []
    fake.behaves()
    assert site.build().result(60).is_file()


def children() -> list[int]:
    text = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    found = {int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}
    found |= {int(pid) for pid in text.split()}
    return [pid for pid in found if "build_child.py" in Path(f"/proc/{pid}/cmdline").read_text()]


WORKER = """
import sys, threading
from pathlib import Path
from tests.integration.test_tensorrt_build import Site, EngineBuild, FACTS, BuildNeeded, engine_for, EngineStore, bundle
site = Site.__new__(Site)
site.folder = Path(sys.argv[1])
site.bundle, site.artifact = bundle(Path(sys.argv[2]))
site.store = EngineStore(site.folder / "engines")
found = site.ask()
print("started", flush=True)
building = None if isinstance(found, Path) else site.build()
while building and not building.done and not building.progress.phase:
    threading.Event().wait(0.02)
print("begun", flush=True)
print(building.result(60) if building else found, flush=True)
"""


def worker(site: Site, folder: Path) -> subprocess.Popen[str]:
    folder.mkdir()
    paths = f"{ROOT}:{os.environ['PYTHONPATH']}"
    command = [sys.executable, "-c", WORKER, str(site.folder), str(folder)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths}, stdout=subprocess.PIPE, text=True)


def test_a_process_that_is_killed_takes_its_builder_along_and_the_next_cleans_up(site: Site, fake: Fake) -> None:
    fake.behaves(build="hang")
    with worker(site, site.folder / "other") as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == ["started\n", "begun\n"]
        assert len(builders(site.folder)) == 1
        process.kill()
    until(lambda: builders(site.folder) == [], "the builder outlives the process that asked")
    assert isinstance(site.ask(), BuildNeeded)
    fake.behaves()
    assert site.build().result(60).is_file()
    assert len(site.left()) == 1


def builders(folder: Path) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_text()
        except OSError:
            continue
        if "build_child.py" in line and str(folder) in line:
            found.append(line)
    return found


def test_two_processes_at_once_build_one_engine(site: Site) -> None:
    needed = site.ask()
    assert isinstance(needed, BuildNeeded)
    with worker(site, site.folder / "one") as one, worker(site, site.folder / "two") as two:
        with site.store.building("cars", needed.key) as held:  # so that both have to wait, and begin together
            assert held is not None
            assert [process.stdout.readline() for process in (one, two) if process.stdout] == ["started\n"] * 2
        said = [process.communicate(timeout=60)[0].splitlines() for process in (one, two)]
    assert said[0] == said[1] == ["begun", str(site.ask())]
    (timings,) = site.store.timings.iterdir()
    assert timings.read_bytes() == b"+", "it was built more than once"
    assert len(site.left()) == 1


def test_old_engines_of_a_model_are_dropped(site: Site) -> None:
    store = EngineStore(site.folder / "engines", kept=2)
    made = []
    for number in range(4):
        facts = {**FACTS, "gpu.sm": 80 + number}
        needed = engine_for("cars", site.artifact, facts, store)
        assert isinstance(needed, BuildNeeded)
        building = EngineBuild(site.bundle, needed, facts, store)
        building.start()
        made.append(building.result(60))
    assert [path.exists() for path in made] == [False, False, True, True]
