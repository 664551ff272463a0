"""Two hundred simulated boxes, a real broker and a real controller, which is killed in the middle of every rollout."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.messages import Status
from tests.integration.brokers import Mosquitto, Watcher
from tools.fleet_sim.box import SimBox, World
from tools.fleet_sim.clock import FastClock
from tools.fleet_sim.run import Result, Run, Stage
from tools.fleet_sim.scenario import Scenario
from tools.fleet_sim.scenarios import CLASSES, HIT, scenarios
from tools.fleet_sim.servers import Cost
from tools.fleet_sim.truth import BoxTruth

BOXES = 200
SECONDS = {"fetch": 0.2, "prepare": 0.2, "probation": 0.3}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    started = Mosquitto(tmp_path, ("allow_anonymous true", "max_queued_messages 0")).start()
    yield started
    started.stop()


def run(name: str, broker: Mosquitto, folder: Path, **more: object) -> Result:
    """A run on SQLite with one controller, so that the one that is killed is that one."""
    usual = {"state_seconds": SECONDS, "rollout": {"waves": "1,25%,100%", "soak_seconds": 0, "on_halt": "revert"}}
    scenario = scenarios()[name].model_copy(update={**usual, **more})
    stage = Stage(broker.port, str(folder / "fleet.db"), folder, lambda: {"broker": Cost()}, controllers=1)
    return asyncio.run(Run(stage, scenario, BOXES).go())


def test_a_good_model_gets_to_every_box_though_the_controller_is_killed(broker: Mosquitto, tmp_path: Path) -> None:
    result = run("good", broker, tmp_path)
    assert result.problems == []
    assert (result.state, result.exposed, result.harmed) == ("completed", BOXES, 0)
    assert result.killed_after is not None


def test_boxes_that_were_away_get_it_once_they_are_back(broker: Mosquitto, tmp_path: Path) -> None:
    result = run("offline", broker, tmp_path, returns_after=2.0)
    assert result.problems == []
    assert (result.state, result.exposed) == ("completed", BOXES)


def test_a_class_that_fails_is_halted_and_gets_back_what_it_ran_while_the_others_go_on(
    broker: Mosquitto, tmp_path: Path
) -> None:
    result = run("fails-100", broker, tmp_path)
    assert result.problems == []
    assert result.harmed == 1, "the canary, and no other box of its class"
    assert {name: text.split()[0] for name, text in result.classes.items()} == {
        each.name: "reverted" if each.name == HIT else "passed" for each in CLASSES
    }
    assert result.exposed == 1 + round(BOXES * sum(each.share for each in CLASSES if each.name != HIT))


def test_a_box_that_is_cut_is_said_to_be_offline_by_its_will(broker: Mosquitto) -> None:
    async def connect_and_cut() -> None:
        scenario = Scenario.model_validate({"name": "one", "class": [CLASSES[0].model_copy(update={"share": 1.0})]})
        world = World(broker.port, FastClock(0), scenario)
        box = SimBox(world, scenario.classes[0], BoxTruth("box-1", HIT, "good", "0" * 64))
        await box.connect()
        while not box.online or box.is_busy:  # noqa: ASYNC110 - a box tells nobody
            await asyncio.sleep(0.01)
        box.cut()
        await asyncio.sleep(0)

    with Watcher(broker.port, "edgetally/v1/+/status") as watcher:
        asyncio.run(connect_and_cut())
        watcher.wait_for(lambda: len(watcher.payloads("/status")) == 2)
        said = [Status.model_validate_json(payload) for payload in watcher.payloads("/status")]
    assert [(one.status, one.at is None) for one in said] == [("online", False), ("offline", True)]
