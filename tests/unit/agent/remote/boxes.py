"""A box for the tests of remote configuration: a clock that is set by hand, a disk in memory, documents."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

from agent.remote.checks import RunCheck
from agent.remote.control import Clock, RemoteConfig, RemoteSettings
from agent.remote.store import RemoteStore
from contracts.config import AgentConfig
from contracts.desired import Reported
from tests.fakes.applier import FakeApplier
from tests.fakes.disk import FakeDisk

NOW = dt.datetime(2026, 6, 1, tzinfo=dt.timezone.utc).timestamp()
LOCAL: dict[str, Any] = {
    "device": "box-1",
    "bundle": "b",
    "broker": {"host": "old.example", "password": "local-secret"},
    "camera": [
        {
            "id": "gate",
            "source": "rtsp://192.0.2.1/gate",
            "line": [{"name": "stop", "start": [0, 0.5], "end": [1, 0.5]}],
            "zone": [{"name": "yard", "polygon": [[0, 0], [1, 0], [1, 1]]}],
        },
        {"id": "yard", "source": "rtsp://192.0.2.1/yard", "fps": 10},
    ],
}


def local(**changes: Any) -> AgentConfig:
    """What agent.toml of the box says."""
    return AgentConfig.model_validate(LOCAL | changes)


def time_text(seconds: float) -> str:
    """ISO 8601, UTC."""
    return dt.datetime.fromtimestamp(seconds, dt.timezone.utc).isoformat().replace("+00:00", "Z")


def desired(config: dict[str, Any] | None = None, revision: int = 1, **changes: Any) -> dict[str, Any]:
    """A document that is valid for a day from `NOW`."""
    document = {
        "device": "box-1",
        "epoch": 1,
        "config_revision": revision,
        "config": config or {},
        "issued": time_text(NOW),
        "expires": time_text(NOW + 86_400),
    }
    return document | changes


def as_bytes(document: object) -> bytes:
    """As it comes from the broker."""
    return json.dumps(document).encode()


class Box:
    """A running agent's remote configuration.

    Args:
        disk: its disk.
        keys: file of the operators' keys.
        config: what agent.toml says.
    """

    def __init__(
        self, disk: FakeDisk | None = None, keys: Path = Path("/nowhere"), config: AgentConfig | None = None
    ) -> None:
        self.disk = disk or FakeDisk()
        self.keys = keys
        self.local = config or local()
        self.wall = NOW + 60
        self.monotonic = 1000.0
        self.synced: bool | None = True
        self.reachable: set[str] | None = None
        self.keys_awaited = False
        self.reports: list[Reported] = []
        self.boot()

    def boot(self) -> None:
        """Start the agent."""
        clock = Clock(lambda: self.wall, lambda: self.monotonic, lambda: self.synced)
        settings = RemoteSettings("boot", self.keys, lambda: self.keys_awaited, check=RunCheck(), clock=clock)
        self.remote = RemoteConfig(self.local, RemoteStore(self.disk), settings)
        self.applier = FakeApplier(self.remote.config)
        self.applier.reachable = self.reachable
        self.remote.start(self.applier, self.reports.append)

    def send(self, document: object) -> Reported:
        """A document comes; returns what is reported then."""
        self.remote.offer(document if isinstance(document, bytes) else as_bytes(document))
        self.remote.turn()
        return self.reports[-1]

    def turn(self, seconds: float = 0.0) -> Reported:
        """Time goes by."""
        self.wall += seconds
        self.monotonic += seconds
        self.remote.turn()
        return self.reports[-1]
