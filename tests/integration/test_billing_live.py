"""The consumer at a real broker: what comes while it is away is kept, and its dump gives the same bill."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.backoff import Backoff
from agent.counting.clock import utc_text
from agent.counting.window import WindowCounts
from agent.ledger import Ledger, Origin
from agent.mqtt import LinkSettings, MqttLink
from agent.store import Store
from contracts.config import BrokerConfig, CameraConfig, LineConfig
from contracts.errors import BrokerError
from contracts.messages import Hello, Window
from runtime.console import run_program
from tests.integration.brokers import Mosquitto, Watcher, free_port, mosquitto, wait_until
from tools.billing.__main__ import app
from tools.billing.bill import make_bill
from tools.billing.intake import Intake, read_lines
from tools.billing.live import LiveIntake
from tools.billing.table import table

__all__ = ["mosquitto"]

ROOT = Path(__file__).parents[2]
NOON = 1_767_268_800.0
CAMERA = CameraConfig(id="gate", source="x", line=(LineConfig(name="mid", start=(0, 0.5), end=(1, 0.5)),))


class Box:
    """Store, ledger and link of a box, whose windows a test makes."""

    def __init__(self, folder: Path, port: int) -> None:
        self.store = Store.open(folder / "state")
        self._ledger = Ledger(self.store, Origin("box-1", "boot"), [CAMERA], lambda: True)
        self.link = MqttLink(
            BrokerConfig(host="127.0.0.1", port=port),
            "box-1",
            "boot",
            self.store,
            hello=lambda: Hello(device="box-1", boot_id="boot", version="1"),
            backoff=Backoff(first=0.05, most=0.2),
            settings=LinkSettings(connect=2.0),
        )
        self._windows = 0

    def count(self, cars: int) -> None:
        start, self._windows = NOON + 10 * self._windows, self._windows + 1
        window = Window(start=utc_text(start), end=utc_text(start + 10))
        lines = {"mid": {"car": {"in": cars, "out": 0}}}
        self._ledger.commit([WindowCounts("gate", window, 9, {}, 1.0, "ok", None, {}, lines)])  # type: ignore[arg-type]
        self.link.wake()

    def close(self) -> None:
        self.link.stop()
        self.store.close()


@pytest.fixture
def box(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[Box]:
    opened = Box(tmp_path, mosquitto.port)
    opened.link.start()
    yield opened
    opened.close()


def counted(intake: Intake) -> int:
    return sum(item.counted for item in make_bill(intake).items)


def test_what_comes_between_two_runs_of_the_consumer_is_kept_by_the_broker(mosquitto: Mosquitto, box: Box) -> None:
    config = BrokerConfig(host="127.0.0.1", port=mosquitto.port)
    dump = io.StringIO()
    with Watcher(mosquitto.port) as watcher:  # tells that the broker has them
        for cars in (1, 10, 100):
            with LiveIntake(config, client_id="bill", dump=dump) if cars != 10 else contextlib.nullcontext():
                box.count(cars)
                watcher.wait_for(lambda cars=cars: len(watcher.payloads("/counts")) == len(str(cars)))  # type: ignore[misc]
        box.count(1000)
        watcher.wait_for(lambda: len(watcher.payloads("/counts")) == 4)
        with LiveIntake(config, client_id="bill", dump=dump) as last:
            wait_until(lambda: last.read().messages)
    again = Intake()
    read_lines(dump.getvalue().splitlines(), again)
    made = make_bill(again)
    assert [(item.direction, item.counted, item.recovered) for item in made.items] == [("in", 1111, 0), ("out", 0, 0)]
    assert (made.problems, made.stores[0].missing, made.cameras[0].share) == ([], [], 1.0)


def test_the_command_prints_a_bill_when_it_is_interrupted(tmp_path: Path, mosquitto: Mosquitto, box: Box) -> None:
    kept = tmp_path / "kept.jsonl"
    command = [sys.executable, "-m", "tools.billing", "--broker", f"127.0.0.1:{mosquitto.port}", "--keep", str(kept)]
    with subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        mosquitto.wait_for_log("camera/+/events (QoS 1)")
        box.count(3)
        wait_until(lambda: kept.read_text().endswith("\n"))
        process.send_signal(signal.SIGINT)
        told, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert [item["counted"] for item in json.loads(told)["items"]] == [3, 0]
    assert made_of(kept).splitlines()[3].split() == ["box-1", "gate", "mid", "car", "in", "3", "0", "0"]


def made_of(dump: Path) -> str:
    intake = Intake()
    with dump.open() as lines:
        read_lines(lines, intake)
    return table(make_bill(intake))


def bill(monkeypatch: pytest.MonkeyPatch, *arguments: object, stdin: str = "") -> int:
    """Run the command in this process, for a process takes seconds to begin."""
    monkeypatch.setattr(sys, "argv", ["billing", *map(str, arguments)])
    monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
    try:
        return run_program(app)
    except SystemExit as end:
        return int(end.code or 0)


def test_a_bill_that_does_not_add_up_is_said_by_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    box = Box(tmp_path, port=1)  # its link is not started
    box.count(3)
    (row,) = box.store.waiting(0, 10)
    box.close()
    report = json.loads(row.payload)
    lines = "\n".join(map(json.dumps, [report, report | {"frames_seen": 1}]))
    assert bill(monkeypatch, "-", stdin=lines) == 1
    assert "PROBLEM: number 1 of store" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "expected either a dump or --broker"),
        (["nowhere.jsonl"], "expected a dump of JSON lines (No such file"),
        (["-", "--from", "noon"], "--from should be ISO 8601 like 2026-01-31T00:00:00Z, got 'noon'"),
    ],
)
def test_what_is_asked_for_wrongly_is_said(
    arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bill(monkeypatch, *arguments) == 2
    assert words in capsys.readouterr().err


def test_a_broker_that_is_not_there_is_said() -> None:
    port = free_port()
    with pytest.raises(BrokerError, match=f"127.0.0.1:{port}: Connection refused"):
        LiveIntake(BrokerConfig(host="127.0.0.1", port=port))
