"""The rules that `edgetally-fleet broker acl` writes, at a real Mosquitto: boxes stay below their own ids."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from pydantic import SecretStr

from agent.mqtt.check import exchange
from contracts.config import BrokerConfig
from contracts.errors import BrokerError
from contracts.topics import ROOT, Channel, Topic, birth_topic, discovery_topic
from fleet.broker.mosquitto import acl_file
from fleet.broker.rules import Users
from fleet.store.database import Database
from fleet.store.devices import DeviceStore
from tests.e2e.agents import Agent, run_cli
from tests.integration.brokers import PASSWORD, Authority, Mosquitto, Watcher, free_port, password_file, wait_until
from tests.integration.squares import camera, write_bundle, write_pictures
from tests.integration.test_fleet_inventory import Serving

ALL_SEEING = "test"
SECRET = SecretStr(PASSWORD)
HOSTILE = ("+", "a/#", "+/status", "box-1/status", "box-1/", "../box-1", "$SYS", "box-?", "box-*", "%u", "BOX-1")
HOME_ASSISTANT = discovery_topic("homeassistant", "box-1")


def topics(device: str) -> list[str]:
    """Every topic of a box, by one name of each kind."""
    names = {Channel.RPC: "snapshot", Channel.RPC_REPLY: "snapshot"}
    named = {channel: names.get(channel, "gate") if channel.named else None for channel in Channel}
    return [str(Topic(device, channel, name)) for channel, name in named.items()]


def upward(device: str) -> list[str]:
    """Those that the box itself publishes, Home Assistant's last."""
    own = [topic for topic in topics(device) if Topic.parse(topic).channel.upward]
    return [*own, discovery_topic("homeassistant", device)]


def downward(device: str) -> list[str]:
    return [topic for topic in topics(device) if topic not in upward(device)]


def broker_with(folder: Path, text: str) -> Mosquitto:
    """A broker with these rules, and somebody who sees everything."""
    rules = folder / "rules.acl"
    rules.write_text(f"{text}user {ALL_SEEING}\ntopic readwrite #\n")
    names = ["box-1", "box-2", "fleet", "hass", "bill", ALL_SEEING, *HOSTILE]
    passwords = password_file(folder / "passwords", names)
    lines = ["allow_anonymous false", f"password_file {passwords}", f"acl_file {rules}"]
    return Mosquitto(folder, lines, ["use_username_as_clientid true"]).start()


