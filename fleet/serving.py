"""A controller, put together: what it takes in, what it publishes, and the work that it shares with others."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass

from contracts.config import BrokerConfig
from fleet.clock import Clock, wall_ms
from fleet.controller import Controller, ControllerSettings, Link
from fleet.housekeeping import Housekeeping
from fleet.ingest import Ingest
from fleet.rollout.engine import Effects, Stepping
from fleet.rollout.joining import join_rollouts
from fleet.rollout.observing import watch_rollouts
from fleet.store.count_reports import CountLog
from fleet.store.database import Database
from fleet.store.devices import DeviceStore
from fleet.store.leases import Lease
from fleet.wanted.layers import configure_from
from fleet.wanted.publishing import Outbox
from fleet.wanted.signing import Sign
from fleet.wanted.tasks import Reissuing, Resolving
from fleet.wanted.watching import wanted_watch
from fleet.wanted.writing import WantedWriter
from fleet.work import Worker

_log = logging.getLogger(__name__)

_LEASE = "broker"


@dataclass(frozen=True)
class Served:
    """What a controller works with.

    Args:
        broker: where boxes publish.
        client_id: the same for all controllers of a database.
        most_devices: boxes that are taken in at most.
        sign: makes of a document what is published.
        lifetime_ms: of a document, from its making until boxes do not take it any more.
    """

    broker: BrokerConfig
    client_id: str
    most_devices: int
    sign: Sign
    lifetime_ms: int


def serve(
    database: Database,
    served: Served,
    stopping: Callable[[], bool],
    settings: ControllerSettings | None = None,
    clock: Clock = wall_ms,
) -> None:
    """Run a controller until it should stop.

    Args:
        database: what it knows.
        served: what it works with.
        stopping: whether to stop.
        settings: how it behaves; its times are by the machine's own clock.
        clock: what it takes the time from.

    Raises:
        DatabaseError: the database cannot be read at the start.
    """
    settings = settings or ControllerSettings()
    writer = WantedWriter(served.sign, served.lifetime_ms)
    counts = CountLog(database)
    tasks = (
        Resolving(database, writer, configure_from, join_rollouts),
        Reissuing(database, served.lifetime_ms),
        Stepping(database, Effects(writer, configure_from)),
        Housekeeping(counts),
    )
    ingest = Ingest(DeviceStore(database, (wanted_watch(), watch_rollouts)), counts, served.most_devices)
    lease = Lease(database, _LEASE, _holder(), settings.lease)
    link = Link(served.broker, served.client_id, lambda session: Outbox(database, session), lease, clock)
    worker = Worker(tasks, clock=clock)
    worker.start()
    try:
        Controller(link, ingest, stopping, settings).run()
    finally:
        worker.stop()


def _holder() -> str:
    """A name that no other controller has, which says where it runs."""
    return f"{socket.gethostname()[:64]}:{os.getpid()}:{secrets.token_hex(4)}"
