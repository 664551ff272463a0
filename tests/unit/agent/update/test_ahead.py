"""A new bundle is measured before it counts, while that is allowed; what goes wrong in it is not held against it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from typing_extensions import Self

from agent.engines.supply import EngineSupply
from agent.tuning.cache import TuningCache
from agent.tuning.child import PairJob
from agent.tuning.ground import Ground
from agent.tuning.pace import Frames
from agent.tuning.rules import Aim, Figures, Round
from agent.tuning.tuner import Tuner
from agent.update.ahead import Stand, measure
from agent.update.errors import UpdateStoppedError
from contracts.config import AgentConfig, RuntimeConfig
from contracts.errors import DeviceError
from runtime.bundle import open_bundle
from tests.fakes.bundles import artifact, make_bundle
from tests.fakes.update_box import FakeBox

FACTS = {"cpu.count": 1}
PATIENCE = 30.0  # seconds
Notes = list[tuple[str, float | None]]


def ground_of(folder: Path, **wanted: Any) -> Ground:
    """A bundle whose second artifact is the faster one."""
    rows = [artifact(folder / "b", "slow/fp32"), artifact(folder / "b", "fast/fp32")]
    bundle = open_bundle(make_bundle(folder / "b", rows))
    runtime = RuntimeConfig(**{"lanes": 1, "threads": 1} | wanted)
    engines, cache = EngineSupply(folder / "engines", FACTS), TuningCache(folder / "tuning")
    return Ground(bundle, FACTS, runtime, engines, Aim("throughput", None), cache)


def box_of(folder: Path, minutes: float = 10.0) -> FakeBox:
    document = {
        "device": "box-1",
        "bundle": str(folder / "b"),
        "state_dir": str(folder),
        "broker": {"host": "127.0.0.1"},
        "camera": [{"id": "gate", "source": "synthetic"}],
        "update": {"tune_minutes": minutes},
    }
    return FakeBox(AgentConfig.model_validate(document), {})


def measured(
    box: FakeBox, ground: Ground, stopped: Callable[[], bool] = lambda: False
) -> tuple[list[list[str]], Notes]:
    """What the measurements were told, and what was noted."""
    notes: Notes = []
    measure(box, [ground], lambda text, share: notes.append((text, share)), stopped)
    return [one.calls for one in box.measured.values()], notes


class FastIsFaster:
    """Measures: what is called fast is twice as fast; None of it runs where `problem` is set."""

    def __init__(self, job: PairJob, problem: Exception | None) -> None:
        self._job = job
        self._problem = problem
        self.cpu_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        pass

    def round(self) -> Round:
        if self._problem is not None:
            raise self._problem
        base, other = (50.0 if one.artifact == "slow/fp32" else 100.0 for one in self._job.settings)
        return Round(base=Figures(fps=base, latency_ms=1, cpu_ms=1), other=Figures(fps=other, latency_ms=1, cpu_ms=1))


class TuningBox(FakeBox):
    """Measures with the real tuner, on figures that are made up."""

    problem: Exception | None = None

    def measuring(self, ground: Ground, served: Any) -> Any:
        def pair(job: PairJob, _: Callable[[], bool]) -> FastIsFaster:
            return FastIsFaster(job, self.problem)

        return Tuner(ground, served, lambda: Frames(1, 0), settle=0.0, pair=pair, turn=threading.Lock())


def tuning_box(folder: Path, problem: Exception | None = None) -> TuningBox:
    box = TuningBox(box_of(folder).config, {})
    box.problem = problem
    return box


def test_a_bundle_that_nobody_has_measured_is(tmp_path: Path) -> None:
    assert measured(box_of(tmp_path), ground_of(tmp_path))[0] == [["start", "stop"]]


@pytest.mark.parametrize(("minutes", "wanted"), [(0.0, {}), (10.0, {"tune": False})])
def test_where_it_is_not_asked_for_nothing_is_measured(
    tmp_path: Path, minutes: float, wanted: dict[str, object]
) -> None:
    assert measured(box_of(tmp_path, minutes), ground_of(tmp_path, **wanted)) == ([], [])


def test_it_ends_with_its_time_and_how_far_it_is_was_told(tmp_path: Path) -> None:
    box = box_of(tmp_path, minutes=0.001)
    box.hangs = True
    calls, notes = measured(box, ground_of(tmp_path))
    assert calls == [["start", "stop"]]
    assert set(notes) == {("measuring which setting of fake 1.0.0 is best here", 0.5)}


def test_an_update_that_is_stopped_measures_no_more(tmp_path: Path) -> None:
    box = box_of(tmp_path)
    box.hangs = True
    with pytest.raises(UpdateStoppedError):
        measured(box, ground_of(tmp_path), lambda: True)
    assert [one.calls for one in box.measured.values()] == [["start", "stop"]]


def test_what_is_best_is_known_before_it_takes_over_and_is_not_measured_again(tmp_path: Path) -> None:
    measured(tuning_box(tmp_path), ground_of(tmp_path))
    anew = ground_of(tmp_path)  # as the takeover opens it
    tuned, preference = anew.known(), anew.preference()
    assert tuned is not None
    assert tuned.refused is None, "nothing has refused it yet"
    assert preference is not None
    assert preference.first.artifact == "fast/fp32"
    again = box_of(tmp_path)
    assert measured(again, anew)[0] == [], "a start after a kill finds it"


@pytest.mark.parametrize("problem", [DeviceError("the measuring process ended with -9"), ZeroDivisionError()])
def test_what_fails_in_measuring_leaves_the_bundle_as_it_is(tmp_path: Path, problem: Exception) -> None:
    ground = ground_of(tmp_path)
    measured(tuning_box(tmp_path, problem), ground)
    assert ground.known() is None


def test_who_stands_for_a_bundle_has_its_first_setting_until_more_is_known(tmp_path: Path) -> None:
    stand = Stand(ground_of(tmp_path))
    assert stand.setting is not None
    assert stand.setting.artifact == "slow/fp32"
    stand.reconsider()
    assert stand.setting.artifact == "slow/fp32"
