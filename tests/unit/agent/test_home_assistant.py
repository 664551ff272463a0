"""Home Assistant is told of every camera, zone and line under a name of its own, of no secret, and of what went."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.home_assistant import HomeAssistant, components, document
from agent.mqtt.ports import ForeignTopic, Received
from contracts.config import AgentConfig
from contracts.documents import MachineModel, read_document
from contracts.errors import DocumentError, StorageError
from contracts.health import CameraHealth, Health, SheddingState, StageLatency, Telemetry
from contracts.messages import CameraState, StateNow
from contracts.model_spec import ModelSpec
from contracts.output_spec import ClassesOutput, HeadSpec
from contracts.topics import Topic, discovery_topic

jinja2 = pytest.importorskip("jinja2", reason="Home Assistant's templates are tried where the whole is tested")

SECRET = "correct-horse"
SPEC = ModelSpec.model_validate(
    {
        "name": "m",
        "version": "1.0.0",
        "labels": ["vehicle"],
        "input": {"width": 64, "height": 64},
        "output": {"decoder": "ssd"},
    }
)
CONFIG_TOPIC = "homeassistant/device/box/config"


def a_line(name: str) -> dict[str, Any]:
    return {"name": name, "start": [0, 0.5], "end": [1, 0.5]}


def a_zone(name: str) -> dict[str, Any]:
    return {"name": name, "polygon": [[0, 0], [1, 0], [1, 1]]}


def a_camera(
    name: str = "gate", lines: tuple[str, ...] = ("mid",), zones: tuple[str, ...] = ("yard",)
) -> dict[str, Any]:
    source = f"rtsp://admin:{SECRET}@10.0.0.9/stream"
    return {"id": name, "source": source, "line": [a_line(each) for each in lines], "zone": [a_zone(z) for z in zones]}


def a_config(*cameras: dict[str, Any], prefix: str | None = "homeassistant", **more: Any) -> AgentConfig:
    return AgentConfig.model_validate(
        {
            "device": "box",
            "bundle": f"/srv/{SECRET}",
            "labels": {"site": SECRET},
            "broker": {"host": f"{SECRET}.example", "username": SECRET, "password": SECRET},
            "camera": list(cameras) or [a_camera()],
            "home_assistant": None if prefix is None else {"prefix": prefix},
            **more,
        }
    )


ids = st.text("ab_-1", min_size=1, max_size=3)
names = st.lists(ids, max_size=3, unique=True).map(tuple)
cameras = st.lists(st.builds(a_camera, ids, names, names), min_size=1, max_size=4, unique_by=lambda one: one["id"])


@settings(max_examples=40)
@given(cameras)
def test_every_entity_has_a_name_of_its_own_and_no_secret_is_told(found: list[dict[str, Any]]) -> None:
    config = a_config(*found)
    told = document(config, {"main": SPEC}, {})
    entities = components(config, {"main": SPEC})
    assert len(entities) == 6 + sum(5 + len(one["zone"]) + 2 * len(one["line"]) for one in found)
    unique = [entity["unique_id"] for entity in entities.values()]
    assert len(set(unique)) == len(unique)
    assert all(re.fullmatch("[a-zA-Z0-9_-]+", key) for key in entities)
    assert all(entity["name"] and entity["state_topic"] for entity in entities.values())
    assert SECRET not in json.dumps(told)
    for entity in entities.values():
        Topic.parse(str(entity["state_topic"]))
        jinja2.Environment(autoescape=True).parse(str(entity["value_template"]))


def test_the_document_has_what_device_discovery_asks_for() -> None:
    told = document(a_config(), {"main": SPEC}, {"CAMERA_old_COUNT": "sensor"})
    assert told["device"] == {
        "identifiers": ["edgetally_box"],
        "name": "box",
        "manufacturer": "edgetally",
        "model": "m 1.0.0",
        "sw_version": "0.1.0",
    }
    assert told["origin"] == {"name": "edgetally", "sw_version": "0.1.0"}
    entities: Any = told["components"]
    assert entities["CAMERA_old_COUNT"] == {"platform": "sensor"}
    assert entities["CAMERA_gate_LINE_mid_IN"]["state_class"] == "total_increasing"
    assert entities["CAMERA_gate_COUNT"]["state_class"] == "measurement"
    assert entities["CAMERA_gate_ZONE_yard"]["state_class"] == "measurement"
    topics = [each["topic"] for each in entities["CAMERA_gate_COUNT"]["availability"]]
    assert topics == ["edgetally/v1/box/status", "edgetally/v1/box/camera/gate/state"]
    assert entities["CAMERA_gate_COUNT"]["availability_mode"] == "all"
    # What says why it is not counted must be seen just then.
    assert "availability" not in entities["CAMERA_gate_QUALITY"]
    assert entities["CAMERA_gate_FPS"]["entity_category"] == "diagnostic"


def a_classifier() -> ModelSpec:
    head = HeadSpec(output="Eyes", labels=("open", "shut", "unknown"))
    output = ClassesOutput(decoder="classes", head=(head,))
    return SPEC.model_copy(update={"labels": head.labels, "output": output})


def test_a_classifiers_camera_has_a_sensor_of_its_state_and_none_of_a_count() -> None:
    entities = components(a_config(a_camera("gate", (), ())), {"main": a_classifier()})
    assert "CAMERA_gate_COUNT" not in entities
    sensor = entities["CAMERA_gate_STATE_eyes"]
    assert (sensor["device_class"], sensor["options"]) == ("enum", ["open", "shut"])
    assert "state_class" not in sensor


@pytest.mark.parametrize(("state", "value"), [("shut", "shut"), ("unknown", "None"), (None, "None")])
def test_a_state_that_is_not_known_is_what_home_assistant_calls_unknown(state: str | None, value: str) -> None:
    template = str(components(a_config(), {"main": a_classifier()})["CAMERA_gate_STATE_eyes"]["value_template"])
    told = a_state(count=None, states={"eyes": StateNow(state=state, since=None)})
    assert rendered(template, told) == value
    assert rendered(template, a_state()) == "None", "of before the model was changed"


def test_values_of_health_which_is_not_retained_expire_and_those_of_states_do_not() -> None:
    entities = components(a_config(health_seconds=60), {"main": SPEC})
    health = [one for one in entities.values() if str(one["state_topic"]).endswith("/health")]
    assert [one["expire_after"] for one in health] == [180] * 8
    assert all("expire_after" not in one for one in entities.values() if one not in health)


def shown(config: AgentConfig, message: MachineModel, key: str) -> str:
    """What Home Assistant makes of a message."""
    return rendered(str(components(config, {"main": SPEC})[key]["value_template"]), message)


def rendered(template: str, message: MachineModel) -> str:
    value = json.loads(message.model_dump_json(by_alias=True))
    text = (
        jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=True)
        .from_string(template)
        .render(value_json=value)
    )
    return str(text)


def a_state(**more: Any) -> CameraState:
    fresh = {"available": True, "quality": "ok", "frame": 7, "count": 2.5, "zones": {"yard": 1.0}}
    lines = {"mid": {"in": 4, "out": 0}}
    return CameraState.model_validate({"device": "box", "camera": "gate", "at": "t", "lines": lines, **fresh, **more})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("COUNT", "2.5"),
        ("ZONE_yard", "1.0"),
        ("LINE_mid_IN", "4"),
        ("LINE_mid_OUT", "0"),
        ("QUALITY", "ok"),
        ("FRESH", "ON"),
    ],
)
def test_a_template_gives_what_the_state_says(key: str, value: str) -> None:
    assert shown(a_config(), a_state(), f"CAMERA_gate_{key}") == value


@pytest.mark.parametrize(
    ("key", "value"), [("COUNT", "None"), ("ZONE_yard", "None"), ("QUALITY", "stale"), ("FRESH", "OFF")]
)
def test_without_a_fresh_frame_nothing_is_a_number(key: str, value: str) -> None:
    blind = a_state(available=False, quality="stale", count=None, zones={"yard": None})
    assert shown(a_config(), blind, f"CAMERA_gate_{key}") == value


@pytest.mark.parametrize("key", ["ZONE_new", "LINE_new_IN"])
def test_a_state_from_before_a_zone_or_line_was_there_is_unknown(key: str) -> None:
    assert shown(a_config(a_camera("gate", ("new",), ("new",))), a_state(), f"CAMERA_gate_{key}") == "None"


def test_health_is_read_also_where_it_says_little() -> None:
    latency = StageLatency(n=9, p50=12.5, p90=20, p99=30)
    camera = CameraHealth(fps=25, latency_ms=latency, frames_seen=1, frames_dropped={}, reconnects=0, quality="ok")
    full = Health(
        device="box", at="t", uptime=1, rss_mb=80.5, outbox_waiting=3, outbox_dropped=0, disk_bytes_per_day=9,
        cameras={"gate": camera}, telemetry=Telemetry(celsius=61.5), shedding=SheddingState(share=0.5),
    )  # fmt: skip
    keys = ["MEMORY", "OUTBOX", "DROPPED", "WRITTEN", "CAMERA_gate_FPS", "CAMERA_gate_LATENCY"]
    keys += ["TEMPERATURE", "FRAMES_TAKEN"]
    assert [shown(a_config(), full, key) for key in keys] == ["80.5", "3", "0", "9", "25.0", "12.5", "61.5", "0.5"]
    little = Health(device="box", at="t", uptime=1, rss_mb=None, outbox_waiting=None, outbox_dropped=None, cameras={})
    assert {shown(a_config(), little, key) for key in keys} <= {"None", ""}


class Outlet:
    """Notes what is published for whom, and who listens."""

    def __init__(self) -> None:
        self.published: list[tuple[str, Any]] = []
        self.listeners: dict[str, Callable[[Received], None]] = {}

    def publish_foreign(self, topic: ForeignTopic, payload: bytes) -> None:
        self.published.append((str(topic), json.loads(payload) if payload else None))

    def listen(self, topic: str, receiver: Callable[[Received], None]) -> None:
        self.listeners[topic] = receiver

    def state(self, topic: Topic, message: MachineModel | None) -> None:
        raise AssertionError("values are not published a second time")

    def wake(self) -> None:
        raise AssertionError("there is no report")


class Memory:
    """Forgets nothing, unless its disk is broken."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.writes = 0
        self.is_broken = False

    def remembered(self, key: str) -> str | None:
        if self.is_broken:
            raise StorageError("state", OSError(5, "Input/output error"))
        return self.texts.get(key)

    def remember(self, key: str, value: str) -> None:
        if self.is_broken:
            raise StorageError("state", OSError(5, "Input/output error"))
        self.texts[key] = value
        self.writes += 1


