"""A new model sees the frames of a camera that the old one counts, with a real runtime; the counts stay as they are."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.cameras.frame import Frame
from agent.engines.supply import EngineSupply
from agent.lanes import LanePool
from agent.model import LoadedModel, load_model
from agent.update.comparison import ShadowJudge
from agent.update.errors import UpdateError, UpdateStoppedError
from agent.update.shadow import Pair, ShadowTap, run_shadow
from contracts.config import CameraConfig, RuntimeConfig
from contracts.update_config import ShadowConfig
from runtime.bundle import open_bundle
from runtime.results import Result
from tests.integration.density_bundles import SIDE, density_bundle
from tests.integration.test_swap import Noted, until

pytest.importorskip("onnxruntime", reason="not run: ONNX Runtime is not installed")

PATIENCE = 120.0  # seconds
CONFIG = ShadowConfig(seconds=1.0, fps=60.0, frames=40)
CAMERA = CameraConfig(id="gate", source=f"synthetic:width={SIDE},height={SIDE}", realtime=False)


def load(folder: Path, name: str, **how: Any) -> LoadedModel:
    bundle = open_bundle(density_bundle(folder / name, **how))
    model = load_model(bundle, {"cpu.count": 2}, RuntimeConfig(lanes=1), EngineSupply(folder / "engines", {})).model
    assert model is not None
    return model


@contextmanager
def counting(old: LoadedModel, tap: ShadowTap) -> Iterator[Noted]:
    """A camera that the old model counts, whose frames are offered."""
    ready = threading.Condition()
    unit = Noted(CAMERA, old.spec, ready, "box")
    counted = unit.stream.sink

    def sink(frame: Frame, result: Result | None) -> None:
        counted(frame, result)
        tap.offer(CAMERA.id, frame, result)

    unit.stream.sink = sink
    pool = LanePool([unit.stream], ready)
    pool.switch(old)
    unit.start()
    try:
        yield unit
    finally:
        unit.close()
        pool.stop()


def shadow(folder: Path, stopped: Any = lambda: False, limit: float = PATIENCE, **how: Any) -> tuple[str, Noted]:
    old, new, tap = load(folder, "old"), load(folder, "new", **how), ShadowTap(CONFIG.fps)
    clock = [0.0]

    def now() -> float:  # what is compared decides, not how fast this machine is
        clock[0] += 0.1
        return clock[0]

    with counting(old, tap) as unit:
        pair = Pair(lambda: old.spec, new, lambda: {CAMERA.id: CAMERA})
        judge = ShadowJudge(CONFIG, now())
        text = run_shadow(tap, pair, judge, note=lambda *_: None, stopped=stopped, limit=limit, clock=now)
    return text, unit


def test_one_that_sees_the_same_passes_and_every_frame_is_counted_once(tmp_path: Path) -> None:
    text, unit = shadow(tmp_path)
    assert "gate " in text
    assert "(+0%)" in text
    numbers = [number for number, _, _ in unit.frames]
    assert numbers == list(range(len(numbers)))


def test_one_that_sees_half_is_refused_with_the_sums_or_waits_for_what_it_takes(tmp_path: Path) -> None:
    with pytest.raises(UpdateError) as caught:
        shadow(tmp_path, factor=0.5, limit=60.0)
    assert caught.value.code in {"counts_differ", "held_too_long"}
    assert "-50%" in caught.value.reason


def test_a_model_that_wants_another_size_is_shown_scaled_pictures_and_that_is_said(tmp_path: Path) -> None:
    text, _ = shadow(tmp_path, side=96)
    assert "camera gate was shown to it scaled from 64x64 to 96x96" in text


def test_whoever_stops_it_waits_no_longer(tmp_path: Path) -> None:
    with pytest.raises(UpdateStoppedError):
        shadow(tmp_path, stopped=lambda: True)


def test_one_that_fails_on_frames_is_refused(tmp_path: Path) -> None:
    class Broken:
        def infer(self, tensors: Any) -> Any:
            raise RuntimeError("no more memory of rtsp://user:secret@host/")

        def close(self) -> None:
            pass

    old, tap = load(tmp_path, "old"), ShadowTap(CONFIG.fps)
    new = LoadedModel(old.spec, old.artifact, old.execution_precision, (Broken(),))
    pair, judge = Pair(lambda: old.spec, new, lambda: {CAMERA.id: CAMERA}), ShadowJudge(CONFIG, 0.0)
    with counting(old, tap) as unit, pytest.raises(UpdateError) as caught:
        run_shadow(tap, pair, judge, note=lambda *_: None, stopped=lambda: False, limit=PATIENCE)
    assert caught.value.code == "cannot_count"
    assert "no more memory" in caught.value.reason
    assert "secret" not in caught.value.reason
    assert unit.counted > 0
    until(lambda: unit.gone, "the camera does not end")