@pytest.fixture(params=["patterns", "named"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Mosquitto]:
    users = Users(("fleet",), ("hass",), ("bill",))
    running = broker_with(tmp_path, acl_file(users, None if request.param == "patterns" else ["box-1", "box-2"]))
    yield running
    running.stop()


def heard_of(broker: Mosquitto, user: str, sent: list[str], last: str) -> list[str]:
    """What reaches the broker of what a user publishes; ``last`` has to be something that it may publish."""
    with Watcher(broker.port, user=ALL_SEEING) as watcher, Watcher(broker.port, "nothing", user=user) as client:
        for topic in [*sent, last]:
            client.publish(topic, b"{}", retain=True)
        watcher.wait_for(lambda: [one for one in watcher.messages if one.topic == last and not one.retained])
        return [message.topic for message in watcher.messages]


def test_a_box_publishes_all_that_it_has_to(broker: Mosquitto) -> None:
    sent = upward("box-2")
    assert heard_of(broker, "box-2", sent[:-1], sent[-1]) == sent


def test_a_box_publishes_nothing_as_another_nor_what_is_sent_to_it_nor_anything_else(broker: Mosquitto) -> None:
    discovery = [
        HOME_ASSISTANT,
        "homeassistant/sensor/box-1/count/config",
        "homeassistant/sensor/box-2/count/config",
        "homeassistant/device/box-2/x/config",
        "homeassistant/device/config",
        "homeassistant/device/box-2",
        birth_topic("homeassistant"),
    ]
    strange = [
        f"{ROOT}/box-2", f"{ROOT}/box-2/other", f"{ROOT}/box-2/status/x", f"{ROOT}/box-2/camera/gate/line/state",
        f"{ROOT}/box-2/desired/x", f"{ROOT}//status", "edgetally/v2/box-2/status", f"/{ROOT}/box-2/status", "other",
        f"{ROOT}/%u/status", f"{ROOT}/BOX-2/status",
    ]  # fmt: skip
    own = str(Topic("box-2", Channel.STATUS))
    assert heard_of(broker, "box-2", [*topics("box-1"), *downward("box-2"), *discovery, *strange], own) == [own]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_name_that_is_no_box_gives_no_way_to_write_or_read_as_one(hostile: str, tmp_path: Path) -> None:
    broker = broker_with(tmp_path, acl_file(Users(("fleet",))))
    try:
        with (
            Watcher(broker.port, user=ALL_SEEING) as watcher,
            Watcher(broker.port, user=hostile) as listener,
            Watcher(broker.port, "nothing", user="box-2") as box,
        ):
            for topic in [*topics("box-1"), HOME_ASSISTANT]:
                listener.publish(topic, b"{}", retain=True)
                watcher.publish(topic, b"secret")
            box.publish(str(Topic("box-2", Channel.HELLO)), b"{}")
            watcher.wait_for(lambda: watcher.payloads("box-2/hello"))
            watcher.publish(birth_topic("homeassistant"), b"online")  # what everybody may read comes last
            if listener.messages:
                listener.wait_for(lambda: listener.payloads("homeassistant/status"))
        published = [message.topic for message in watcher.messages if message.payload == b"{}"]
        assert published == [str(Topic("box-2", Channel.HELLO))]
        assert b"secret" not in [message.payload for message in listener.messages]
    finally:
        broker.stop()


@pytest.mark.parametrize(
    "wildcard", ["#", f"{ROOT}/#", f"{ROOT}/+/desired", f"{ROOT}/box-1/#", "+/+/+/+", "homeassistant/#", "$share/g/#"]
)
def test_a_box_reads_nothing_of_another_by_any_wildcard(broker: Mosquitto, wildcard: str) -> None:
    own = [*downward("box-2"), birth_topic("homeassistant")]
    with Watcher(broker.port, "nothing", user=ALL_SEEING) as writer:
        for topic in [*topics("box-1"), HOME_ASSISTANT]:
            writer.publish(topic, b"before", retain=True)
        with Watcher(broker.port, wildcard, user="box-2") as box, Watcher(broker.port, user="box-1") as other:
            for topic in [*topics("box-1"), *upward("box-2"), *own, *downward("box-1")]:
                writer.publish(topic, b"{}")
            other.wait_for(lambda: other.messages[-1:] and other.messages[-1].topic == downward("box-1")[-1])
            assert {message.topic for message in box.messages} <= set(own)
            if wildcard in {"#", f"{ROOT}/#"}:
                box.wait_for(lambda: set(downward("box-2")) <= {message.topic for message in box.messages})


def test_a_will_in_the_name_of_another_box_is_never_published(broker: Mosquitto) -> None:
    own = str(Topic("box-2", Channel.STATUS))
    with Watcher(broker.port, user=ALL_SEEING) as watcher:
        for topic in [*topics("box-1"), HOME_ASSISTANT, birth_topic("homeassistant")]:
            die_with_will(broker, "box-2", topic)
        die_with_will(broker, "box-2", own)
        watcher.wait_for(lambda: watcher.payloads(own))
        assert [message.topic for message in watcher.messages] == [own]


def die_with_will(broker: Mosquitto, user: str, topic: str) -> None:
    """Connect and vanish; returns once the broker noticed."""
    seen, answers = len(broker.log), list[int]()
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=user, protocol=MQTTProtocolVersion.MQTTv5)
    client.username_pw_set(user, PASSWORD)
    client.will_set(topic, b"{}", qos=1, retain=True)
    client.on_connect = lambda _client, _data, _flags, code, _properties: answers.append(code.value)
    client.connect("127.0.0.1", broker.port)
    while not answers:
        client.loop(1.0)
    sock = client.socket()
    if sock is not None:
        sock.close()
        broker.wait_for_log(f"Client {user} closed its connection", seen)


def test_whoever_is_no_box_does_what_it_has_to_and_writes_as_no_box(broker: Mosquitto) -> None:
    fleet = [*downward("box-1"), *downward("box-2")]
    assert heard_of(broker, "fleet", [*upward("box-1"), "other", *fleet[:-1]], fleet[-1]) == fleet
    hass = [birth_topic("homeassistant"), HOME_ASSISTANT]
    got = heard_of(broker, "hass", [*topics("box-1"), hass[0]], hass[1])
    assert [topic for topic in got if topic not in fleet] == hass
    with Watcher(broker.port, user=ALL_SEEING) as writer, Watcher(broker.port, user="bill") as reader:
        for topic in upward("box-1"):
            writer.publish(topic, b"1")
        last = str(Topic("box-1", Channel.CAMERA_STATE, "gate"))
        writer.publish(last, b"last")
        reader.wait_for(lambda: reader.payloads("gate/state")[-1:] == [b"last"])
        kinds = {Topic.parse(message.topic).channel for message in reader.messages if message.topic.startswith(ROOT)}
    assert kinds == {Channel.STATUS, Channel.CAMERA_STATE, Channel.CAMERA_COUNTS, Channel.CAMERA_EVENTS}


def test_nobody_takes_the_connection_of_another_over_by_its_client_id(broker: Mosquitto) -> None:
    with Watcher(broker.port, client_id="box-1", user="box-1") as box:
        with Watcher(broker.port, client_id="box-1", user="box-2") as thief:
            thief.publish(str(Topic("box-2", Channel.STATUS)), b"{}")
        with Watcher(broker.port, "nothing", user=ALL_SEEING) as writer:
            writer.publish(str(Topic("box-1", Channel.DESIRED)), b"{}")
            box.wait_for(lambda: box.payloads("box-1/desired"))
        assert not box.is_lost


def agent_settings(folder: Path, broker: dict[str, Any]) -> dict[str, Any]:
    return {
        "bundle": str(write_bundle(folder / "squares.bundle")),
        "broker": broker,
        "home_assistant": {},
        "camera": [camera(write_pictures(folder / "road"))],
    }


