"""The controller at a real broker: what boxes tell is known, and nothing that happens to it loses any of it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import Self

from contracts.config import BrokerConfig
from fleet.controller import Controller, ControllerSettings, Link
from fleet.ingest import Counts, Ingest, Inventory
from fleet.inventory.reading import CHANNELS, LARGEST_PAYLOAD
from fleet.rollout.observing import watch_rollouts
from fleet.store.count_reports import CountLog
from fleet.store.database import Database
from fleet.store.devices import DeviceStore
from fleet.store.errors import DatabaseError
from fleet.wanted.watching import wanted_watch
from tests.e2e.agents import ROOT, Agent, run_cli
from tests.fakes.fleet import Published, counted, facts, health, hello, reported, status
from tests.fakes.inventory import AlwaysLeads, MemoryCounts, MemoryInventory, NoOutbox
from tests.integration.brokers import Authority, Mosquitto, OldBroker, Watcher, mosquitto, wait_until
from tests.integration.squares import camera, write_bundle, write_pictures

__all__ = ["mosquitto"]
QUICK = ControllerSettings(flush=0.05, first_wait=0.05, longest_wait=0.2, connect=2.0, summary=3600.0)
LISTENING = "connected to"


class Serving:
    """``edgetally-fleet serve`` as a process of its own."""

    def __init__(
        self, folder: Path, port: int, *more: str, log: str = "serve.log", program: Sequence[str] = ("fleet.cli",)
    ) -> None:
        self.database = folder / "fleet.db"
        self.log = folder / log
        options = ["--broker", f"127.0.0.1:{port}", "--database", str(self.database)]
        self._command = [sys.executable, "-m", *program, "serve", *options, *more]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self.end(signal.SIGTERM)

    def start(self, until: str = LISTENING) -> None:
        before = self.said(until)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, cwd=ROOT)
        wait_until(lambda: self.said(until) > before)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def end(self, how: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(how)
        return self._process.wait(60)

    def said(self, text: str) -> int:
        return self.log.read_text().count(text) if self.log.exists() else 0


@contextlib.contextmanager
def running(port: int, inventory: Inventory, counts: Counts | None = None) -> Iterator[Ingest]:
    """A controller in a thread."""
    ingest, stop = Ingest(inventory, counts or MemoryCounts()), threading.Event()
    link = Link(BrokerConfig(host="127.0.0.1", port=port), "fleet", NoOutbox, AlwaysLeads())
    controller = Controller(link, ingest, stop.is_set, QUICK)
    thread = threading.Thread(target=controller.run)
    thread.start()
    try:
        yield ingest
    finally:
        stop.set()
        thread.join()


def publish(watcher: Watcher, *messages: Published, retain: bool = False) -> None:
    for topic, payload in messages:
        watcher.publish(topic, payload, retain=retain)


def test_boxes_are_listed_and_shown_with_what_they_told_before_and_while_it_runs(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    serving = Serving(tmp_path, mosquitto.port)
    with Watcher(mosquitto.port) as watcher:
        jetson = {"arch": "aarch64", "jetpack": "6.1", "gpu.sm": 87, "runtime.tensorrt": "10.3.0"}
        publish(
            watcher, facts("north", labels={"site": "taipei"}, facts=jetson), status("online", "north"), retain=True
        )
        serving.start()
        publish(watcher, hello("south"), facts("south", labels={"site": "tainan"}), health("south", ["clean the lens"]))
        store = DeviceStore(Database(str(serving.database)))
        wait_until(lambda: any(each.device.warnings for each in store.all()))
        wait_until(lambda: store.count() == 2)
    assert serving.end(signal.SIGTERM) == 0
    listed = json.loads(run_cli("fleet.cli", "devices", "-d", serving.database, "--json").stdout)
    north, south = listed
    assert (north["hardware_class"], north["online"], north["last_seen"]) == ("jetson-sm87-jp6", True, None)
    assert (south["labels"], south["version"]) == ({"site": "tainan"}, "1.0.0")
    assert south["last_seen"].endswith("Z")
    query = "site=taipei & target~jetson-*"
    table = run_cli("fleet.cli", "devices", query, "-d", serving.database).stdout
    assert "north" in table
    assert "south" not in table
    shown = run_cli("fleet.cli", "device", "south", "-d", serving.database).stdout
    assert "warning: gate: clean the lens" in shown
    assert "label.site: tainan" in shown
    wrong = run_cli("fleet.cli", "devices", "stie=taipei", "-d", serving.database)
    assert (wrong.returncode, "did you mean 'site'?" in wrong.stderr) == (2, True)
    unknown = run_cli("fleet.cli", "device", "sout", "-d", serving.database)
    assert (unknown.returncode, "did you mean 'south'?" in unknown.stderr) == (2, True)


def test_a_real_box_is_known_with_its_class_what_runs_and_that_it_left(tmp_path: Path, mosquitto: Mosquitto) -> None:
    settings: dict[str, Any] = {
        "bundle": str(write_bundle(tmp_path / "squares.bundle")),
        "broker": {"host": "127.0.0.1", "port": mosquitto.port},
        "labels": {"site": "taipei"},
        "camera": [camera(write_pictures(tmp_path / "road"))],
    }
    database = Database(str(tmp_path / "fleet.db"))
    store = DeviceStore(database)
    with running(mosquitto.port, store) as ingest:
        with Agent(tmp_path, settings, until_end=False):
            wait_until(lambda: (found := store.get("box-1")) and found.device.models and found.device.labels)
            found = store.get("box-1")
            assert found is not None
            assert found.device.labels == {"site": "taipei"}
            assert found.device.hardware_class != "unknown"
            assert found.device.version
            manifest = hashlib.sha256((tmp_path / "squares.bundle/manifest.json").read_bytes()).hexdigest()
            model = found.device.models["main"]
            assert (model.release, model.manifest) == ("squares@1.0.0", manifest)
            assert found.device.state == "local"
            assert found.last_seen_ms is not None
        wait_until(lambda: (found := store.get("box-1")) and found.device.online is False)
        assert not any(ingest.refused.values())
    database.close()


def test_kills_lose_nothing_that_a_box_told(tmp_path: Path) -> None:
    """Killed five times in the midst of 3,000 messages: all are in the database in the end."""
    broker = Mosquitto(tmp_path, ["allow_anonymous true", "max_queued_messages 0"]).start()
    serving = Serving(tmp_path, broker.port)
    serving.start()
    store = DeviceStore(Database(str(serving.database)))
    names = [f"box-{n}" for n in range(3_000)]
    with Watcher(broker.port, topic="nothing") as watcher:
        publisher = threading.Thread(target=watcher.publish_all, args=([hello(name) for name in names],))
        publisher.start()
        for at_least in (1, 300, 700, 1_200, 2_000):
            wait_until(partial(_counts, store, at_least))
            serving.end(signal.SIGKILL)
            serving.start()
        publisher.join()
        wait_until(lambda: store.count() == len(names))
    assert serving.end(signal.SIGTERM) == 0
    broker.stop()
    assert all(each.device.version == "1.0.0" for each in store.all())
    assert [one.change.what for one in store.changes("box-2999")] == ["version", "boot_id"]


def _counts(store: DeviceStore, least: int) -> bool:
    return store.count() >= least


@pytest.mark.parametrize("count", [10_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_hostile_messages_stop_nothing_and_each_is_counted(tmp_path: Path, count: int) -> None:
    broker = Mosquitto(tmp_path, ["allow_anonymous true", "max_queued_messages 0"]).start()
    seed = int(os.environ.get("FUZZ_SEED", "20261128"))
    messages = [hostile(random.Random(seed + n)) for n in range(count)]
    database = Database(str(tmp_path / "fleet.db"))
    store = DeviceStore(database, (wanted_watch(), watch_rollouts))
    with running(broker.port, store, CountLog(database)) as ingest, Watcher(broker.port, topic="nothing") as watcher:
        publish(watcher, hello("good", version="before"), retain=True)  # it may listen only in a moment
        wait_until(lambda: store.get("good"))
        for start in range(0, count, 10_000):
            watcher.publish_all(messages[start : start + 10_000])
        publish(watcher, hello("good", version="after"))
        wait_until(lambda: (found := store.get("good")) and found.device.version == "after")
        empty = sum(not payload for _, payload in messages)
        assert ingest.taken + sum(ingest.refused.values()) + empty == len(messages) + 2
        assert ingest.refused["failed"] == 0
        assert min(ingest.refused[reason] for reason in ("not_json", "invalid", "wrong_device", "out_of_bounds")) > 0
        assert ingest.refused["too_large"] > 0
    database.close()
    broker.stop()


TOO_LARGE = b'"' + b"x" * LARGEST_PAYLOAD + b'"'
UPDATE = {"attempt": 1, "epoch": 1, "model_revision": 1, "state": "committed", "code": "committed"}


def hostile(chance: random.Random) -> Published:
    """A message on a topic of a box that is spoilt in some way, or looks good and is not."""
    device = chance.choice(["box-1", "box-2", "box-3"])
    kinds = [hello(device), facts(device), reported(device, update=UPDATE), health(device), counted(device)]
    topic, payload = chance.choice(kinds)
    if chance.random() < 0.2:
        topic, payload = status("online", device, boot=chance.choice(["boot-1", "\x1b[2J", ""]))
    topic = chance.choice([topic, f"edgetally/v1/{device}/{chance.choice(CHANNELS).value.format(name='gate')}"])
    document = json.loads(payload)
    name = chance.choice(sorted(document))
    spoilt: list[Any] = [None, -1, 2**63, 1e308, "\x00\ud800\u202e", "x" * 5_000, [], {}, [[[]]], {"a" * 200: 1}, True]
    kind = chance.randrange(8)
    if kind == 0:
        return topic, chance.randbytes(chance.randrange(200))
    if kind == 1:
        return topic, payload[: chance.randrange(len(payload))]
    if kind == 2:
        return topic, b"[" * chance.randrange(1, 5_000)
    if kind == 3 and chance.random() < 0.05:
        return topic, TOO_LARGE
    if kind == 4:
        document["device"] = "another"
    if kind == 5:
        del document[name]
    if kind >= 6:
        document[name] = chance.choice(spoilt)
    return topic, json.dumps(document).encode()


def test_a_broker_that_knows_only_the_older_version_is_listened_to() -> None:
    broker, inventory = OldBroker().start(), MemoryInventory()
    try:
        with running(broker.port, inventory), Watcher(broker.port, topic="nothing") as watcher:
            publish(watcher, hello(), retain=True)
            wait_until(lambda: "box-1" in inventory.devices)
    finally:
        broker.stop()


def test_it_is_known_how_long_boxes_have_been_listened_to_without_a_break(mosquitto: Mosquitto) -> None:
    inventory = MemoryInventory()
    with running(mosquitto.port, inventory):
        wait_until(lambda: inventory.listening)
        before = inventory.listening
        assert before is not None
        mosquitto.kill()
        mosquitto.start()
        wait_until(lambda: inventory.listening and inventory.listening.since_ms > before.until_ms)


def test_a_broker_that_restarts_is_connected_to_again(mosquitto: Mosquitto) -> None:
    inventory = MemoryInventory()
    with running(mosquitto.port, inventory):
        for version in ("1", "2"):
            with Watcher(mosquitto.port, topic="nothing") as watcher:
                publish(watcher, hello(version=version), retain=True)
            wait_until(partial(_has_version, inventory, version))
            mosquitto.kill()
            mosquitto.start()


def _has_version(inventory: MemoryInventory, version: str) -> bool:
    device = inventory.devices.get("box-1")
    return device is not None and device.version == version


def test_while_the_database_fails_nothing_is_acknowledged_and_all_of_it_is_taken_later(
    mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    inventory = MemoryInventory()
    inventory.fails = [DatabaseError("db", "gone", "wait")] * 4
    with running(mosquitto.port, inventory) as ingest, Watcher(mosquitto.port, topic="nothing") as watcher:
        mosquitto.wait_for_log("edgetally/v1/+/hello")
        watcher.publish_all([hello(f"box-{n}") for n in range(100)])
        wait_until(lambda: len(inventory.devices) == 100)
        assert ingest.taken == 100
        wait_until(lambda: "the database takes what comes again" in caplog.text)


def test_it_logs_in_over_tls_and_waits_for_a_broker_that_refuses_it(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("broker")
    secrets, password = tmp_path / "passwords", tmp_path / "password"
    subprocess.run(["mosquitto_passwd", "-b", "-c", secrets, "fleet", "geheim"], check=True, capture_output=True)
    lines = ["allow_anonymous false", f"password_file {secrets}"]
    broker = Mosquitto(tmp_path, lines, [f"certfile {certificate}", f"keyfile {key}"]).start()
    options = ["--username", "fleet", "--password-file", str(password), "--ca", str(authority.certificate)]
    serving = Serving(tmp_path, broker.port, *options)
    password.write_text("wrong\n")
    serving.start("refused the connection")
    serving.end(signal.SIGTERM)
    password.write_text("geheim\n")
    serving.start()
    assert serving.end(signal.SIGTERM) == 0
    broker.stop()
    assert "geheim" not in serving.log.read_text()
