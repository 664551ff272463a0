"""Two hundred simulated boxes and a real broker; the test publishes what they should run."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from contracts.desired import Reported
from contracts.messages import FactsMessage
from fleet.clock import wall_ms
from tests.integration.brokers import PATIENCE, Mosquitto, Watcher, wait_until
from tools.fleet_sim.__main__ import app
from tools.fleet_sim.box import World
from tools.fleet_sim.clock import FastClock
from tools.fleet_sim.driver import Driver, document_of
from tools.fleet_sim.measuring import measure
from tools.fleet_sim.scenario import Scenario
from tools.fleet_sim.scenarios import CLASSES, HIT, scenarios
from tools.fleet_sim.swarm import Swarm
from tools.fleet_sim.truth import problems
from tools.fleet_sim.updating import NEW, OLD

BOXES = 200
SECONDS = dict.fromkeys(
    ("resolve", "fetch", "verify", "prepare", "selftest", "activate", "probation", "rolling_back"), 0.05
)
BAD = {"refuses": 0.1, "fails": 0.2, "silent": 0.1, "crashes": 0.1, "degrades": 0.1}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    started = Mosquitto(tmp_path, ("allow_anonymous true", "max_queued_messages 0")).start()
    yield started
    started.stop()


def scenario(fates: Mapping[str, float] = {}, hit: Mapping[str, Any] = {}, **more: Any) -> Scenario:
    """All classes, the first with these fates."""
    plain = [each.model_dump() for each in CLASSES]
    plain[0] |= {"fates": dict(fates), **hit}
    usual = {"name": "mine", "class": plain, "state_seconds": SECONDS, "count_seconds": 0, "sites": 7}
    return Scenario.model_validate(usual | more)


def simulate(port: int, what: Scenario, do: Callable[[Swarm, Driver], Awaitable[None]]) -> list[str]:
    """Connect the boxes, do something, wait until nothing moves, and say what is wrong."""

    async def main() -> list[str]:
        swarm, driver = Swarm(World(port, FastClock(wall_ms()), what), BOXES), Driver(port)
        try:
            await swarm.connect()
            await until(lambda: all(box.messages_out for box in swarm.boxes.values()))
            await driver.connect()
            await do(swarm, driver)
            assert await swarm.settle(PATIENCE)
            return problems(box.truth for box in swarm.boxes.values())
        finally:
            driver.close()
            await swarm.close()

    return asyncio.run(main())


async def offer(swarm: Swarm, driver: Driver, revision: int, model: Any = NEW) -> None:
    """Ask every box for a model, and wait until each came to an end or died."""
    await driver.publish((device, document_of(device, model, revision)) for device in swarm.boxes)
    truths = [box.truth for box in swarm.boxes.values()]
    await until(lambda: all(one.away or one.ended_for == (1, revision) for one in truths))


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.02)


def test_boxes_end_as_their_fates_say_and_say_so(broker: Mosquitto) -> None:
    ends: Counter[tuple[str, str | None]] = Counter()

    async def good(swarm: Swarm, driver: Driver) -> None:
        await offer(swarm, driver, 1)
        ends.update((box.truth.fate, box.truth.end) for box in swarm.boxes.values())

    with Watcher(broker.port, "edgetally/v1/+/+") as watcher:
        assert simulate(broker.port, scenario(BAD), good) == []
        silent = 8
        watcher.wait_for(lambda: sum(b'"offline"' in one for one in watcher.payloads("/status")) >= silent)
        wait_until(lambda: told(watcher) == TOLD)
        facts = [FactsMessage.model_validate_json(one) for one in watcher.payloads("/facts")]
    assert ends == {
        ("good", "committed"): 152, ("refuses", "rejected"): 8, ("fails", "rolled_back"): 16, ("silent", None): silent,
        ("crashes", "rollback_failed"): 8, ("degrades", "committed"): 8,
    }  # fmt: skip
    assert {one.labels["site"] for one in facts} == {f"site-{n}" for n in range(7)}


TOLD = {"committed": 160, "rejected": 8, "rolled_back": 16, "activate": 8, "rollback_failed": 8}


def told(watcher: Watcher) -> Counter[str]:
    """Where the newest attempts of boxes stand, by what they reported last."""
    last = {one.device: one for one in map(Reported.model_validate_json, watcher.payloads("/reported"))}
    return Counter(one.update.state for one in last.values() if one.update is not None)


def test_boxes_that_die_of_a_model_and_start_again_go_back_by_themselves(broker: Mosquitto) -> None:
    async def wait_for_them(swarm: Swarm, driver: Driver) -> None:
        await offer(swarm, driver, 1)
        await until(lambda: all(box.truth.end for box in swarm.boxes.values()))
        for box in swarm.boxes.values():
            if box.truth.fate == "silent":
                assert (box.truth.end, box.truth.running) == ("rolled_back", OLD.manifest)

    assert simulate(broker.port, scenario({"silent": 0.5}, {"silent_for": 0.2}), wait_for_them) == []


def test_a_model_that_is_taken_back_is_gone_from_every_box(broker: Mosquitto) -> None:
    async def back(swarm: Swarm, driver: Driver) -> None:
        await offer(swarm, driver, 1)
        await offer(swarm, driver, 2, OLD)
        assert {box.truth.running for box in swarm.boxes.values()} == {OLD.manifest}

    assert simulate(broker.port, scenario(), back) == []


def test_boxes_come_to_their_end_over_links_that_flap(broker: Mosquitto) -> None:
    async def flap(swarm: Swarm, driver: Driver) -> None:
        await offer(swarm, driver, 1)
        await until(lambda: len(watcher.payloads("/hello")) >= BOXES + 20)

    what = scenario(flaps_per_hour=300, flap_seconds=0.1)
    with Watcher(broker.port, "edgetally/v1/+/hello") as watcher:
        assert simulate(broker.port, what, flap) == []
        hellos = [json.loads(one) for one in watcher.payloads("/hello")]
    assert len({one["boot_id"] for one in hellos}) == BOXES, "a lost link is no start"


def test_a_broker_that_was_killed_gets_its_boxes_back(broker: Mosquitto) -> None:
    async def kill(swarm: Swarm, driver: Driver) -> None:
        driver.close()
        await asyncio.to_thread(broker.kill)
        await until(lambda: len(swarm.lost) == BOXES)
        await asyncio.to_thread(broker.start)
        await until(lambda: not swarm.lost)
        await driver.connect()
        await offer(swarm, driver, 1)

    assert simulate(broker.port, scenario(), kill) == []


def test_a_document_that_is_not_for_a_box_is_refused_and_found(broker: Mosquitto) -> None:
    async def swap(swarm: Swarm, driver: Driver) -> None:
        one, other = list(swarm.boxes)[:2]
        await driver.publish([(one, document_of(other, NEW, 1))])
        await until(lambda: swarm.boxes[one].truth.problems)
        assert swarm.boxes[one].truth.running == OLD.manifest

    assert [text.partition(": ")[2] for text in simulate(broker.port, scenario(), swap)] == [
        "a document was refused: wrong_device"
    ]


def test_the_command_says_what_happened(broker: Mosquitto, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    arguments = ["run", "good", "--broker", f"127.0.0.1:{broker.port}", "--devices", "20", "--seconds", "0"]
    done = CliRunner().invoke(app, [*arguments, "--report", str(out)], catch_exceptions=False)
    assert done.exit_code == 0
    found = json.loads(out.read_text())
    assert (found["online"], found["problems"]) == (20, [])
    assert Counter(box["hardware_class"] for box in found["boxes"])[HIT] == 8


def test_what_it_costs_is_measured(broker: Mosquitto) -> None:
    assert broker.is_running  # else there is no Mosquitto here
    what = scenarios()["good"].model_copy(update={"state_seconds": SECONDS})
    found = measure(what, 20, idle=0.0)
    assert found.problems == []
    assert list(found.seconds) == ["connecting", "idle", "wave"]
    assert found.sent["wave"] >= 20 * 8
