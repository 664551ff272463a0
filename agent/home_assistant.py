"""Home Assistant finds a box by itself: one retained discovery document, whose templates read the box's own topics.

Nothing is published twice: every entity reads ``camera/<id>/state``, ``health`` or ``status``. The formats are those of
"MQTT discovery" (device discovery payload) and "MQTT sensor" in Home Assistant's documentation, from 2024.11 on.
"""

from __future__ import annotations

import json
import logging
import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, get_args

from agent.counting.counter import questions_asked
from agent.counting.states import UNKNOWN, Question
from agent.mqtt.ports import ForeignTopic, Outlet, Received
from contracts.config import AgentConfig, CameraConfig
from contracts.errors import StorageError
from contracts.messages import Quality
from contracts.model_spec import ModelSpec
from contracts.topics import Channel, Topic, birth_topic, discovery_topic
from contracts.version import VERSION

_log = logging.getLogger(__name__)

Component = dict[str, object]
"""An entity's configuration, without its key."""

_MEMORY = "home_assistant"
_LEAST_EXPIRY = 30  # seconds that a value of `health`, which is not retained, holds at least
_MISSED = 3  # health messages in a row that may get lost before their values expire
_MOST_PAST = 8  # prefixes from which the box is taken back
_MOST_GONE = 500  # entities that are said to be gone; a document must stay below what brokers take


class Memory(Protocol):
    """Texts that survive a restart; the store is one."""

    def remembered(self, key: str) -> str | None:
        """A text, None where there is none."""

    def remember(self, key: str, value: str) -> None:
        """Keep a text."""


class HomeAssistant:
    """Keeps the discovery document of a box as its configuration says; `update` may be called by any one thread.

    What was published is remembered, so that it is taken back also where the agent was stopped in between.

    Args:
        outlet: publishes and listens; the link.
        memory: the store.
    """

    def __init__(self, outlet: Outlet, memory: Memory) -> None:
        self._outlet = outlet
        self._memory = memory
        self._mutex = threading.Lock()
        self._listening: set[str] = set()
        self._published: tuple[ForeignTopic, bytes] | None = None
        self._birth = ""

    def update(self, config: AgentConfig, specs: Mapping[str, ModelSpec]) -> None:
        """Publish what fits this configuration and take back what does not; at the start and after every change.

        Args:
            config: all settings.
            specs: the models that count.
        """
        topics, known = self._recall()
        wanted = config.home_assistant
        topic = None if wanted is None else ForeignTopic(discovery_topic(wanted.prefix, config.device))
        current = {} if wanted is None else components(config, specs)
        gone = {key: platform for key, platform in known.items() if key not in current} if wanted else {}
        gone = dict(list(gone.items())[-_MOST_GONE:])
        platforms = {key: str(component["platform"]) for key, component in current.items()}
        # Remembered first: what was published and then forgotten would stay for ever.
        past = [text for text in topics if topic is None or text != topic.text][-_MOST_PAST:]
        kept = [*past, topic.text] if topic else past
        self._remember(kept, {**gone, **platforms} if topic else known, (topics, known))
        payload = json.dumps(document(config, specs, gone), separators=(",", ":")).encode()
        with self._mutex:
            self._published = (topic, payload) if topic else None
            self._birth = birth_topic(wanted.prefix) if wanted else ""
        for text in past:
            self._outlet.publish_foreign(ForeignTopic(text), b"")
        self._publish()
        if self._birth and self._birth not in self._listening:
            self._listening.add(self._birth)
            self._outlet.listen(self._birth, self._heard)

    def _heard(self, message: Received) -> None:
        """Home Assistant said that it is there: it may have lost what it knew, or the broker what it kept."""
        with self._mutex:
            is_meant = message.topic == self._birth
        if is_meant and message.payload == b"online":
            self._publish()

    def _publish(self) -> None:
        with self._mutex:
            if self._published is not None:
                self._outlet.publish_foreign(*self._published)

    def _recall(self) -> tuple[list[str], dict[str, str]]:
        """Topics and entities that were ever published, with their platforms; oldest first."""
        try:
            text = self._memory.remembered(_MEMORY)
        except StorageError as error:
            _log.error("%s; entities of Home Assistant that went may stay", error)
            text = None
        if text is None:
            return [], {}
        read = json.loads(text)
        return list(read["topics"]), dict(read["components"])

    def _remember(self, topics: list[str], known: dict[str, str], before: tuple[list[str], dict[str, str]]) -> None:
        if (topics, known) == before:  # the disk is not written at every start
            return
        try:
            self._memory.remember(_MEMORY, json.dumps({"topics": topics, "components": known}))
        except StorageError as error:
            _log.error("%s; entities of Home Assistant may stay when they are switched off", error)


def document(config: AgentConfig, specs: Mapping[str, ModelSpec], gone: Mapping[str, str]) -> dict[str, object]:
    """The discovery document.

    Args:
        config: all settings; none of its secrets enters.
        specs: the models that count.
        gone: keys and platforms of entities that were there once: Home Assistant keeps what is only left out.
    """
    entities: dict[str, Component] = {**components(config, specs), **{key: {"platform": gone[key]} for key in gone}}
    return {
        "device": {
            "identifiers": [f"edgetally_{config.device}"],
            "name": config.device,
            "manufacturer": "edgetally",
            "model": ", ".join(f"{spec.name} {spec.version}" for spec in specs.values()),
            "sw_version": VERSION,
        },
        "origin": {"name": "edgetally", "sw_version": VERSION},
        "availability": [_connected(config.device)],
        "availability_mode": "all",
        "qos": 1,
        "components": entities,
    }


