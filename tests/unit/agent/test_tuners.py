"""Each model that is to be tuned has a tuner, and only one of them measures at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.slots import Slots
from agent.tuners import Tuners
from agent.tuning.pace import Frames
from agent.tuning.tuner import Tuner
from agent.update.ahead import Stand
from contracts.config import AgentConfig
from tests.fakes.bundles import make_bundle

PATIENCE = 30.0  # seconds


class Rig:
    """Two models that count nothing yet, of which ``side`` is not to be tuned."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        document = {
            "device": "box-1",
            "bundle": str(make_bundle(folder / "main")),
            "state_dir": str(folder / "state"),
            "broker": {"host": "127.0.0.1"},
            "models": {"side": {"bundle": str(make_bundle(folder / "side")), "runtime": {"tune": False}}},
            "camera": [{"id": "gate", "source": "synthetic"}],
        }
        self.slots = Slots(AgentConfig.model_validate(document), {"cpu.count": 1}, lambda: None)
        self.tuners = Tuners(self.slots, lambda: Frames(0, 0))
        self.begun: list[Tuner] = []
        start = Tuner.start

        def noted(tuner: Tuner) -> None:
            self.begun.append(tuner)
            start(tuner)

        monkeypatch.setattr(Tuner, "start", noted)


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    return Rig(tmp_path, monkeypatch)


def test_only_what_is_to_be_tuned_is(rig: Rig) -> None:
    rig.tuners.start()
    assert [one._ground for one in rig.begun] == [rig.slots["main"].ground]
    rig.tuners.stop(PATIENCE)
    assert all(one.wait(0.0) for one in rig.begun), "they ended"


def test_another_bundle_of_a_slot_has_a_tuner_of_its_own_and_the_one_before_ends(rig: Rig) -> None:
    rig.tuners.start()
    rig.tuners.renew("main")
    first, second = rig.begun
    assert first.wait(PATIENCE)
    assert not second.wait(0.0)
    rig.tuners.stop(PATIENCE)
    assert second.wait(PATIENCE)


def test_before_the_start_and_after_the_end_nothing_is_begun(rig: Rig) -> None:
    rig.tuners.renew("main")
    rig.tuners.start()
    rig.tuners.stop(PATIENCE)
    rig.tuners.stop(PATIENCE)
    rig.tuners.renew("main")
    assert len(rig.begun) == 1


def test_a_bundle_that_does_not_count_yet_is_measured_in_turn_with_those_that_do(rig: Rig) -> None:
    ground = rig.slots["main"].ground
    rig.tuners.start()
    ahead = rig.tuners.ahead(ground, Stand(ground))
    assert ahead not in rig.begun, "whoever asks starts it"
    assert ahead._turn is rig.begun[0]._turn
    rig.tuners.stop(PATIENCE)
