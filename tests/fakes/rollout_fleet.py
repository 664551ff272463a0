"""Boxes that take documents out of the database as if a broker had brought them, and answer through the real ingest.

Each keeps what a real one does: the model that runs, the revision that it is of, the newest attempt.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, func, select

from contracts.messages import CountReport
from fleet.ingest import Arrived, Ingest
from fleet.rollout.engine import Effects, Stepping
from fleet.rollout.joining import join_rollouts
from fleet.rollout.observing import watch_rollouts
from fleet.store import settings
from fleet.store import wanted as wanted_store
from fleet.store.count_reports import ArrivedReport, CountLog
from fleet.store.database import Database
from fleet.store.devices import DeviceStore
from fleet.store.rollouts import Place
from fleet.store.settings import Listening
from fleet.store.tables import ROLLOUT_DEVICE
from fleet.wanted.rules import NOTHING
from fleet.wanted.signing import unsigned
from fleet.wanted.tasks import Resolving
from fleet.wanted.watching import wanted_watch
from fleet.wanted.writing import WantedWriter
from tests.fakes.fleet import Published, facts, hello, reported, status

DAY_MS = 86_400_000
OLD, NEW = "a" * 64, "b" * 64
"""Digests of the artifacts of the model that ran and of the one that is rolled out."""

Behaviour = Callable[["FakeBox", int], str | None]
"""Given a box and which attempt at the new model it is: the update state that it ends in; None: it falls silent."""


def takes_it(_box: FakeBox, _attempt: int) -> str | None:
    return "committed"


@dataclass
class FakeBox:
    """A box: what it runs, and the attempts that it made."""

    device: str
    facts: dict[str, Any]
    labels: dict[str, str]
    online: bool = True
    epoch: int | None = None
    config_revision: int | None = None
    model_revision: int | None = None
    artifact: str = OLD
    version: str = "0"
    manifest: str = "0" * 64
    attempts: list[tuple[str, str]] = field(default_factory=list)  # version and end
    update: dict[str, Any] | None = None
    seq: int = 0

    def greeting(self) -> list[Published]:
        mine: dict[str, Any] = {
            "epoch": self.epoch,
            "config_revision": self.config_revision,
            "model_revision": self.model_revision,
        }
        return [
            status("online", self.device),
            hello(self.device, models={"main": self.artifact}, **mine),
            facts(self.device, labels=self.labels, facts=self.facts),
            self.report(),
        ]

    def report(self) -> Published:
        release = {"name": "m", "version": self.version, "manifest": self.manifest}
        models = {"main": {"artifact_digest": self.artifact, **release}}
        return reported(
            self.device,
            epoch=self.epoch,
            config_revision=self.config_revision,
            model_revision=self.model_revision,
            models=models,
            state="ok",
            update=self.update,
        )


class FakeFleet:
    """Boxes, a controller's work without its broker, and a clock that only `later` moves."""

    def __init__(self, database: Database, behaviour: Behaviour = takes_it) -> None:
        self.database = database
        self.behaviour = behaviour
        self.going_back: Behaviour = takes_it  # to the version that ran before
        self.boxes: dict[str, FakeBox] = {}
        self.now_ms = 1_000_000_000_000
        self.documents: list[dict[str, Any]] = []
        writer = WantedWriter(unsigned, 30 * DAY_MS)
        self.writer = writer
        self.stepping = self.another_controller()
        self._resolving = Resolving(database, writer, lambda _connection: lambda _device: NOTHING, join_rollouts)

    def another_controller(self, database: Database | None = None) -> Stepping:
        return Stepping(
            database or self.database, Effects(self.writer, lambda _connection: lambda _device: NOTHING), rest=0.0
        )

    @property
    def ingest(self) -> Ingest:
        return Ingest(DeviceStore(self.database, (wanted_watch(), watch_rollouts)), CountLog(self.database))

    def add(self, prefix: str, count: int, facts: dict[str, Any], *, online: bool = True, **labels: str) -> None:
        new = [FakeBox(f"{prefix}-{n}", facts, labels) for n in range(count)]
        self.boxes |= {box.device: box for box in new}
        self.say([one for box in new for one in box.greeting()])
        if not online:
            self.cut(box.device for box in new)

    def cut(self, devices: Iterable[str]) -> None:
        """They lose their power; the broker says so."""
        names = list(devices)
        for device in names:
            self.boxes[device].online = False
        self.say([status("offline", device) for device in names], alive=False)

    def back(self, devices: Iterable[str]) -> None:
        names = list(devices)
        for device in names:
            self.boxes[device].online = True
        self.say([one for device in names for one in self.boxes[device].greeting()])

    def say(self, messages: Iterable[Published], *, alive: bool = True) -> None:
        ingest = self.ingest
        ingest.take([Arrived(topic, payload, not alive, self.now_ms) for topic, payload in messages])
        ingest.flush()
        assert not any(ingest.refused.values()), ingest.last_refusal

    def listens(self, since_ms: int, until_ms: int) -> None:
        """The controller has listened for so long."""
        with self.database.writing() as connection:
            settings.set_listening(connection, Listening(since_ms, until_ms))

    def listens_and_flushes(self) -> None:
        """The controller has listened from its beginning until now, and writes that as it does every few seconds."""
        self.ingest.flush(Listening(0, self.now_ms))

    def later(self, seconds: float) -> None:
        """Time passes; boxes that are online say so."""
        self.now_ms += round(seconds * 1000)
        self.listens(0, self.now_ms)
        self.say([box.report() for box in self.boxes.values() if box.online])

    def count(self, per_window: dict[str, int]) -> None:
        """Boxes that are online report five minutes, in which so many crossed by the artifact that runs."""
        reports: list[ArrivedReport] = []
        for box in self.boxes.values():
            if box.online:
                box.seq += 1
                reports.append(ArrivedReport(self._report(box, per_window[box.artifact]), self.now_ms))
        CountLog(self.database).add(reports)

    def _report(self, box: FakeBox, crossed: int) -> CountReport:
        times = [dt.datetime.fromtimestamp((self.now_ms - ms) / 1000, dt.timezone.utc) for ms in (300_000, 0)]
        line = {"counter_id": "c", "since": "", "in": crossed, "out": 0, "total_in": 0, "total_out": 0}
        return CountReport.model_validate(
            {
                "store_id": "s",
                "seq": box.seq,
                "boot_id": "b",
                "device": box.device,
                "camera": "gate",
                "window": {"start": times[0].isoformat(), "end": times[1].isoformat()},
                "clock_synced": True,
                "frames_seen": 9000,
                "frames_dropped": {},
                "coverage": 1.0,
                "quality": "ok",
                "artifact_digest": box.artifact,
                "count": None,
                "lines": {"road": line},
            }
        )

    def work(self) -> None:
        """All that is to be done now: documents, steps of rollouts, boxes that answer; until nothing moves."""
        while self.turn():
            pass

    def turn(self) -> bool:
        more = self._resolving.turn(self.now_ms)
        more |= self.stepping.turn(self.now_ms)
        return self._deliver() or more

    def _deliver(self) -> bool:
        with self.database.reading() as connection:
            waiting = wanted_store.waiting(connection, 100_000)
        heard = [one for one in waiting if one.device in self.boxes and self.boxes[one.device].online]
        with self.database.writing() as connection:
            wanted_store.published(connection, waiting)
        said: list[Published] = []
        for one in heard:
            document = json.loads(one.document)
            self.documents.append(document)
            said += self._take(self.boxes[one.device], document)
        self.say(said)
        return bool(heard)

    def _take(self, box: FakeBox, document: dict[str, Any]) -> list[Published]:
        newer = (document["epoch"], document["model_revision"]) > (box.epoch or 0, box.model_revision or 0)
        box.epoch, box.config_revision = document["epoch"], document["config_revision"]
        wanted = document["models"].get("main")
        if wanted is None or not newer:
            return [box.report()]
        tried = sum(version == wanted["version"] for version, _ in box.attempts)
        end = (self.going_back if wanted["version"] == "0" else self.behaviour)(box, tried)
        box.attempts.append((wanted["version"], end or "silent"))
        if end is None:
            box.online = False
            return []
        if end == "committed":
            box.artifact = {"0": OLD, "1": NEW}.get(wanted["version"], wanted["version"] * 64)
            box.version, box.manifest = wanted["version"], wanted["manifest"]
            box.model_revision = document["model_revision"]
        box.update = {
            "attempt": len(box.attempts),
            "epoch": document["epoch"],
            "model_revision": document["model_revision"],
            "state": end,
            "code": {"committed": "committed", "failed": "server_unreachable", "rolled_back": "fps_low"}.get(end),
            "models": {"main": wanted},
        }
        return [box.report()]


def count_boxes(connection: Connection, rollout: int) -> Counter[Place]:
    """The numbers of boxes, counted one by one; what `fleet.store.rollouts.tally` gives must equal it."""
    table = ROLLOUT_DEVICE.c
    keys = (table.rollout, table.hardware_class, table.wave, table.state)
    query = select(*keys, func.count()).where(table.rollout == rollout).group_by(*keys)
    return Counter({Place(*row[:4]): row[4] for row in connection.execute(query)})
