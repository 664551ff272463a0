"""What serves goes on until a better one has been proven beside it, whatever happens on the way."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.cameras.slot import FrameSlot
from agent.engines.build import BuildNeeded
from agent.engines.key import EngineKey
from agent.engines.supply import Awaited
from agent.lanes import LanePool, Stream
from agent.model import LoadedModel, Selection
from agent.serving import Serving
from contracts.errors import DeviceError, NoArtifactFitsError
from contracts.messages import Considered
from runtime.bundle import open_bundle
from runtime.decoders.table import open_decoder
from runtime.results import Tensors
from runtime.tensorrt.build import BuildProgress
from tests.fakes.bundles import artifact, make_bundle

PATIENCE = 30.0  # seconds


class ClosingLane:
    def __init__(self) -> None:
        self.closed = False

    def infer(self, tensors: Tensors) -> Tensors:
        raise AssertionError("no frame was given")

    def close(self) -> None:
        self.closed = True


class Stage:
    """A bundle of two artifacts of which the first needs an engine; what is chosen and built is the test's."""

    def __init__(self, root: Path) -> None:
        rows = [artifact(root, "jetson/int8"), artifact(root, "cpu/fp32")]
        self.manifest = open_bundle(make_bundle(root, rows)).manifest
        self.selections: list[Selection | Exception] = []
        self.build: Callable[[], None] = lambda: None
        self.changes = 0
        self.built = 0
        self.seen: list[LoadedModel | None] = []
        self.pool = LanePool([], threading.Condition())
        self.serving = Serving(self.pool, self._select, self._build, self._changed)

    def model(self, number: int) -> LoadedModel:
        return LoadedModel(self.manifest.model, self.manifest.artifacts[number], "f32", (ClosingLane(),))

    def awaited(self, seconds: float = 0.0) -> Awaited:
        first = self.manifest.artifacts[0]
        return Awaited(BuildNeeded("fake", EngineKey("10.3", "87", first.digest, "r"), first), seconds)

    def selection(self, model: LoadedModel | None, *awaited: Awaited, why: str = "") -> Selection:
        considered = (Considered(artifact="jetson/int8", refused=why), Considered(artifact="cpu/fp32", refused=None))
        return Selection("fake", model, considered, awaited)

    def start(self, *selections: Selection | Exception) -> None:
        self.selections = list(selections)
        self.serving.start()

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline
            threading.Event().wait(0.002)

    def _select(self, serving: LoadedModel | None) -> Selection:
        self.seen.append(serving)
        chosen = self.selections.pop(0)
        if isinstance(chosen, Exception):
            raise chosen
        return chosen

    def _build(
        self, needed: BuildNeeded, note: Callable[[BuildProgress], None], cancelled: Callable[[], bool]
    ) -> object:
        self.built += 1
        note(BuildProgress(1.5, 0.25, "phase"))
        self.build()
        return None

    def _changed(self) -> None:
        self.changes += 1


def _wait(end: threading.Event) -> None:
    assert end.wait(PATIENCE)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path / "b")
    yield made
    made.serving.stop(PATIENCE)


def lane(model: LoadedModel) -> ClosingLane:
    (found,) = model.lanes
    assert isinstance(found, ClosingLane)
    return found


def test_the_better_one_takes_over_and_the_one_before_is_closed(stage: Stage) -> None:
    first, second = stage.model(1), stage.model(0)
    stage.start(stage.selection(first, stage.awaited()), stage.selection(second))
    stage.until(lambda: stage.changes == 1)
    assert stage.seen == [None, first]
    assert stage.serving.form == second.form
    assert lane(first).closed
    assert not lane(second).closed
    stage.serving.stop(PATIENCE)
    assert lane(second).closed


def test_the_progress_is_told_while_it_is_built(stage: Stage) -> None:
    told: list[object] = []
    stage.build = lambda: told.append(stage.serving.progress)
    stage.start(stage.selection(stage.model(1), stage.awaited()), stage.selection(stage.model(0)))
    stage.until(lambda: stage.changes == 1)
    (progress,) = told
    assert str(progress) == "artifact='jetson/int8' seconds=1.5 fraction=0.25 phase='phase'"
    assert stage.serving.progress is None


@pytest.mark.parametrize("error", [DeviceError("no memory"), ZeroDivisionError("a bug")])
def test_a_build_that_fails_is_looked_at_again_and_what_serves_stays(stage: Stage, error: Exception) -> None:
    first = stage.model(1)

    def build() -> None:
        raise error

    stage.build = build
    stage.start(
        stage.selection(first, stage.awaited()), stage.selection(first, stage.awaited(math.inf), why="not built")
    )
    stage.until(lambda: stage.changes == 1)
    assert stage.serving.form == first.form
    assert not lane(first).closed
    assert stage.serving.considered[0].refused == "not built"
    assert stage.built == 1