def updated(memory: Memory, config: AgentConfig) -> Outlet:
    """A start of the agent with this configuration."""
    outlet = Outlet()
    HomeAssistant(outlet, memory).update(config, {"main": SPEC})
    return outlet


def test_where_it_was_never_switched_on_nothing_happens() -> None:
    memory = Memory()
    outlet = updated(memory, a_config(prefix=None))
    assert (outlet.published, outlet.listeners, memory.writes) == ([], {}, 0)


def test_switching_it_off_takes_the_box_back_also_after_a_restart_and_for_as_long_as_it_may_need() -> None:
    memory = Memory()
    (published,) = updated(memory, a_config()).published
    assert published == (CONFIG_TOPIC, document(a_config(), {"main": SPEC}, {}))
    for _ in range(2):  # the broker may have been away the first time
        assert updated(memory, a_config(prefix=None)).published == [(CONFIG_TOPIC, None)]
    assert memory.writes == 1


def test_what_went_is_said_to_be_gone_until_it_comes_back() -> None:
    memory = Memory()
    updated(memory, a_config(a_camera("gate"), a_camera("yard", ("a",), ())))
    smaller = a_config(a_camera("gate", (), ()))
    for _ in range(2):
        ((_, told),) = updated(memory, smaller).published
        gone = {key for key, entity in told["components"].items() if entity.keys() == {"platform"}}
        assert {
            "CAMERA_yard_LINE_a_IN",
            "CAMERA_yard_COUNT",
            "CAMERA_gate_LINE_mid_OUT",
            "CAMERA_gate_ZONE_yard",
        } <= gone
        assert not gone & components(smaller, {"main": SPEC}).keys()
        assert told["components"]["CAMERA_yard_FRESH"] == {"platform": "binary_sensor"}
    ((_, told),) = updated(memory, a_config(a_camera("gate"))).published
    assert told["components"]["CAMERA_gate_LINE_mid_OUT"]["state_class"] == "total_increasing"


