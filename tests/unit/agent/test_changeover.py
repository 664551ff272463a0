"""Other models take over in the daemon's thread, which waits for nothing that may take long."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from agent.camera_set import CameraSet
from agent.changeover import Changeover, counts_alike
from agent.counting.clock import ClockWindow, WindowClock
from agent.errands import AgentEndsError, Errands
from agent.model import LoadedModel, Selection
from agent.slots import Slots
from agent.tuners import Tuners
from agent.tuning.pace import Frames
from agent.update.box import Opened
from contracts.config import AgentConfig
from contracts.errors import EdgetallyError
from contracts.model_spec import ModelSpec
from runtime.results import Tensors
from tests.fakes.bundles import make_bundle

PATIENCE = 30.0  # seconds
SPEC: dict[str, object] = {
    "name": "m",
    "version": "1.0.0",
    "labels": ["vehicle"],
    "input": {"width": 64, "height": 64},
    "output": {"decoder": "density"},
}


class IdleLane:
    def __init__(self) -> None:
        self.closed = False

    def infer(self, tensors: Tensors) -> Tensors:
        raise AssertionError("no frame was given")

    def close(self) -> None:
        self.closed = True


class Rig:
    """An agent of two models without cameras; its daemon's thread is whoever calls `turn`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        document = {
            "device": "box-1",
            "state_dir": str(folder / "state"),
            "broker": {"host": "127.0.0.1"},
            "bundle": str(self._bundle("main")),
            "models": {"side": {"bundle": str(self._bundle("side"))}},
            "camera": [{"id": "gate", "source": "synthetic"}],  # not opened
        }
        config = AgentConfig.model_validate(document)
        self.slots = Slots(config, {"cpu.count": 1}, lambda: None)
        self.asked = threading.Semaphore(0)
        self.errands = Errands(self.asked.release)
        self.changed: list[Sequence[str]] = []
        self.box = Changeover(
            facts={"cpu.count": 1},
            current=lambda: config,
            slots=self.slots,
            cameras=CameraSet(self.slots, "box-1"),
            tuners=Tuners(self.slots, lambda: Frames(0, 0)),
            errands=self.errands,
            window=_no_window,
            commit=lambda _: None,
            changed=self.changed.append,
        )

    def opened(self, slot: str, version: str) -> Opened:
        ground = self.box.ground(slot, self._bundle(slot, version))
        manifest = ground.bundle.manifest
        model = LoadedModel(manifest.model, manifest.artifacts[0], "f32", (IdleLane(),))
        return Opened(ground, Selection(manifest.model.name, model, ()))

    def turn(self) -> None:
        """As the daemon's thread does once it was woken."""
        assert self.asked.acquire(timeout=PATIENCE)
        self.errands.turn()

    def versions(self) -> dict[str, str]:
        return {name: spec.version for name, spec in self.slots.specs.items()}

    def _bundle(self, name: str, version: str = "1.0.0") -> Path:
        folder = self.folder / f"{name}-{version}"
        return make_bundle(folder, model=SPEC | {"name": name, "version": version})


def _no_window() -> ClockWindow:
    return WindowClock(10.0, 0.0, 0.0).window


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.errands.close()
    made.slots.stop(PATIENCE)


class Asking:
    """Another thread that waits for something."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.result: object = None
        self._work = work
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait(self) -> object:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return self.result

    def _run(self) -> None:
        try:
            self.result = self._work()
        except EdgetallyError as error:
            self.result = error


def test_all_models_change_within_one_turn_of_the_daemon_and_it_is_told_which(rig: Rig) -> None:
    asking = Asking(lambda: rig.box.flip({name: rig.opened(name, "2.0.0") for name in ("main", "side")}))
    rig.turn()
    assert list(asking.wait()) == []  # type: ignore[call-overload]
    assert rig.versions() == {"main": "2.0.0", "side": "2.0.0"}
    assert rig.changed == [["main", "side"]]
    assert {name: path.name for name, path in rig.box.counts_with().items()} == {
        "main": "main-2.0.0",
        "side": "side-2.0.0",
    }


def test_the_daemon_is_not_asked_before_a_choice_under_way_is_over(rig: Rig) -> None:
    chooses, go_on = threading.Event(), threading.Event()
    first = rig.opened("main", "1.0.0").selection

    def select(serving: LoadedModel | None) -> Selection:
        del serving
        chooses.set()
        assert go_on.wait(PATIENCE)
        return first

    serving = rig.slots["main"].serving
    serving._select = select
    choice = Asking(serving.reconsider)
    assert chooses.wait(PATIENCE)
    asking = Asking(lambda: rig.box.flip({"main": rig.opened("main", "2.0.0")}))
    assert not rig.asked.acquire(timeout=0.2), "the daemon's thread would wait with it"
    go_on.set()
    choice.wait()
    rig.turn()
    asking.wait()
    assert rig.versions()["main"] == "2.0.0"
    assert first.model is not None
    assert all(isinstance(one, IdleLane) and one.closed for one in first.model.lanes), "what was chosen before it"


def test_where_the_agent_ends_nothing_takes_over_and_a_choice_can_be_made_again(rig: Rig) -> None:
    rig.errands.close()
    answer = Asking(lambda: rig.box.flip({"main": rig.opened("main", "2.0.0")})).wait()
    assert isinstance(answer, AgentEndsError)
    assert rig.versions()["main"] == "1.0.0"
    with rig.slots["main"].serving.held():
        pass


def test_one_that_cannot_take_over_leaves_those_before_it_changed_and_says_which(rig: Rig) -> None:
    nothing = Opened(rig.opened("side", "2.0.0").ground, Selection("side", None, ()))
    asking = Asking(lambda: rig.box.flip({"main": rig.opened("main", "2.0.0"), "side": nothing}))
    rig.turn()
    assert isinstance(asking.wait(), Exception)
    assert rig.versions() == {"main": "2.0.0", "side": "1.0.0"}
    assert rig.changed == [["main"]]


def test_cameras_go_on_only_where_frames_and_results_are_alike() -> None:
    def spec(**changes: object) -> ModelSpec:
        return ModelSpec.model_validate(SPEC | changes)

    assert counts_alike(spec(), spec(version="2.0.0"))
    assert not counts_alike(spec(), spec(input={"width": 96, "height": 64}))
    assert not counts_alike(spec(), spec(labels=["person"]))