@pytest.mark.parametrize("error", [DeviceError("the bundle is gone"), ZeroDivisionError("a bug")])
def test_where_it_cannot_be_looked_at_again_what_serves_stays_and_the_reason_is_told(
    stage: Stage, error: Exception
) -> None:
    first = stage.model(1)
    stage.start(stage.selection(first, stage.awaited()), error)
    stage.until(lambda: stage.changes == 1)
    assert stage.serving.form == first.form
    assert not lane(first).closed
    assert str(stage.serving.considered[0].refused).startswith("it cannot take over: ")
    assert stage.serving.considered[1].refused is None
    stage.serving.check(patient=False)


def test_one_that_the_lanes_refuse_is_closed_and_what_serves_stays(stage: Stage) -> None:
    first, second = stage.model(1), stage.model(0)
    other = second.spec.model_copy(update={"input": second.spec.input.model_copy(update={"width": 32})})
    refused = LoadedModel(other, second.artifact, "f32", second.lanes)
    stage.pool.add(Stream(FrameSlot(keep_all=False, on_ready=lambda: None), open_decoder, lambda *_: None))
    stage.start(stage.selection(first, stage.awaited()), stage.selection(refused))
    stage.until(lambda: stage.changes == 1)
    assert lane(refused).closed
    assert not lane(first).closed
    assert "frames of another size" in str(stage.serving.considered[0].refused)


def test_a_wait_is_waited_for_without_building(stage: Stage) -> None:
    stage.start(
        stage.selection(stage.model(1), stage.awaited(0.01)),
        stage.selection(stage.model(1), stage.awaited(math.inf)),
    )
    stage.until(lambda: stage.changes == 1)
    assert stage.built == 0


class TestNothingServes:
    """While nothing serves, that is said, and a run until the end does not wait for another day."""

    def test_a_build_under_way_is_waited_for(self, stage: Stage) -> None:
        end = threading.Event()
        stage.build = lambda: _wait(end)
        stage.start(stage.selection(None, stage.awaited()), stage.selection(stage.model(0)))
        assert stage.serving.form is None
        stage.serving.check(patient=False)
        end.set()
        stage.until(lambda: stage.serving.form is not None)

    def test_a_later_try_is_waited_for_only_by_the_patient(self, stage: Stage) -> None:
        stage.start(stage.selection(None, stage.awaited(3600.0), why="no memory"))
        stage.serving.check(patient=True)
        with pytest.raises(NoArtifactFitsError, match="no memory"):
            stage.serving.check(patient=False)

    def test_where_nothing_is_left_it_is_an_error(self, stage: Stage) -> None:
        gone = NoArtifactFitsError("fake", {"jetson/int8": "off by 0.5"})
        stage.start(stage.selection(None, stage.awaited()), gone)
        stage.until(lambda: stage.changes == 1)
        assert [one.refused for one in stage.serving.considered] == ["off by 0.5"]
        with pytest.raises(NoArtifactFitsError, match=r"off by 0\.5"):
            stage.serving.check(patient=True)

    def test_nothing_at_all_is_refused_at_once(self, stage: Stage) -> None:
        with pytest.raises(NoArtifactFitsError):
            stage.start(NoArtifactFitsError("fake", {}))


def test_a_model_that_comes_while_the_agent_ends_is_closed_and_runs_nowhere(stage: Stage) -> None:
    first, second = stage.model(1), stage.model(0)
    stopping = threading.Thread(target=lambda: stage.serving.stop(PATIENCE))
    select = stage._select

    def slow(serving: LoadedModel | None) -> Selection:
        if serving is not None:
            stopping.start()
            stage.until(stage.serving._stop.is_set)
        return select(serving)

    stage.serving._select = slow
    stage.start(stage.selection(first, stage.awaited()), stage.selection(second))
    stage.until(lambda: stopping.ident is not None)
    stopping.join(PATIENCE)
    stage.until(lambda: lane(second).closed)
    assert lane(first).closed
    assert stage.serving.form == first.form


class TestReconsider:
    """Who learnt something has it chosen again; that never ends what serves."""

    def test_the_better_one_takes_over(self, stage: Stage) -> None:
        first, second = stage.model(1), stage.model(0)
        stage.start(stage.selection(first), stage.selection(second))
        assert stage.serving.setting == first.setting
        stage.serving.reconsider()
        assert stage.serving.setting == second.setting
        assert lane(first).closed
        assert stage.changes == 1

    @pytest.mark.parametrize("error", [NoArtifactFitsError("fake", {}), DeviceError("the bundle is gone")])
    def test_where_that_fails_what_serves_goes_on(self, stage: Stage, error: Exception) -> None:
        first = stage.model(1)
        stage.start(stage.selection(first), error)
        stage.serving.reconsider()
        assert stage.serving.setting == first.setting
        assert not lane(first).closed

    def test_nothing_serves_before_an_engine_is_there(self, stage: Stage) -> None:
        stage.start(stage.selection(None, stage.awaited(3600.0)))
        assert stage.serving.setting is None