def test_another_prefix_takes_the_box_back_from_the_one_before() -> None:
    memory = Memory()
    updated(memory, a_config())
    other = updated(memory, a_config(prefix="ha/test"))
    assert [topic for topic, _ in other.published] == [CONFIG_TOPIC, "ha/test/device/box/config"]
    assert other.published[0][1] is None
    assert list(other.listeners) == ["ha/test/status"]


def test_the_box_is_announced_again_when_home_assistant_comes_and_only_then() -> None:
    memory, outlet = Memory(), Outlet()
    announcer = HomeAssistant(outlet, memory)
    announcer.update(a_config(), {"main": SPEC})
    outlet.published.clear()
    heard = outlet.listeners["homeassistant/status"]
    for payload in (b"offline", b"", b"\xff", b"online "):
        heard(Received("homeassistant/status", payload, retained=False))
    assert outlet.published == []
    heard(Received("homeassistant/status", b"online", retained=True))
    assert [topic for topic, _ in outlet.published] == [CONFIG_TOPIC]
    announcer.update(a_config(prefix=None), {"main": SPEC})
    outlet.published.clear()
    heard(Received("homeassistant/status", b"online", retained=False))
    assert outlet.published == []


def test_a_broken_disk_keeps_nobody_from_being_found(caplog: pytest.LogCaptureFixture) -> None:
    memory = Memory()
    memory.is_broken = True
    assert [topic for topic, _ in updated(memory, a_config()).published] == [CONFIG_TOPIC]
    assert "may stay" in caplog.text


def test_an_unchanged_configuration_writes_nothing_to_the_disk() -> None:
    memory = Memory()
    for _ in range(3):
        updated(memory, a_config())
    assert memory.writes == 1


@pytest.mark.parametrize("prefix", ["", "home assistant", "a/#", "+", "a//b", "/a", "a/"])
def test_a_prefix_that_is_no_topic_is_refused(prefix: str) -> None:
    with pytest.raises(DocumentError, match=r"home_assistant\.prefix"):
        read_document(
            AgentConfig, a_config().model_dump(mode="json") | {"home_assistant": {"prefix": prefix}}, "agent.toml"
        )


def test_the_topic_is_where_home_assistant_looks() -> None:
    config = a_config(prefix="ha/test")
    assert config.home_assistant is not None
    assert discovery_topic(config.home_assistant.prefix, "box") == "ha/test/device/box/config"
