"""Real runtimes, measured in the real process beside real counting: the faster one takes over, and no frame is lost."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner
from typing_extensions import Self

from agent.cli import app
from agent.engines.supply import EngineSupply
from agent.lanes import LanePool
from agent.serving import Serving
from agent.tuning.cache import TuningCache
from agent.tuning.child import PairJob
from agent.tuning.foreground import tune
from agent.tuning.ground import Ground
from agent.tuning.pace import RestPace
from agent.tuning.pair import Pair
from agent.tuning.rules import Aim
from agent.tuning.tuner import Tuner
from agent.tuning.view import print_tuned
from contracts.config import CameraConfig, RuntimeConfig
from contracts.errors import DeviceError
from contracts.facts import FactValue
from runtime.bundle import Bundle
from tests.integration.test_swap import SIDE, Noted, bundle_of, row, save_onnx, until

ov = pytest.importorskip("openvino", reason="not run: OpenVINO is not installed")

FACTS: dict[str, FactValue] = {"cpu.count": 1, "cpu.model": "the test's"}
AIM = Aim("throughput", None)
PATIENCE = 180.0  # seconds
SHORT = 0.05  # seconds of a measurement


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """One network twice: first through ONNX Runtime with idle work that makes it many times as slow, then OpenVINO."""
    root = tmp_path_factory.mktemp("tuning") / "b"
    draw = np.random.default_rng(1)
    weights = numpy_helper.from_array(draw.random((1, 3, 4, 4)).astype(np.float32) / 255, "w")
    start = [
        helper.make_node("Cast", ["image"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["f"], ["x"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["x", "w"], ["density"], strides=[4, 4]),
    ]
    idle = [
        helper.make_node("Conv", ["x", "wide"], ["h0"], pads=[1, 1, 1, 1]),
        *(helper.make_node("Conv", [f"h{i}", "deep"], [f"h{i + 1}"], pads=[1, 1, 1, 1]) for i in range(6)),
        helper.make_node("ReduceMean", ["h6"], ["mean"], keepdims=1),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Conv", ["x", "w"], ["seen"], strides=[4, 4]),
        helper.make_node("Add", ["seen", "nothing"], ["density"]),
    ]
    constants = [
        weights,
        numpy_helper.from_array(draw.random((32, 3, 3, 3)).astype(np.float32) / 1e3, "wide"),
        numpy_helper.from_array(draw.random((32, 32, 3, 3)).astype(np.float32) / 1e3, "deep"),
        numpy_helper.from_array(np.zeros((), np.float32), "zero"),
    ]
    save_onnx(root / "artifacts/slow/fp32/model.onnx", [*start[:2], *idle], constants, SIDE)
    plain = root / "artifacts/ov/fp32/model.onnx"
    save_onnx(plain, start, [weights], SIDE)
    ov.save_model(ov.convert_model(plain), plain.with_suffix(".xml"), compress_to_fp16=False)
    shape = [1, 1, SIDE // 4, SIDE // 4]
    rows = [
        row(root, "slow/fp32", "onnxruntime", SIDE, shape, "model.onnx"),
        row(root, "ov/fp32", "openvino", SIDE, shape, "model.xml", "model.bin"),
    ]

    def reference(frame: np.ndarray[Any, Any]) -> Any:
        import onnxruntime as ort

        session = ort.InferenceSession(plain, providers=["CPUExecutionProvider"])
        return session.run(None, {"image": frame[np.newaxis]})[0]

    return bundle_of(root, rows, SIDE, reference)


def short(job: PairJob, stopped: Callable[[], bool] = lambda: False) -> Pair:
    return Pair(job.model_copy(update={"seconds": SHORT, "nice": 0}), stopped)


class Box:
    """A camera that is counted, as the daemon does it; a new one is the box after a restart."""

    def __init__(self, bundle: Bundle, folder: Path, **wanted: Any) -> None:
        runtime = RuntimeConfig(**{"lanes": 1, "threads": 1} | wanted)
        engines, cache = EngineSupply(folder / "engines", FACTS), TuningCache(folder / "tuning")
        self.ground = Ground(bundle, FACTS, runtime, engines, AIM, cache)
        ready = threading.Condition()
        camera = CameraConfig(id="gate", source=f"synthetic:width={SIDE},height={SIDE}", realtime=False)
        self.unit = Noted(camera, bundle.manifest.model, ready, "box")
        pool = LanePool([self.unit.stream], ready)
        self.serving = Serving(pool, self.ground.select, lambda *_: None, lambda: None)
        self.tuner = Tuner(
            self.ground, self.serving, self.unit.frames_so_far, settle=0.0, pair=short, pace=RestPace(0.01)
        )

    def __enter__(self) -> Self:
        self.unit.start()
        self.serving.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.tuner.stop(PATIENCE)
        self.unit.close()
        self.serving.stop(PATIENCE)

    @property
    def serves(self) -> str:
        assert self.serving.setting is not None
        return self.serving.setting.artifact

    def until_tuned(self) -> None:
        self.tuner.start()
        self.tuner._thread.join(PATIENCE)
        assert not self.tuner._thread.is_alive()


def test_a_slow_setting_is_replaced_while_every_frame_is_counted_once(
    bundle: Bundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Box(bundle, tmp_path) as box:
        assert box.serves == "slow/fp32"
        until(lambda: box.unit.counted >= 5, "no frame is counted")
        box.until_tuned()
        assert box.serves == "ov/fp32", box.serving.considered
        switched = box.unit.counted
        until(lambda: box.unit.counted >= switched + 20, "nothing is counted any more")
        (slow, fast) = box.serving.considered
        assert fast.refused is None
        assert str(fast.why).startswith("measured here: ")
        assert " of slow/fp32 in f32 with 1 lane of 1 thread (12 rounds)" in str(fast.why)
        assert slow.refused == "ov/fp32 comes before it"
    numbers = [number for number, _, _ in box.unit.frames]
    assert numbers == list(range(len(numbers)))
    by = [artifact for _, _, artifact in box.unit.frames]
    assert by == sorted(by, reverse=True)  # slow/fp32, then ov/fp32, and never back
    assert set(by) == {"slow/fp32", "ov/fp32"}

    with Box(bundle, tmp_path) as restarted:
        assert restarted.serves == "ov/fp32"
    with Box(bundle, tmp_path, artifact="slow/fp32") as forced:
        assert forced.serves == "slow/fp32"

    for file in (tmp_path / "tuning").iterdir():
        file.write_bytes(file.read_bytes()[:-20])
    with caplog.at_level(logging.WARNING), Box(bundle, tmp_path) as damaged:
        assert damaged.serves == "slow/fp32"
    assert "it is damaged; this box is measured again" in caplog.text


def test_in_the_foreground_it_is_measured_and_the_next_start_takes_it(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    box = Box(bundle, tmp_path)
    shares: list[float] = []
    tuned = tune(box.ground, lambda _, share: shares.append(share), short)
    assert tuned.base.artifact == "slow/fp32"
    assert tuned.best.artifact == "ov/fp32"
    assert shares
    print_tuned(tuned, AIM)
    shown = capsys.readouterr().out
    assert "* ov/fp32" in shown
    assert "takes ov/fp32 in f32 with 1 lane of 1 thread: measured here: " in shown
    with box:
        assert box.serves == "ov/fp32"


def test_all_that_was_measured_can_be_forgotten(bundle: Bundle, tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text(
        f'device = "box"\nbundle = "{bundle.path}"\nstate_dir = "{tmp_path}"\n'
        '[broker]\nhost = "127.0.0.1"\n[[camera]]\nid = "gate"\nsource = "synthetic"\n'
    )
    kept = tmp_path / "tuning" / "some.json"
    kept.parent.mkdir()
    kept.write_text("{}")
    run = CliRunner().invoke(app, ["tune", "--forget", "--config", str(config)])
    assert run.stdout == "forgot 1 measurements\n"
    assert not kept.exists()


class TestPair:
    """The measuring process answers, or says why not; it never hangs who asks."""

    def test_what_does_not_open_is_refused_with_its_reason(self, bundle: Bundle, tmp_path: Path) -> None:
        slow, fast = self.settings(bundle, tmp_path)
        job = PairJob(bundle=bundle.path, settings=(slow, fast.model_copy(update={"execution_precision": "f8"})))
        with Pair(job) as pair, pytest.raises(DeviceError, match="'f8'"):
            pair.round()

    def test_a_process_that_dies_is_said(self, bundle: Bundle, tmp_path: Path) -> None:
        slow, fast = self.settings(bundle, tmp_path)
        with Pair(PairJob(bundle=bundle.path, settings=(slow, fast), seconds=SHORT)) as pair:
            os.kill(pair.pid, signal.SIGKILL)
            with pytest.raises(DeviceError, match="ended with -9"):
                pair.round()

    def test_it_stands_back_from_its_first_moment(self, bundle: Bundle, tmp_path: Path) -> None:
        slow, fast = self.settings(bundle, tmp_path)
        with Pair(PairJob(bundle=bundle.path, settings=(slow, fast), seconds=SHORT, nice=10)) as pair:
            assert os.getpriority(os.PRIO_PROCESS, pair.pid) >= 10
            assert Path(f"/proc/{pair.pid}/oom_score_adj").read_text() == "1000\n"

    def test_one_that_is_silent_is_given_up(self, bundle: Bundle, tmp_path: Path) -> None:
        slow, fast = self.settings(bundle, tmp_path)
        job = PairJob(bundle=bundle.path, settings=(slow, fast), seconds=1000.0)
        with Pair(job, time_limit=0.3) as pair, pytest.raises(DeviceError, match="no answer within"):
            pair.round()

    @staticmethod
    def settings(bundle: Bundle, folder: Path) -> tuple[Any, Any]:
        slow, fast = (form[0] for form in Box(bundle, folder).ground.space().forms)
        return slow, fast
