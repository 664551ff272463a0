"""The broker: one connection at a time, everything that matters waits on disk, nothing that comes can stop it."""

from agent.mqtt.check import check_broker
from agent.mqtt.link import LinkSettings, MqttLink
from agent.mqtt.ports import ForeignTopic, Outbox, Outlet, Received

__all__ = ["ForeignTopic", "LinkSettings", "MqttLink", "Outbox", "Outlet", "Received", "check_broker"]
