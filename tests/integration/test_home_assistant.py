"""What Home Assistant sees of a box: a real agent's own messages through the templates, and a real broker between."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import jinja2
import pytest

from agent.backoff import Backoff
from agent.home_assistant import HomeAssistant
from agent.mqtt import LinkSettings, MqttLink
from agent.store import Store
from contracts.config import AgentConfig
from contracts.messages import Hello
from runtime.bundle import open_bundle
from tests.e2e.agents import Agent
from tests.integration.brokers import Message, Mosquitto, Watcher, mosquitto
from tests.integration.squares import camera, write_bundle, write_pictures

__all__ = ["mosquitto"]

CONFIG = "homeassistant/device/box-1/config"
STATUS = "homeassistant/status"
ENVIRONMENT = jinja2.Environment(autoescape=True)


class Announced:
    """A `HomeAssistant` of a box, on a link of its own."""

    def __init__(self, link: MqttLink, store: Store, settings: dict[str, Any], bundle: Path) -> None:
        self._announcer = HomeAssistant(link, store)
        self._settings = settings
        self._spec = open_bundle(bundle).manifest.model
        self.link = link

    def update(self, **changes: Any) -> None:
        config = {"device": "box-1", "home_assistant": {"prefix": "homeassistant"}, **self._settings, **changes}
        self._announcer.update(AgentConfig.model_validate(config), {"main": self._spec})


@pytest.fixture
def settings(tmp_path: Path, mosquitto: Mosquitto) -> dict[str, Any]:
    zone = {"name": "all", "polygon": [[0, 0], [1, 0], [1, 1], [0, 1]]}
    road = camera(write_pictures(tmp_path / "road"), zone=[zone])
    dead = road | {"id": "dead", "source": "rtsp://127.0.0.1:1/none", "realtime": True, "loop": False}
    return {
        "bundle": str(write_bundle(tmp_path / "bundle")),
        "broker": {"host": "127.0.0.1", "port": mosquitto.port},
        "runtime": {"lanes": 1},
        "state_seconds": 0.2,
        "camera": [road, dead],
    }


@contextmanager
def announcing(folder: Path, settings: dict[str, Any]) -> Iterator[Announced]:
    with ExitStack() as stack:
        store = Store.open(folder / "announcer")
        stack.callback(store.close)
        config = AgentConfig.model_validate({"device": "box-1", **settings})
        link = MqttLink(
            config.broker,
            "announcer",  # not the agent's name: the broker would disconnect it
            "boot",
            store,
            hello=lambda: Hello(device="announcer", boot_id="boot", version="1"),
            backoff=Backoff(first=0.05, most=0.2),
            settings=LinkSettings(connect=2.0),
        )
        stack.callback(link.stop)
        yield Announced(link, store, settings, Path(settings["bundle"]))


class Seen:
    """The entities as Home Assistant has them from these messages."""

    def __init__(self, messages: list[Message]) -> None:
        self._last: dict[str, bytes] = {message.topic: message.payload for message in messages}
        self.document: dict[str, Any] = json.loads(self._last[CONFIG])

    def value(self, key: str) -> str:
        """What an entity shows, ``unavailable`` and ``unknown`` as Home Assistant has them."""
        entity = {**self.document, **self.document["components"][key]}
        available = [self._render(each, each["topic"]) == "online" for each in entity["availability"]]
        assert entity["availability_mode"] == "all"
        if not all(available):
            return "unavailable"
        shown = self._render(entity, entity["state_topic"])
        return "unknown" if shown in {None, "None", ""} else shown

    def _render(self, entity: Mapping[str, Any], topic: str) -> str | None:
        payload = self._last.get(topic)
        if payload is None:
            return None
        return ENVIRONMENT.from_string(entity["value_template"]).render(value_json=json.loads(payload))


def test_entities_show_what_the_agent_counts_and_nothing_where_no_frame_is_fresh(
    tmp_path: Path, mosquitto: Mosquitto, settings: dict[str, Any]
) -> None:
    with Watcher(mosquitto.port) as watcher, announcing(tmp_path, settings) as announced, Agent(tmp_path, settings):
        announced.link.start()
        announced.update()
        watcher.wait_for(lambda: _total(watcher) >= 2 and watcher.payloads("/health") and watcher.payloads(CONFIG))
        watcher.wait_for(lambda: watcher.payloads("/dead/state"))
        messages = list(watcher.messages)
        seen = Seen(messages)
        state = json.loads([m.payload for m in messages if m.topic.endswith("/gate/state")][-1])
        assert state["available"]
        assert seen.value("CAMERA_gate_LINE_mid_IN") == str(state["lines"]["mid"]["in"])
        assert seen.value("CAMERA_gate_LINE_mid_OUT") == str(state["lines"]["mid"]["out"])
        assert seen.value("CAMERA_gate_COUNT") == str(state["count"])
        assert seen.value("CAMERA_gate_ZONE_all") == str(state["zones"]["all"])
        assert (seen.value("CAMERA_gate_QUALITY"), seen.value("CAMERA_gate_FRESH")) == ("ok", "ON")
        assert float(seen.value("CAMERA_gate_FPS")) > 0
        assert float(seen.value("CAMERA_gate_LATENCY")) > 0
        assert float(seen.value("MEMORY")) > 10
        for key in ("COUNT", "ZONE_all", "LINE_mid_IN", "LINE_mid_OUT"):
            assert seen.value(f"CAMERA_dead_{key}") == "unavailable"
        assert (seen.value("CAMERA_dead_QUALITY"), seen.value("CAMERA_dead_FRESH")) == ("no_camera", "OFF")
        assert seen.value("CAMERA_dead_LATENCY") == "unknown"
    with Watcher(mosquitto.port) as later:  # the agent is gone; what it said last is retained
        later.wait_for(lambda: len(later.messages) >= 5 and later.payloads(CONFIG) and later.payloads("box-1/status"))
    gone = Seen(later.messages)
    assert {gone.value(f"CAMERA_gate_{key}") for key in ("COUNT", "LINE_mid_IN", "QUALITY", "FRESH")} == {"unavailable"}


def _total(watcher: Watcher) -> int:
    states = watcher.payloads("/gate/state")
    return int(json.loads(states[-1])["lines"]["mid"]["in"]) if states else 0


def test_it_is_announced_again_to_a_broker_that_forgot_and_when_home_assistant_comes(
    tmp_path: Path, mosquitto: Mosquitto, settings: dict[str, Any]
) -> None:
    with announcing(tmp_path, settings) as announced:
        announced.link.start()
        with Watcher(mosquitto.port) as first:
            first.wait_for(lambda: first.payloads("/status"))  # connected before there is anything to listen to
            announced.update()
            first.wait_for(lambda: len(first.payloads(CONFIG)) == 1)
            first.wait_for(lambda: _subscribed(mosquitto))
            first.publish(STATUS, b"offline")
            first.publish(STATUS, b"\xff\xfe")
            first.publish(STATUS, b"online")
            first.wait_for(lambda: len(first.payloads(CONFIG)) == 2)
            assert len(set(first.payloads(CONFIG))) == 1
        mosquitto.kill()
        mosquitto.start()  # it keeps nothing on a disk
        with Watcher(mosquitto.port) as second:
            second.wait_for(lambda: second.payloads(CONFIG))
            second.wait_for(lambda: second.payloads("/hello") or announced.link.connected)
            second.publish(STATUS, b"online", retain=True)
            second.wait_for(lambda: len(second.payloads(CONFIG)) >= 2)
        assert not any(announced.link.health().messages_refused.values())


def _subscribed(mosquitto: Mosquitto) -> bool:
    mosquitto.wait_for_log(f"announcer 1 {STATUS}")
    return True


def test_switched_off_nothing_of_it_is_left_at_the_broker_also_after_a_restart(
    tmp_path: Path, mosquitto: Mosquitto, settings: dict[str, Any]
) -> None:
    with Watcher(mosquitto.port) as watcher:
        with announcing(tmp_path, settings) as announced:
            announced.update()
            announced.link.start()
            watcher.wait_for(lambda: watcher.payloads(CONFIG))
        with announcing(tmp_path, settings) as announced:
            announced.update(home_assistant=None)
            announced.link.start()
            watcher.wait_for(lambda: watcher.payloads(CONFIG)[-1] == b"")
    with Watcher(mosquitto.port) as later:
        later.publish("end", b"")
        later.wait_for(lambda: later.payloads("end"))
    assert not later.payloads(CONFIG)


def test_a_camera_that_went_is_taken_back(tmp_path: Path, mosquitto: Mosquitto, settings: dict[str, Any]) -> None:
    with Watcher(mosquitto.port) as watcher, announcing(tmp_path, settings) as announced:
        announced.link.start()
        announced.update()
        watcher.wait_for(lambda: len(watcher.payloads(CONFIG)) == 1)
        announced.update(camera=settings["camera"][:1])
        watcher.wait_for(lambda: len(watcher.payloads(CONFIG)) == 2)
    entities = Seen(watcher.messages).document["components"]
    assert entities["CAMERA_dead_COUNT"] == {"platform": "sensor"}
    assert entities["CAMERA_gate_COUNT"]["unique_id"] == "edgetally_box-1_CAMERA_gate_COUNT"
