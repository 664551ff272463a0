"""The fleet's connection to a real broker."""

from __future__ import annotations

from contracts.config import BrokerConfig
from fleet.mqtt import BATCH, Delivery, Session
from tests.fakes.fleet import health
from tests.integration.brokers import Mosquitto, Watcher, mosquitto, wait_until

__all__ = ["mosquitto"]


def test_what_came_meanwhile_is_taken_in_batches_however_much_is_being_published(mosquitto: Mosquitto) -> None:
    session = Session(BrokerConfig(host="127.0.0.1", port=mosquitto.port), "fleet", "5")
    wait_until(lambda: session.wait(0.1) == [] and session.subscription_refused is None)
    with Watcher(mosquitto.port, "edgetally/v1/+/health") as watcher:
        for _ in range(6 * BATCH):
            watcher.publish(*health())
        watcher.wait_for(lambda: len(watcher.payloads("/health")) == 6 * BATCH)
    for _ in range(BATCH):
        session.publish("edgetally/v1/box-1/desired", b"{}")
    came: list[list[Delivery]] = []

    def is_all_there() -> bool:
        came.append(session.wait(1.0))
        return sum(map(len, came)) >= 6 * BATCH

    wait_until(is_all_there)
    assert max(map(len, came)) <= 2 * BATCH
    session.close()
