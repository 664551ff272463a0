"""Documents on their way to boxes through a real broker: whatever forgets, each box ends with what it should run."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.desired import DesiredModel
from fleet.inventory.device import Device
from fleet.publishing.options import keyring
from fleet.store import wanted as store
from fleet.store.audit import Author
from fleet.store.database import Database
from fleet.wanted.restoring import NothingAheadError, restored
from fleet.wanted.rules import NOTHING
from fleet.wanted.signing import unsigned
from fleet.wanted.writing import WantedWriter
from tests.e2e.agents import run_cli
from tests.fakes.fleet import facts, hello
from tests.integration.brokers import Mosquitto, Watcher, mosquitto, wait_until
from tests.integration.test_fleet_inventory import Serving

__all__ = ["mosquitto"]
DAY_MS = 86_400_000
MODEL = DesiredModel(name="cars", version="2", manifest="f" * 64)


def give(database: Database) -> None:
    """Have box-1 run a model."""
    with database.writing() as connection:
        devices = store.lock_devices(connection, ["box-1"])
        now_ms = time.time_ns() // 1_000_000
        WantedWriter(unsigned, DAY_MS).write(connection, devices, lambda _: NOTHING, now_ms, {"box-1": {"main": MODEL}})


def documents(watcher: Watcher) -> list[dict[str, Any]]:
    return [json.loads(payload) for payload in watcher.payloads("/desired") if payload]


def known(database: Database, told: Callable[[Device], object] = bool) -> None:
    def found() -> bool:
        with database.reading() as connection:
            device = store.lock_devices(connection, ["box-1"]).get("box-1")
        return device is not None and bool(told(device))

    wait_until(found)


@pytest.fixture
def serving(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[Serving]:
    with Serving(tmp_path, mosquitto.port, "--takeover", "1") as serving:
        yield serving


def test_a_document_is_published_retained_and_again_when_a_box_says_that_it_has_none(
    serving: Serving, mosquitto: Mosquitto
) -> None:
    serving.start()
    with Watcher(mosquitto.port, "edgetally/v1/+/desired") as watcher:
        watcher.publish(*hello())
        database = Database(str(serving.database))
        known(database)
        give(database)
        watcher.wait_for(lambda: len(documents(watcher)) == 1)
        first = documents(watcher)[0]
        assert (first["device"], first["model_revision"]) == ("box-1", 1)
        assert first["models"] == {"main": MODEL.model_dump()}
        watcher.publish(*hello(epoch=first["epoch"], config_revision=1, model_revision=1))  # it has it
        watcher.publish(*hello(boot="boot-2"))  # it lost it
        watcher.wait_for(lambda: len(documents(watcher)) == 2)
        assert documents(watcher)[1] == first
    with Watcher(mosquitto.port, "edgetally/v1/+/desired") as late:
        late.wait_for(lambda: documents(late) == [first])


def test_a_broker_that_forgot_everything_loses_nothing(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path).start()
    with Serving(tmp_path, broker.port, "--takeover", "1") as serving:
        serving.start()
        with Watcher(broker.port) as watcher:
            watcher.publish(*hello())
            database = Database(str(serving.database))
            known(database)
            give(database)
            watcher.wait_for(lambda: len(documents(watcher)) == 1)
            broker.kill()
            watcher.wait_for(lambda: watcher.is_lost)
        broker.start()  # it keeps nothing on the disk
        with Watcher(broker.port) as box:
            wait_until(lambda: serving.said("connected to") == 2)
            box.publish(*hello(boot="boot-2"))
            box.wait_for(lambda: [one["model_revision"] for one in documents(box)] == [1])
    broker.stop()


def test_where_a_controller_is_killed_another_one_goes_on(tmp_path: Path, mosquitto: Mosquitto) -> None:
    with (
        Serving(tmp_path, mosquitto.port, "--takeover", "1") as first,
        Serving(tmp_path, mosquitto.port, "--takeover", "1", log="second.log") as second,
        Watcher(mosquitto.port, "edgetally/v1/+/desired") as watcher,
    ):
        first.start()
        second.start(until="stands by")
        watcher.publish(*hello())
        database = Database(str(first.database))
        known(database)
        first.end(signal.SIGKILL)
        give(database)
        watcher.publish(*facts(labels={"site": "taipei"}))  # kept by the broker for whoever goes on
        watcher.wait_for(lambda: len(documents(watcher)) == 1)
        known(database, lambda device: device.labels == {"site": "taipei"})


def test_a_restored_database_is_noticed_and_boxes_take_its_documents_once_a_person_says_so(
    serving: Serving, mosquitto: Mosquitto
) -> None:
    serving.start()
    with Watcher(mosquitto.port, "edgetally/v1/+/desired") as watcher:
        watcher.publish(*hello())
        database = Database(str(serving.database))
        known(database)
        give(database)
        watcher.wait_for(lambda: len(documents(watcher)) == 1)
        epoch = documents(watcher)[0]["epoch"]
        author = Author("ada", "cli")
        with pytest.raises(NothingAheadError):
            restored(database, author, time.time_ns() // 1_000_000)
        watcher.publish(*hello(epoch=epoch, config_revision=9))  # given since the backup
        known(database, lambda device: device.config_revision == 9)
        done = run_cli("fleet.cli", "database", "restored", "-d", serving.database, "--json", "--as", "ada")
        told = json.loads(done.stdout)
        assert (told["ahead"], told["epoch"] > epoch) == (1, True)
        watcher.wait_for(lambda: len(documents(watcher)) == 2)
        assert documents(watcher)[1]["epoch"] == told["epoch"]


def test_documents_are_signed_with_an_operator_s_key(tmp_path: Path, mosquitto: Mosquitto) -> None:
    keys = tmp_path / "keys"
    run_cli("fleet.cli", "keys", "create", "--dir", keys, "--unencrypted")
    operators = {info.keyid for info in keyring(keys, None).of("operator")}
    with (
        Serving(tmp_path, mosquitto.port, "--keys", str(keys)) as serving,
        Watcher(mosquitto.port, "edgetally/v1/+/desired") as watcher,
    ):
        serving.start()
        watcher.publish(*hello())
        database = Database(str(serving.database))
        known(database)
        give(database)
        with database.writing() as connection:  # as if most of its life were over: it is made anew
            connection.exec_driver_sql("UPDATE wanted SET expires_ms = 1")
        watcher.wait_for(lambda: documents(watcher) and "signatures" in documents(watcher)[-1])
        assert {one["keyid"] for one in documents(watcher)[-1]["signatures"]} <= operators
