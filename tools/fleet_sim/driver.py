"""Publishes desired documents without a controller, to see what boxes and broker do by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from contracts.desired import DesiredModel
from contracts.topics import Channel, Topic
from fleet.clock import wall_ms
from fleet.wanted.rules import Wanted, document
from tools.fleet_sim.codec import Publish
from tools.fleet_sim.link import Link, open_link
from tools.fleet_sim.messages import Runs
from tools.fleet_sim.updating import SLOT

_LIFETIME_MS = 86_400_000
_BEHIND = 500  # messages that may be unconfirmed: more would only wait in memory
_LOOK = 0.002


class Driver:
    """A connection that publishes.

    Args:
        port: of the broker, on loopback.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._ready = asyncio.Event()
        self._link: Link | None = None

    def connected(self) -> None:
        """The broker accepted."""
        self._ready.set()

    def came(self, message: Publish) -> None:
        """Nothing should come."""

    def lost(self) -> None:
        """Nothing is published any more."""
        raise ConnectionError("the broker hung up on the driver")

    async def connect(self) -> None:
        """Connect.

        Raises:
            OSError: the broker cannot be reached.
        """
        will = Publish("fleet-sim/driver", b"", 1)
        self._link = await open_link(self._port, lambda: Link(self, "fleet-sim-driver", will, "fleet-sim/driver/none"))
        await self._ready.wait()

    async def publish(self, documents: Iterable[tuple[str, bytes]]) -> None:
        """Have the broker keep a document for each box; returns once it has them."""
        assert self._link is not None, "connect first"
        for device, payload in documents:
            self._link.publish(str(Topic(device, Channel.DESIRED)), payload, retain=True)
            await self._until(_BEHIND)
        await self._until(0)

    def close(self) -> None:
        """Hang up."""
        if self._link is not None:
            self._link.close()

    async def _until(self, unconfirmed: int) -> None:
        assert self._link is not None
        while self._link.unconfirmed > unconfirmed:  # noqa: ASYNC110 - a count is waited for
            await asyncio.sleep(_LOOK)


def document_of(device: str, model: Runs, revision: int, config: str = "{}", epoch: int = 1) -> bytes:
    """A document as the controller makes it, unsigned.

    Args:
        device: for whom.
        model: what it should run.
        revision: the models'; the configuration's is 1.
        config: canonical JSON.
        epoch: of the controller's memory.
    """
    now_ms = wall_ms()
    models: Mapping[str, DesiredModel] = {
        SLOT: DesiredModel(name=model.name, version=model.version, manifest=model.manifest)
    }
    wanted = Wanted(device, epoch, config_revision=1, config=config, model_revision=revision, models=models)
    return document(wanted, now_ms, now_ms + _LIFETIME_MS).encode()