def test_a_real_box_the_controller_and_home_assistant_work_under_the_rules(tmp_path: Path) -> None:
    written = run_cli(
        "fleet.cli", "broker", "acl", "--controller", "fleet", "--home-assistant", "hass", "--reader", "bill"
    )
    assert written.returncode == 0, written.stderr
    broker = broker_with(tmp_path, written.stdout)
    password = tmp_path / "password"
    password.write_text(PASSWORD)
    serving = Serving(tmp_path, broker.port, "--username", "fleet", "--password-file", str(password))
    serving.start()
    store = DeviceStore(Database(str(serving.database)))
    login = {"host": "127.0.0.1", "port": broker.port, "username": "box-1", "password": PASSWORD}
    with Watcher(broker.port, user="hass") as home, Watcher(broker.port, user="bill") as bill:
        with Agent(tmp_path, agent_settings(tmp_path, login), until_end=False) as agent:
            home.wait_for(lambda: home.payloads(HOME_ASSISTANT) and home.payloads("gate/state"))
            home.wait_for(lambda: home.payloads("box-1/health") and home.payloads("box-1/status"))
            told = len(home.payloads(HOME_ASSISTANT))
            home.publish(birth_topic("homeassistant"), b"online")
            home.wait_for(lambda: len(home.payloads(HOME_ASSISTANT)) > told)
            bill.wait_for(lambda: bill.payloads("gate/counts"))
            wait_until(lambda: (found := store.get("box-1")) and found.device.models and found.device.online)
            agent.kill()
            home.wait_for(lambda: b"offline" in home.payloads("box-1/status")[-1])
        document = json.loads(home.payloads(HOME_ASSISTANT)[-1])
        assert document["components"]["CAMERA_gate_COUNT"]
    assert serving.end(signal.SIGTERM) == 0
    broker.stop()
    assert not [line for line in broker.log if "Denied" in line and "box-1" in line]


def test_the_configuration_that_is_written_lets_certificates_in_and_each_is_who_its_common_name_says(
    tmp_path: Path,
) -> None:
    authority, port = Authority(tmp_path), free_port()
    certificate, key = authority.issue("server")
    names = {name: authority.issue(name, subject=name) for name in ("box-1", "box-2", "fleet")}
    revoked = authority.revoke(names["box-2"][0])
    rules, state = tmp_path / "rules.acl", tmp_path / "state"
    state.mkdir()
    run_cli("fleet.cli", "broker", "acl", "--controller", "fleet", "--out", rules)
    files = ["--acl", rules, "--certificate", certificate, "--key", key, "--client-ca", authority.certificate]
    written = run_cli(
        "fleet.cli", "broker", "config", *files, "--revoked", revoked, "--port", port, "--address", "127.0.0.1",
        "--state", state,
    )  # fmt: skip
    assert written.returncode == 0, written.stderr
    broker = Mosquitto(tmp_path, written.stdout.splitlines()).start()
    fleet = [str(path) for path in names["fleet"]]
    options = ["--ca", str(authority.certificate), "--certificate", fleet[0], "--key", fleet[1]]
    serving = Serving(tmp_path, port, *options)
    serving.start()
    store = DeviceStore(Database(str(serving.database)))

    def login(name: str) -> dict[str, Any]:
        tls = {"ca": authority.certificate, "certificate": names[name][0], "key": names[name][1]}
        return {"host": "127.0.0.1", "port": port, "tls": {kind: str(path) for kind, path in tls.items()}}

    settings = agent_settings(tmp_path, login("box-1"))
    with Agent(tmp_path, settings, until_end=False):
        wait_until(lambda: (found := store.get("box-1")) and found.device.models and found.device.online)
    wait_until(lambda: (found := store.get("box-1")) and found.device.online is False)
    with Agent(tmp_path, {**settings, "broker": login("box-2")}, until_end=False) as other:
        other.wait_for_log("certificate was revoked")
    assert serving.end(signal.SIGTERM) == 0
    broker.stop()
    broker.start()  # what is retained was kept
    serving = Serving(tmp_path, port, *options, "--database", str(tmp_path / "new.db"))
    serving.start()
    fresh = DeviceStore(Database(str(tmp_path / "new.db")))
    wait_until(lambda: (found := fresh.get("box-1")) and found.device.models and found.device.labels == {})
    serving.end(signal.SIGTERM)
    broker.stop()


def test_the_doctor_of_a_box_may_publish_and_reads_nothing_back(broker: Mosquitto) -> None:
    done = exchange(BrokerConfig(host="127.0.0.1", port=broker.port, username="box-1", password=SECRET), "box-1")
    assert not done.heard


def test_the_doctor_of_a_box_with_the_name_of_another_is_told_that_it_may_not(broker: Mosquitto) -> None:
    config = BrokerConfig(host="127.0.0.1", port=broker.port, username="box-1", password=SECRET, protocol="5")
    with pytest.raises(BrokerError, match=r"refuses what it publishes.*below edgetally/v1/box-2/"):
        exchange(config, "box-2")
