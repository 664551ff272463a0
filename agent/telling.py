"""What the box tells of itself as a whole: how it runs, what it is, and who is here."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from agent.camera_set import CameraSet
from agent.committer import Committer
from agent.counting.clock import utc_text
from agent.hardware import Hardware
from agent.host import resident_mb
from agent.ledger import Ledger
from agent.remote.control import RemoteConfig
from agent.slots import Slots
from agent.store import Store
from agent.timings import Timings
from contracts.config import AgentConfig
from contracts.errors import StorageError
from contracts.facts import Facts, FactValue
from contracts.health import BrokerHealth, Health
from contracts.messages import FactsMessage, Hello
from contracts.version import VERSION

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Teller:
    """Makes messages of what the parts of a running agent know; any thread may ask.

    Args:
        config: the configuration that runs now.
        boot_id: of this run.
        started: monotonic seconds.
        facts: the box's.
        slots: the models.
        cameras: those that run.
        hardware: the box itself.
        store: what waits for the broker.
        ledger: committed totals.
        committer: windows under way.
        remote: the document that runs.
        timings: of publishing.
        broker: the link to it.
        requests_refused: since the start.
        update_problems: tells what somebody has to see to about the models.
        config_problems: what somebody has to see to about the box's own configuration.
        model_revision: tells the document's whose models run; None where they are none's.
    """

    config: Callable[[], AgentConfig]
    boot_id: str
    started: float
    facts: Facts
    slots: Slots
    cameras: CameraSet
    hardware: Hardware
    store: Store
    ledger: Ledger
    committer: Committer
    remote: RemoteConfig
    timings: Timings
    broker: Callable[[], BrokerHealth]
    requests_refused: Callable[[], int]
    model_revision: Callable[[], int | None]
    update_problems: Callable[[], tuple[str, ...]]
    config_problems: tuple[str, ...] = ()

    def health(self, now: float) -> Health:
        """How it runs; ``now`` in monotonic seconds."""
        try:
            outbox = self.store.status()
        except StorageError as error:
            _log.error("%s", error)
            outbox = None
        return Health(
            device=self.config().device,
            at=utc_text(time.time()),
            uptime=round(now - self.started, 1),
            rss_mb=resident_mb(),
            outbox_waiting=outbox.waiting if outbox else None,
            outbox_dropped=outbox.dropped if outbox else None,
            windows_held=self.committer.windows_held,
            windows_lost=self.ledger.windows_lost,
            disk_bytes_per_day=outbox.written_per_day if outbox else None,
            published_ms=self.timings.latency("published"),
            broker=self.broker(),
            requests_refused=self.requests_refused(),
            cameras={unit.id: unit.health(now) for unit in self.cameras.units},
            models=self.slots.health(),
            update_problems=self.update_problems(),
            config_problems=self.config_problems,
            telemetry=self.hardware.telemetry(now),
            shedding=self.hardware.shedding(now),
        )

    def hello(self) -> Hello:
        """Who is here, and what runs."""
        desired = self.remote.desired
        return Hello(
            device=self.config().device,
            boot_id=self.boot_id,
            version=VERSION,
            epoch=desired.epoch if desired else None,
            config_revision=desired.config_revision if desired else None,
            model_revision=self.model_revision(),
            models=self.slots.digests,
        )

    def what_it_is(self) -> FactsMessage:
        """The box's facts, and which artifacts were considered."""
        config = self.config()
        return FactsMessage(
            device=config.device,
            labels=dict(config.labels),
            facts={name: _plain(value) for name, value in self.facts.items()},
            artifacts=self.slots.considered,
        )


def _plain(value: FactValue) -> str | int | float | bool | list[str]:
    return list(value) if isinstance(value, tuple) else value
