"""The runner for other Pythons: the real process, pipes and memory; TensorRT and CUDA behind it are fakes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.engines.build import BuildNeeded, EngineBuild, engine_for
from agent.engines.store import EngineStore
from contracts.engine_recipe import EngineRecipe, Expected
from contracts.errors import ArtifactError, DeviceError, ModelFileError
from contracts.manifest import TensorInfo
from runtime.backends.base import Lane
from runtime.backends.table import open_lanes
from runtime.tensorrt import runner_lane
from tests.fakes import tensorrt as fake
from tests.fakes.tensorrt import make_engine
from tests.integration.interpreters import older_python
from tests.integration.test_tensorrt_build import FACTS, bundle

ROOT = Path(__file__).parents[2]
FAKES = ROOT / "tests/fakes"
SHAPE = (1, 4, 4, 3)


@pytest.fixture(scope="session")
def libcudart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("not run: no C compiler for the fake libcudart")
    library = tmp_path_factory.mktemp("cudart") / "libcudart.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, FAKES / "cudart.c"], check=True)
    return library


@pytest.fixture(params=["3.8", "3.6"])
def python(request: pytest.FixtureRequest) -> Path:
    return older_python(request.param)


@pytest.fixture
def box(tmp_path: Path, libcudart: Path, python: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    return Box(tmp_path, libcudart, python, monkeypatch)


class Box:
    """A box where only another Python has TensorRT."""

    def __init__(self, folder: Path, libcudart: Path, python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file = folder / "model.engine"
        self.file.write_bytes(make_engine("8.5.2.2", double=True))
        self._set = monkeypatch.setenv
        bindings = folder / "bindings"
        bindings.mkdir()
        shutil.copyfile(FAKES / "tensorrt.py", bindings / "tensorrt.py")
        self._set("PYTHONPATH", str(bindings))
        self._set("EDGETALLY_LIBCUDART", str(libcudart))
        self._set("EDGETALLY_TENSORRT_PYTHON", str(python))
        self.behaves()

    def behaves(self, **config: Any) -> None:
        import json

        self._set("FAKE_TENSORRT", json.dumps({"version": "8.5.2.2", **config}))

    def set(self, name: str, value: str) -> None:
        self._set(name, value)

    def open(self, lanes: int = 1, **options: str) -> list[Lane]:
        return open_lanes("tensorrt", self.file, execution_precision="f32", lanes=lanes, options=options)


def frame(value: int) -> dict[str, Any]:
    return {"image": np.full(SHAPE, value, np.uint8)}


def runner(lane: Lane) -> runner_lane.Runner:
    assert isinstance(lane, runner_lane.RunnerLane)
    return lane._runner


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_what_goes_in_comes_out_computed(box: Box) -> None:
    (lane,) = box.open()
    for value in (1, 2, 100):
        assert (lane.infer(frame(value))["out"] == 2 * value).all()
    lane.close()


def test_lanes_share_one_process_and_do_not_mix_their_frames(box: Box) -> None:
    lanes = box.open(lanes=3)
    assert len({runner(lane).pid for lane in lanes}) == 1
    wrong: list[int] = []

    def work(lane: Lane, value: int) -> None:
        wrong.extend(value for _ in range(100) if not (lane.infer(frame(value))["out"] == 2 * value).all())

    threads = [threading.Thread(target=work, args=(lane, 10 + number)) for number, lane in enumerate(lanes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    for lane in lanes:
        lane.close()


def test_closing_the_last_lane_ends_the_process_and_twice_is_harmless(box: Box) -> None:
    first, second = box.open(lanes=2)
    pid = runner(first).pid
    first.close()
    assert (second.infer(frame(4))["out"] == 8).all()
    second.close()
    second.close()
    assert gone(pid)
    with pytest.raises(RuntimeError, match="closed"):
        second.infer(frame(1))


def test_two_runners_can_be_there_at_once_as_when_models_are_swapped(box: Box) -> None:
    (old,) = box.open()
    (new,) = box.open()
    assert runner(old).pid != runner(new).pid
    old.close()
    assert (new.infer(frame(5))["out"] == 10).all()
    new.close()


def test_a_runner_that_dies_is_a_typed_error_and_opening_again_starts_another(box: Box) -> None:
    (lane,) = box.open()
    os.kill(runner(lane).pid, signal.SIGKILL)
    with pytest.raises(DeviceError, match=r"killed by SIGKILL.*open the artifact again"):
        lane.infer(frame(1))
    lane.close()
    (again,) = box.open()
    assert (again.infer(frame(1))["out"] == 2).all()
    again.close()


def test_a_crash_inside_tensorrt_costs_an_error_and_not_this_process(box: Box) -> None:
    box.behaves(execute="crash")
    (lane,) = box.open()
    with pytest.raises(DeviceError, match="SIGSEGV"):
        lane.infer(frame(1))
    lane.close()
    box.behaves(deserialize="crash")
    with pytest.raises(DeviceError, match="SIGSEGV"):
        box.open()


def test_a_runner_that_hangs_is_given_up(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_lane, "RUN_SECONDS", 0.2)
    box.behaves(execute="hang")
    (lane,) = box.open()
    pid = runner(lane).pid
    with pytest.raises(DeviceError, match=r"no answer within 0.2 s"):
        lane.infer(frame(1))
    lane.close()
    assert gone(pid)


def test_the_runner_ends_with_the_process_that_started_it(box: Box) -> None:
    program = (
        "import sys, os\nfrom pathlib import Path\nfrom runtime.backends.table import open_lanes\n"
        "(lane,) = open_lanes('tensorrt', Path(sys.argv[1]), execution_precision='f32')\n"
        "print(lane._runner.pid, flush=True)\nos.kill(os.getpid(), 9)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, box.file], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
    )
    assert run.returncode == -signal.SIGKILL
    pidfd = os.pidfd_open(int(run.stdout)) if not gone(int(run.stdout)) else None
    if pidfd is not None:
        import select

        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        assert poll.poll(10_000), "the runner outlives its parent"
        os.close(pidfd)


def test_none_from_deserialising_is_what_tensorrt_said(box: Box) -> None:
    box.behaves(refuses="compute capability 8.7, expected 7.2")
    with pytest.raises(ModelFileError, match=r"model.engine: TensorRT 8.5.2.2 does not read the engine: compute cap"):
        box.open()


def test_an_engine_of_another_version_is_refused(box: Box) -> None:
    box.behaves(version="8.6.2")
    box.file.write_bytes(make_engine("10.3.0.30"))
    with pytest.raises(ModelFileError, match=r"built by TensorRT 10.3.0.30, this device has 8.6.2"):
        box.open()


def test_an_engine_that_fell_back_is_refused(box: Box) -> None:
    tensor = TensorInfo(name="image", dtype="uint8", shape=SHAPE)
    recipe = EngineRecipe(
        generation="8.5", requires=(), onnx="model.onnx", precision="int8", strongly_typed=False, inputs=(tensor,),
        outputs=(tensor,), workspace_mib=256, expected=Expected(int8=2, total=53),
    )  # fmt: skip
    (box.file.parent / "recipe.json").write_text(recipe.model_dump_json())
    layer = {"Name": "c", "LayerType": "CaskConvolution", "Inputs": [{"Format/Datatype": "FP32"}]}
    box.file.write_bytes(make_engine("8.5.2.2", layers=[layer]))
    with pytest.raises(DeviceError, match="0 of 53 convolutions"):
        box.open()


def test_a_gpu_without_memory_is_said_with_cudas_name(box: Box) -> None:
    box.set("FAKE_CUDART_ALLOCATIONS", "3")
    with pytest.raises(DeviceError, match="failed with cudaErrorMemoryAllocation"):
        box.open()


def test_an_input_of_another_shape_never_reaches_the_runner(box: Box) -> None:
    (lane,) = box.open()
    with pytest.raises(ArtifactError, match="should be uint8"):
        lane.infer({"image": np.zeros((1, 5, 4, 3), np.uint8)})
    lane.close()


def test_a_python_without_tensorrt_is_said(box: Box) -> None:
    box.set("PYTHONPATH", "/nonexistent")
    with pytest.raises(DeviceError, match="No module named 'tensorrt'"):
        box.open()


def test_a_python_that_is_not_there_is_refused(box: Box) -> None:
    with pytest.raises(DeviceError, match="none/python"):
        box.open(python="/none/python")


def test_an_option_that_the_runner_cannot_honour_is_refused(box: Box) -> None:
    with pytest.raises(DeviceError, match="without CUDA graphs"):
        box.open(cuda_graph="on")


@pytest.mark.parametrize(
    ("say", "error"),
    [
        (r"printf '\377\377\377\377' >&$W", "a message of 4294967295 bytes"),
        (r"printf '\000\000\000\002[]' >&$W", "should send JSON objects"),
        (r"printf '\000\000\000\003{{{{{{' >&$W", "should send JSON objects"),
        (r"printf '\000\000\000\002{{}}' >&$W", "wrong tensorrt"),
        ("echo last words >&2; exit 3", "exit code 3 .*last words"),
    ],
)
def test_a_runner_that_talks_nonsense_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, say: str, error: str
) -> None:
    engine = tmp_path / "model.engine"
    engine.write_bytes(make_engine("8.5.2.2"))
    script = tmp_path / "python"
    script.write_text('#!/bin/bash\nIFS=, read -r R W M <<< "$3"\n' + say.format() + "\nexec sleep 60\n")
    script.chmod(0o755)
    monkeypatch.setenv("EDGETALLY_TENSORRT_PYTHON", str(script))
    with pytest.raises(DeviceError, match=error):
        open_lanes("tensorrt", engine, execution_precision="f32")


def test_the_fake_and_the_runner_are_valid_for_python_3_6() -> None:
    import ast

    for path in (ROOT / "runtime/tensorrt/runner38.py", ROOT / "runtime/tensorrt/build_child.py", Path(fake.__file__)):
        ast.parse(path.read_text(), feature_version=(3, 6))


def test_no_descriptor_is_left(box: Box) -> None:
    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    (lane,) = box.open()
    lane.close()
    before = count()
    for _ in range(3):
        (lane,) = box.open()
        lane.close()
    assert count() == before


def test_an_engine_that_the_other_python_built_runs_in_it(box: Box, tmp_path: Path) -> None:
    whole, artifact = bundle(tmp_path)
    facts = {**FACTS, "runtime.tensorrt": "8.5.2"}
    store = EngineStore(tmp_path / "engines")
    needed = engine_for("cars", artifact, facts, store)
    assert isinstance(needed, BuildNeeded)
    building = EngineBuild(whole, needed, facts, store)
    building.start()
    box.file = building.result(60)
    (lane,) = box.open()
    assert (lane.infer(frame(9))["out"] == 9).all()
    lane.close()
