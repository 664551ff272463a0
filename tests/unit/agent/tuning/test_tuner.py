"""Measured once, late, against what serves; what does not take over in the end is said, and what serves goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from typing_extensions import Self

from agent.engines.supply import EngineSupply
from agent.tuning.cache import Tuned, TuningCache
from agent.tuning.child import PairJob
from agent.tuning.findings import preference_of
from agent.tuning.ground import Ground
from agent.tuning.pace import Frames
from agent.tuning.pair import MeasuringStoppedError
from agent.tuning.rules import Aim, Figures, Round
from agent.tuning.setting import Setting
from agent.tuning.tuner import Tuner
from contracts.config import RuntimeConfig
from contracts.messages import Considered
from runtime.bundle import open_bundle
from tests.fakes.bundles import artifact, make_bundle

PATIENCE = 30.0  # seconds
FACTS = {"cpu.count": 1}
AIM = Aim("throughput", None)


class Served:
    """What counts; it takes what was measured, unless it refuses."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.setting: Setting | None = ground.space().forms[0][0]
        self.considered: Sequence[Considered] = ()
        self.refuses = False
        self.told = threading.Semaphore(0)

    def reconsider(self) -> None:
        tuned = self.ground.known()
        assert tuned is not None
        first = preference_of(tuned, AIM).first
        if not self.refuses:
            self.setting = first
        elif first != self.setting:
            self.considered = (Considered(artifact=f"{first.artifact} in f32", refused="off by 0.5"),)
        self.told.release()


class Stage:
    def __init__(self, root: Path, **wanted: Any) -> None:
        rows = [artifact(root / "b", "slow/fp32"), artifact(root / "b", "fast/fp32")]
        bundle = open_bundle(make_bundle(root / "b", rows))
        runtime = RuntimeConfig(lanes=1, threads=1, **wanted)
        engines, cache = EngineSupply(root / "engines", FACTS), TuningCache(root / "tuning")
        self.ground = Ground(bundle, FACTS, runtime, engines, AIM, cache)
        self.served = Served(self.ground)
        self.jobs: list[PairJob] = []
        self.frames = Frames(1, 0)
        self.on_round: Callable[[], None] = lambda: None
        self.tuner = Tuner(self.ground, self.served, lambda: self.frames, settle=0.0, pair=self._pair)

    def known(self) -> Tuned | None:
        return TuningCache(self.ground.cache._folder).get(self.ground.key(self.ground.space()))

    def finish(self) -> None:
        self.tuner._thread.join(PATIENCE)
        assert not self.tuner._thread.is_alive()

    def _pair(self, job: PairJob, stopped: Callable[[], bool]) -> Pair:
        self.jobs.append(job)
        return Pair(job, stopped, self.on_round)


class Pair:
    """What is called fast is twice as fast."""

    def __init__(self, job: PairJob, stopped: Callable[[], bool], on_round: Callable[[], None]) -> None:
        self._job = job
        self._stopped = stopped
        self._on_round = on_round
        self.cpu_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        pass

    def round(self) -> Round:
        self._on_round()
        if self._stopped():
            raise MeasuringStoppedError
        base, other = (50.0 if one.artifact == "slow/fp32" else 100.0 for one in self._job.settings)
        return Round(base=Figures(fps=base, latency_ms=1, cpu_ms=1), other=Figures(fps=other, latency_ms=1, cpu_ms=1))


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_the_better_one_takes_over_and_the_figures_say_why(stage: Stage) -> None:
    stage.tuner.start()
    stage.finish()
    assert stage.served.setting is not None
    assert stage.served.setting.artifact == "fast/fp32"
    tuned = stage.known()
    assert tuned is not None
    preference = preference_of(tuned, AIM)
    assert preference.why == "measured here: 100 fps against 50 of slow/fp32 in f32 with 1 lane of 1 thread (12 rounds)"
    assert all(job.nice > 0 for job in stage.jobs)


def test_what_is_known_is_not_measured_again(stage: Stage) -> None:
    stage.tuner.start()
    stage.finish()
    again = Tuner(stage.ground, stage.served, lambda: stage.frames, settle=0.0, pair=stage._pair)
    measured = len(stage.jobs)
    again.start()
    again._thread.join(PATIENCE)
    assert len(stage.jobs) == measured


def test_one_that_does_not_take_over_is_remembered_with_the_reason(stage: Stage) -> None:
    stage.served.refuses = True
    base = stage.served.setting
    stage.tuner.start()
    stage.finish()
    tuned = stage.known()
    assert tuned is not None
    assert tuned.refused == "off by 0.5"
    preference = preference_of(tuned, AIM)
    assert preference.first == base
    assert "fast/fp32 in f32 with 1 lane of 1 thread does not take over: off by 0.5" in preference.why


def test_nothing_is_measured_before_frames_are_counted(stage: Stage) -> None:
    stage.frames = Frames(0, 0)
    stage.tuner.start()
    stage.tuner.stop(PATIENCE)
    assert stage.jobs == []


def test_where_all_is_asked_for_by_name_nothing_is_measured(tmp_path: Path) -> None:
    stage = Stage(tmp_path, artifact="slow/fp32")
    stage.tuner.start()
    stage.finish()
    assert stage.jobs == []


def test_it_ends_in_the_middle_of_a_measurement_and_keeps_nothing(stage: Stage) -> None:
    stage.on_round = stage.tuner._stop.set
    stage.tuner.start()
    stage.finish()
    assert stage.known() is None
    assert len(stage.jobs) == 1


def test_where_something_else_takes_over_meanwhile_it_is_measured_against_that(stage: Stage) -> None:
    fast = stage.ground.space().forms[1][0]

    def swap() -> None:
        stage.served.setting = fast

    stage.on_round = swap
    stage.tuner.start()
    stage.finish()
    assert [job.settings[0].artifact for job in stage.jobs][:2] == ["slow/fp32", "fast/fp32"]
    tuned = stage.known()
    assert tuned is not None
    assert tuned.best == tuned.base == fast


def test_a_full_disk_costs_the_next_start_only(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "tuning").write_text("")
    stage.tuner.start()
    stage.finish()
    assert stage.served.setting is not None
    assert stage.served.setting.artifact == "fast/fp32"
