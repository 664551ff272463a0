"""A link in memory that requests come from, and an agent that a test sets."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from agent.mqtt.ports import Received
from agent.page.ports import Look, as_it_is
from agent.remote.control import Clock
from agent.rpc.ports import Agent, Trial, TrialResult
from agent.rpc.server import RpcServer, RpcSettings
from contracts.config import RpcConfig
from contracts.documents import MachineModel
from contracts.errors import UnknownNameError
from contracts.rpc import RpcReply
from contracts.topics import Channel, Topic
from tests.fakes.disk import FakeDisk

NOW = dt.datetime(2026, 6, 1, tzinfo=dt.timezone.utc).timestamp()
PATIENCE = 30.0  # seconds; only a failing test waits that long
ALL = RpcConfig(self_test=True, snapshot=True, restart=True, drift_reset=True)


def time_text(seconds: float) -> str:
    """ISO 8601, UTC."""
    return dt.datetime.fromtimestamp(seconds, dt.timezone.utc).isoformat().replace("+00:00", "Z")


def request(op: str, request_id: str = "r1", at: float = NOW, **changes: Any) -> dict[str, Any]:
    """One that is valid for a minute."""
    camera = {"camera": "gate"} if op in {"snapshot", "drift-reset"} else {}
    times = {"issued": time_text(at), "expires": time_text(at + 60)}
    return {"id": request_id, "device": "box-1", "op": op, **times, **camera} | changes


class FakeLine:
    """Implements `agent.rpc.ports.Line`: a test sends, and waits for what is replied."""

    def __init__(self) -> None:
        self.replies: list[RpcReply] = []
        self.changed = threading.Condition()
        self._receivers: dict[str, Callable[[Received], None]] = {}

    def listen(self, topic: str, receiver: Callable[[Received], None]) -> None:
        """See `Line`."""
        self._receivers[topic] = receiver

    def answer(self, topic: Topic, message: MachineModel) -> None:
        """See `Line`."""
        assert isinstance(message, RpcReply)
        assert topic == Topic("box-1", Channel.RPC_REPLY, message.op)
        with self.changed:
            self.replies.append(message)
            self.changed.notify_all()

    def send(self, op: str, payload: object, *, retained: bool = False) -> None:
        """A message comes."""
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        topic = f"edgetally/v1/box-1/rpc/{op}"
        self._receivers[topic](Received(topic, data, retained))

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Until a reply makes it hold."""
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE), f"it did not happen; last came {self.replies[-3:]}"


class FakeBox:
    """A box that answers: its clock is set by hand, its disk is in memory.

    Attributes:
        looks: what each camera shows.
        gate: cleared, a self-test hangs.
        restarts: how often the agent was ended.
        agent: replace it before `boot` to change what it can do.
    """

    def __init__(self, config: RpcConfig = ALL, disk: FakeDisk | None = None, **settings: Any) -> None:
        self.wall, self.monotonic = NOW, 1000.0
        self.synced: bool | None = True
        self.disk = disk or FakeDisk()
        self.looks: dict[str, Look] = {}
        self.gate = threading.Event()
        self.gate.set()
        self.trying = threading.Event()
        self.restarts = 0
        self.agent = Agent(
            boot_id="boot",
            snapshots=self,
            redact=as_it_is,
            trials=lambda: [Trial("patience", self._try)],
            restart=self._restart,
            uptime=lambda: 1e6,
            managed=True,
            learn_anew=self._learn_anew,
        )
        clock = Clock(lambda: self.wall, self._tick, lambda: self.synced)
        self.settings = replace(RpcSettings("box-1", config, None, self.disk, clock), **settings)
        self.line = FakeLine()
        self._server: RpcServer | None = None

    @property
    def server(self) -> RpcServer:
        """What answers."""
        assert self._server is not None, "boot it first"
        return self._server

    def boot(self) -> FakeBox:
        """Start to answer, anew where it did before."""
        self.close()
        self.line = FakeLine()
        self._server = RpcServer(self.settings, self.line, self.agent)
        self._server.start()
        return self

    def close(self) -> None:
        """End it."""
        if self._server is not None:
            self.gate.set()
            self._server.close(PATIENCE)

    def ask(self, op: str, payload: object, *, retained: bool = False) -> RpcReply:
        """Send, and wait for the reply."""
        before = len(self.line.replies)
        self.line.send(op, payload, retained=retained)
        self.line.wait_for(lambda: len(self.line.replies) > before)
        return self.line.replies[before]

    def picture(self, camera: str) -> Look | None:
        """See `agent.page.ports.Snapshots`."""
        return self.looks.get(camera)

    def _try(self) -> TrialResult:
        self.trying.set()
        self.gate.wait(PATIENCE)
        return TrialResult(passed=True, text="patient")

    def _learn_anew(self, camera: str) -> str:
        if camera not in self.looks:
            raise UnknownNameError("camera", camera, self.looks)
        return time_text(self.wall)

    def _restart(self) -> None:
        self.restarts += 1

    def _tick(self) -> float:
        """Time goes by with each look at the clock, so that no allowance runs out unless a test stops it."""
        self.monotonic += 100.0
        return self.monotonic


def look(camera: str = "gate", height: int = 60, width: int = 80, **more: Any) -> Look:
    """A picture of noise."""
    image = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    fields: dict[str, Any] = {"aspect": 16 / 9, "sequence": 7, "taken_at": NOW, "result": None, "labels": ("person",)}
    return Look(image, camera=camera, **fields | more)
