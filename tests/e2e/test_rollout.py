"""Three boxes, each with another runtime, through two rollouts: of a good model, and of one that counts wrongly.

Everything is real: agents, broker, web server, keys, signatures, controllers. One road is made, so that the truth is
known after every frame, and one is filmed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from contracts.desired import Reported
from contracts.messages import CountReport
from fleet.rollout.view import RolloutView, view
from fleet.store.database import Database
from fleet.store.devices import DeviceStore
from fleet.store.tables import LEASE
from runtime.bundle import open_bundle
from tests.e2e.agents import Agent, reports, run_cli
from tests.e2e.roads import FilmedRoad, MadeRoad, Road
from tests.integration.brokers import Mosquitto, Watcher, wait_until
from tests.integration.nginx import nginx
from tests.integration.squares_everywhere import ARTIFACTS
from tests.integration.test_fleet_inventory import Serving
from tests.integration.test_update_fleet import Operator

# Frames come as fast as the machine has time for them, so their rate, and what is counted a second, say nothing here.
PROBATION = {"seconds": 2, "frames": 30, "max_celsius": 120, "min_fps_share": 0.05, "max_difference": 1}
UPDATE = {"probation": PROBATION, "keep_free_mb": 0}
ROLLOUT = ("--waves", "1,100%", "--soak", "1s", "--on-halt", "revert", "--yes", "--as", "ada")
STREET = '[labels]\nstreet = "${label.site} street, at ${device}"\n'


@dataclass
class Box:
    """A box of the fleet.

    Args:
        name: its id.
        artifact: that its runtime runs.
        watcher: of all that it publishes.
        keys: where the operators' keys are once it has them.
    """

    name: str
    artifact: str
    watcher: Watcher
    keys: Path

    def ends(self, version: str) -> list[tuple[str, str | None]]:
        """State and code of what became of each change to that version, in their order."""
        told = [Reported.model_validate_json(payload).update for payload in self.watcher.payloads("/reported")]
        return [
            (update.state, update.code)
            for update in told
            if update is not None and any(model.version == version for model in update.models.values())
        ]

    def counted(self) -> list[CountReport]:
        return [report for report in reports(self.watcher) if report.frames_seen]

    def counted_with(self) -> list[str]:
        """Artifacts that counted windows, in the order in which they began to."""
        digests = [report.artifact_digest for report in self.counted() if report.artifact_digest is not None]
        return list(dict.fromkeys(digests))

    def check_bill(self, road: Road) -> None:
        """No number is missing, no frame was left out, and the totals are those of the road."""
        found = reports(self.watcher)
        assert [report.seq for report in found] == list(range(1, len(found) + 1))
        assert len({report.lines["mid"].counter_id for report in found}) == 1
        assert not any(report.frames_dropped for report in found)
        last, frames = found[-1].lines["mid"], sum(report.frames_seen for report in found)
        assert (last.total_in, last.total_out) == road.crossed_after(frames)


class Fleet:
    """The operator's side.

    Args:
        operator: with keys and repository.
        road: that boxes count.
        file: the controllers' database, which they make.
    """

    def __init__(self, operator: Operator, road: Road, file: Path) -> None:
        self.operator = operator
        self.road = road
        self.file = file
        self.bundles: dict[str, Path] = {}

    @property
    def database(self) -> Database:
        return Database(str(self.file))

    def release(self, version: str, *, wrong: bool = False) -> dict[str, str]:
        """Release a model; returns the digest of each of its artifacts."""
        operator = self.operator
        bundle = self.bundles[version] = self.road.bundle(operator.folder, version, wrong=wrong)
        operator.run("publish", bundle, "--repository", operator.repository, "--keys", operator.keys)
        return digests(bundle)

    def run(self, *arguments: object) -> Any:
        done = run_cli("fleet.cli", *arguments, "--database", self.file, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def roll_out(self, version: str) -> int:
        where = ("--repository", self.operator.repository, "--keys", self.operator.keys)
        return int(self.run("rollout", "create", "--model", f"{self.road.model}@{version}", *where, *ROLLOUT)["id"])

    def wait_for(self, rollout: int, check: Callable[[RolloutView], object]) -> None:
        database = self.database

        def found() -> RolloutView:
            return view(database, rollout, time.time_ns() // 1_000_000)

        ends = {"halted", "completed", "reverted"}
        wait_until(lambda: check(found()) or found().rollout.state in ends, self.road.patience)
        assert check(found()), found()

    def talks_to_the_broker(self, serving: Serving) -> bool:
        """Whether it is that controller which does."""
        with self.database.reading() as connection:
            return f":{serving.pid}:" in str(connection.scalar(select(LEASE.c.holder)))


def digests(bundle: Path) -> dict[str, str]:
    return {artifact.id: artifact.digest for artifact in open_bundle(bundle).manifest.artifacts}


@pytest.fixture(params=[MadeRoad, pytest.param(FilmedRoad, marks=pytest.mark.slow)])
def fleet(tmp_path: Path, request: pytest.FixtureRequest) -> Fleet:
    (tmp_path / "operator").mkdir()
    return Fleet(Operator(tmp_path / "operator"), request.param(tmp_path), tmp_path / "fleet.db")


@pytest.fixture
def boxes(tmp_path: Path, mosquitto: Mosquitto, fleet: Fleet) -> Iterator[list[Box]]:
    """Three boxes that count, each with its own runtime and the first release."""
    fleet.release("1.0.0")
    operator = fleet.operator
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(nginx(operator.repository))
        found = []
        for number, artifact in enumerate(ARTIFACTS):
            folder = tmp_path / f"box-{number}"
            (folder / "state").mkdir(parents=True)
            shutil.copy(operator.keys / "root.json", folder / "state")
            settings = {
                "device": folder.name,
                "bundle": str(fleet.bundles["1.0.0"]),
                "broker": {"host": "127.0.0.1", "port": mosquitto.port},
                "state_seconds": 0.2,
                "labels": {"site": f"site-{number}"},
                "runtime": {"artifact": artifact, "lanes": 1, "threads": 1, "tune": False},
                "update": {"server": [server], "shadow": fleet.road.shadow, **UPDATE},
                "camera": [fleet.road.camera],
            }
            watcher = stack.enter_context(Watcher(mosquitto.port, f"edgetally/v1/{folder.name}/#"))
            agent = stack.enter_context(Agent(folder, settings))
            os.setpriority(os.PRIO_PROCESS, agent.pid, 19)  # they take all that is left to them
            found.append(Box(folder.name, artifact, watcher, folder / "state/operator-keys.json"))
        yield found


def configure(fleet: Fleet, boxes: list[Box], folder: Path) -> None:
    """Give the boxes a layer, and wait until each says by its labels that it runs it."""
    inventory = DeviceStore(fleet.database)
    wait_until(lambda: len([each for each in inventory.all() if each.device.models]) == len(boxes))
    (folder / "street.toml").write_text(STREET)
    fleet.run("config", "set", "fleet", folder / "street.toml", "--yes", "--as", "ada")
    expected = {f"site-{number} street, at {box.name}" for number, box in enumerate(boxes)}
    wait_until(lambda: {each.device.labels.get("street") for each in inventory.all()} == expected)


def check_running(fleet: Fleet, boxes: list[Box], release: dict[str, str]) -> None:
    running = {name: fleet.run("device", name)["models"]["main"] for name in (box.name for box in boxes)}
    assert {name: model["artifact_digest"] for name, model in running.items()} == {
        box.name: release[box.artifact] for box in boxes
    }


def check_told_why(fleet: Fleet, rollout: int) -> str:
    """What is told of the rollout that went wrong; returns which box was its canary."""
    shown = fleet.run("rollout", "show", rollout)
    (hardware_class,) = shown["classes"]
    why = "1 of 1 box failed, at most 1% may (counts_differ)"
    assert (shown["state"], shown["reason"]) == ("reverted", f"{hardware_class['hardware_class']}: {why}")
    assert (hardware_class["state"], hardware_class["wave"], hardware_class["reason"]) == ("reverted", 0, why)
    listed = fleet.run("rollout", "boxes", rollout)
    (canary,) = [box for box in listed if box["attempts"]]
    assert (canary["state"], canary["code"], canary["previous"]["version"]) == ("reverted", "counts_differ", "1.1.0")
    assert "the new model's sums are off" in canary["reason"]
    assert [box["state"] for box in listed].count("withdrawn") == len(listed) - 1
    return str(canary["device"])


def test_a_good_model_reaches_every_box_though_a_controller_is_killed_and_a_bad_one_ends_at_its_canary(
    tmp_path: Path, mosquitto: Mosquitto, fleet: Fleet, boxes: list[Box]
) -> None:
    options = ("--keys", str(fleet.operator.keys), "--takeover", "1")
    with (
        Serving(tmp_path, mosquitto.port, *options) as first,
        Serving(tmp_path, mosquitto.port, *options, log="second.log") as second,
    ):
        first.start()
        second.start(until="stands by")
        configure(fleet, boxes, tmp_path)
        assert all(box.keys.exists() for box in boxes), "so none takes a document that nobody signed"

        old, good = digests(fleet.bundles["1.0.0"]), fleet.release("1.1.0")
        number = fleet.roll_out("1.1.0")
        fleet.wait_for(number, lambda found: found.committed)
        dies, goes_on = (first, second) if fleet.talks_to_the_broker(first) else (second, first)
        dies.end(signal.SIGKILL)
        fleet.wait_for(number, lambda found: found.rollout.state == "completed")
        assert fleet.talks_to_the_broker(goes_on)
        check_running(fleet, boxes, good)
        assert [box.ends("1.1.0")[-1] for box in boxes] == [("committed", "committed")] * len(boxes)

        fleet.release("1.2.0", wrong=True)
        number = fleet.roll_out("1.2.0")
        fleet.wait_for(number, lambda found: found.rollout.state == "reverted")
        canary = check_told_why(fleet, number)
        check_running(fleet, boxes, good)
    assert {box.name for box in boxes if box.ends("1.2.0")} == {canary}
    for box in boxes:
        assert box.counted_with() == [old[box.artifact], good[box.artifact]]
        box.check_bill(fleet.road)