def components(config: AgentConfig, specs: Mapping[str, ModelSpec]) -> dict[str, Component]:
    """All entities of a box by their keys; the keys' capitals keep names apart, which have none."""
    found: dict[str, Component] = dict(_health_entities(config))
    for camera in config.camera:
        found |= _camera_entities(config, camera, questions_asked(specs[camera.model]))
    for key, component in found.items():
        component["unique_id"] = f"edgetally_{config.device}_{key}"
    return found


def _camera_entities(
    config: AgentConfig, camera: CameraConfig, questions: Sequence[Question]
) -> Iterator[tuple[str, Component]]:
    state = str(Topic(config.device, Channel.CAMERA_STATE, camera.id))
    key = f"CAMERA_{camera.id}"
    fresh = [_connected(config.device), _fresh(state)]
    level: Component = {"platform": "sensor", "state_topic": state, "availability": fresh, "availability_mode": "all"}
    measured = level | {"state_class": "measurement", "suggested_display_precision": 1}
    total = level | {"state_class": "total_increasing", "suggested_display_precision": 0}
    for question in questions:
        yield f"{key}_STATE_{question.name}", level | _state_entity(camera.id, question)
    if not questions:
        yield f"{key}_COUNT", measured | {"name": f"{camera.id} count", "value_template": _template("['count']")}
    for zone in camera.zone:
        value = _template(f"['zones'].get('{zone.name}')")
        yield f"{key}_ZONE_{zone.name}", measured | {"name": f"{camera.id} {zone.name}", "value_template": value}
    for line in camera.line:
        for way in ("in", "out"):
            value = _template(f"['lines'].get('{line.name}', {{}}).get('{way}')")
            name = f"{camera.id} {line.name} {way}"
            yield f"{key}_LINE_{line.name}_{way.upper()}", total | {"name": name, "value_template": value}
    yield from _camera_diagnostics(config, camera.id, state).items()


def _state_entity(camera: str, question: Question) -> Component:
    """What tells a state; Home Assistant has a word of its own for one that is not known."""
    state = f"value_json['states'].get('{question.name}', {{}}).get('state')"
    return {
        "name": f"{camera} {question.name}",
        "device_class": "enum",
        "options": [label for label in question.labels if label != UNKNOWN],
        "value_template": f"{{{{ None if {state} == '{UNKNOWN}' else {state} }}}}",
    }


def _camera_diagnostics(config: AgentConfig, camera: str, state: str) -> dict[str, Component]:
    """What says why a camera is not counted: available also then."""
    key = f"CAMERA_{camera}"
    of_camera = f"['cameras'].get('{camera}', {{}})"
    return {
        f"{key}_FRESH": {
            "platform": "binary_sensor",
            "name": f"{camera} fresh frames",
            "device_class": "connectivity",
            "entity_category": "diagnostic",
            "state_topic": state,
            "value_template": "{{ 'ON' if value_json['available'] else 'OFF' }}",
        },
        f"{key}_QUALITY": {
            "platform": "sensor",
            "name": f"{camera} quality",
            "device_class": "enum",
            "options": list(get_args(Quality)),
            "entity_category": "diagnostic",
            "state_topic": state,
            "value_template": _template("['quality']"),
        },
        f"{key}_FPS": _health_entity(config, f"{camera} frame rate", f"{of_camera}.get('fps')", "fps"),
        f"{key}_LATENCY": _health_entity(
            config, f"{camera} latency", f"{of_camera}.get('latency_ms')|default({{}}, true)", "ms", then=".get('p50')"
        ),
    }


def _health_entities(config: AgentConfig) -> Iterator[tuple[str, Component]]:
    yield "MEMORY", _health_entity(config, "memory", "['rss_mb']", "MB") | {"device_class": "data_size"}
    yield "OUTBOX", _health_entity(config, "reports waiting", "['outbox_waiting']", None)
    dropped = _health_entity(config, "reports dropped", "['outbox_dropped']", None)
    yield "DROPPED", dropped | {"state_class": "total_increasing"}
    written = _health_entity(config, "disk writes a day", ".get('disk_bytes_per_day')", "B")
    yield "WRITTEN", written | {"device_class": "data_size"}
    told, shedding = (f".get('{part}')|default({{}}, true)" for part in ("telemetry", "shedding"))
    temperature = _health_entity(config, "temperature", told, "°C", then=".get('celsius')")
    yield "TEMPERATURE", temperature | {"device_class": "temperature"}
    yield "FRAMES_TAKEN", _health_entity(config, "share of frames taken", shedding, None, then=".get('share')")


def _health_entity(config: AgentConfig, name: str, path: str, unit: str | None, then: str = "") -> Component:
    """A diagnostic measurement read from ``health``, which is not retained: it expires."""
    value = f"{{{{ (value_json{path}){then} }}}}" if then else _template(path)
    entity: Component = {
        "platform": "sensor",
        "name": name,
        "state_class": "measurement",
        "entity_category": "diagnostic",
        "state_topic": str(Topic(config.device, Channel.HEALTH)),
        "value_template": value,
        "expire_after": max(_LEAST_EXPIRY, math.ceil(_MISSED * config.health_seconds)),
    }
    return entity if unit is None else entity | {"unit_of_measurement": unit}


def _connected(device: str) -> Component:
    """Available while the box is connected, by its own word or its will's."""
    return {"topic": str(Topic(device, Channel.STATUS)), "value_template": _template("['status']")}


def _fresh(state: str) -> Component:
    """Available while fresh frames of the camera are counted."""
    return {"topic": state, "value_template": "{{ 'online' if value_json['available'] else 'offline' }}"}


def _template(path: str) -> str:
    """A template of a message's value; null comes out as ``None``, which Home Assistant shows as unknown."""
    return f"{{{{ value_json{path} }}}}"
