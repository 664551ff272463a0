"""A box comes into a fleet: the real console over TLS, Mosquitto that asks for certificates, the very commands."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from typing_extensions import Self

from agent.mqtt.check import check_broker
from agent.settings import load_config
from contracts.errors import BrokerError
from tests.integration.brokers import PATIENCE, Mosquitto, wait_until
from tests.integration.enrolling import Site, enrolling, make_broker, make_site

FILE = 'bundle = "b"\nstate_dir = "{state}"\n[[camera]]\nid = "gate"\nsource = "synthetic"\n'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = make_site(tmp_path_factory.mktemp("site"))
    with enrolling(made):
        yield made


def box(site: Site, name: str) -> Path:
    """The agent.toml of a box that is as every other one."""
    folder = site.folder / f"box-{name}"
    folder.mkdir()
    config = folder / "agent.toml"
    config.write_text(FILE.format(state=folder / "state"))
    return config


def test_a_box_is_provisioned_with_a_token_and_reaches_the_broker_as_itself(site: Site) -> None:
    config = box(site, "1")
    options = ["--server", site.server, "--ca", site.ca, "--name", "box-1", "--config", config]
    said = site.agent("provision", *options, "--token", "-", stdin=site.token("--label", "site=a") + "\n")
    assert "this box is box-1, broker localhost:" in said
    assert f"next: edgetally-agent check --config {config}" in said
    broker = make_broker(site)
    try:
        settings = load_config(config)
        assert (settings.device, settings.labels) == ("box-1", {"site": "a"})
        assert check_broker(settings.broker, settings.device) == "5"
    finally:
        broker.stop()


def test_a_token_in_the_command_line_is_taken_with_a_warning_and_one_in_a_file_without(site: Site) -> None:
    options = ["--server", site.server, "--ca", site.ca, "--json"]
    said = site.agent("provision", *options, "--config", box(site, "2"), "--token", site.token("--name", "box-2"))
    assert "may read the token" in said
    (site.folder / "token").write_text(site.token("--name", "box-3") + "\n")
    said = site.agent("provision", *options, "--config", box(site, "3"), "--token-file", site.folder / "token")
    assert json.loads(said)["device"] == "box-3"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--ca", "0" * 64], "does not show the authority whose SHA-256 the invitation names"),
        ([], "not signed by whom the invitation names"),
        (["--server", "https://127.0.0.2:1"], "no answer"),
    ],
)
def test_a_server_that_is_not_the_one_meant_is_sent_no_token(site: Site, options: list[str], said: str) -> None:
    config = site.folder / "nowhere.toml"
    given = ["provision", "--server", site.server, *options, "--config", config, "--state-dir", site.folder / "no"]
    assert said in site.agent(*given, "--token", "-", stdin=site.token() + "\n", code=2)
    assert json.loads(site.fleet("enrol", "token", "list", "--json"))[-1]["used"] == 0


def test_a_used_token_says_what_to_do(site: Site) -> None:
    token = site.token("--name", "box-4")
    options = ["--server", site.server, "--ca", site.ca, "--token", "-"]
    site.agent("provision", *options, "--config", box(site, "4"), stdin=token)
    said = site.agent("provision", *options, "--config", box(site, "5"), stdin=token, code=2)
    assert said.count("\n") == 1
    assert "let in the 1 it was for; ask for another one" in said
    assert token not in said


@pytest.mark.parametrize("way", ["file", "usb", "qr"])
def test_a_box_is_provisioned_from_a_file_a_stick_or_a_code(site: Site, way: str) -> None:
    stick = site.folder / way / "stick"
    stick.mkdir(parents=True)
    file = stick / "provisioning.toml"
    made = ["enrol", "token", "create", "--name", f"by-{way}", "--server", site.server, "--ca", "ca", "--out", file]
    assert f"{file} is for them" in site.fleet(*made)
    if way == "qr":
        pictures = site.folder / way / "pictures"
        pictures.mkdir()
        site.fleet("enrol", "qr", file, "--png", pictures / "code.png")
    options = {
        "file": ["--file", file],
        "usb": ["--usb", stick.parent],
        "qr": ["--qr", "--camera", site.folder / way / "pictures"],
    }
    assert f"this box is by-{way}" in site.agent("provision", *options[way], "--config", box(site, f"by-{way}"))
    said = site.agent("provision", *options[way], "--server", site.server, "--config", site.folder / "no.toml", code=2)
    assert "the invitation has its own server; leave out --server" in said


def test_a_certificate_is_renewed_over_the_network(site: Site) -> None:
    config = box(site, "6")
    options = ["--server", site.server, "--ca", site.ca, "--token", "-", "--config", config]
    site.agent("provision", *options, stdin=site.token("--name", "box-6"))
    assert "there is time yet" in site.agent("renew", "--config", config)
    before = load_config(config).broker.tls
    assert before is not None
    kept = Path(before.certificate or "").read_bytes()
    assert "there is time yet" not in site.agent("renew", "--config", config, "--always")
    assert Path(before.certificate or "").read_bytes() != kept
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(before.certificate or "")


class Box:
    """A box as the broker sees it: whatever has its certificate.

    Args:
        config: its agent.toml.
    """

    def __init__(self, config: Path) -> None:
        settings = load_config(config)
        tls = settings.broker.tls
        assert tls is not None
        assert tls.certificate is not None
        self.device = settings.device
        self.heard: list[tuple[str, bytes]] = []
        self.said: list[str] = []
        self.lost = False
        self._port = settings.broker.port
        self._changed = threading.Condition()
        context = ssl.create_default_context(cafile=tls.ca)
        context.load_cert_chain(tls.certificate, tls.key)
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv311, reconnect_on_failure=False
        )
        self._client.tls_set_context(context)
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message
        self._client.on_publish = self._on_publish
        self._client.on_disconnect = self._on_disconnect

    def __enter__(self) -> Self:
        self._client.connect("localhost", self._port)
        self._client.loop_start()
        self.wait_for(lambda: self.said)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, *, retain: bool = False) -> str:
        """What the broker says of it."""
        before = len(self.said)
        self._client.publish(topic, b"{}", qos=1, retain=retain)
        self.wait_for(lambda: len(self.said) > before)
        return self.said[-1]

    def wait_for(self, condition: Callable[[], object]) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE), (self.said, self.heard)

    def _note(self, text: str) -> None:
        with self._changed:
            self.said.append(text)
            self._changed.notify_all()

    def _on_connect(self, client: paho.Client, _data: object, _flags: object, code: object, _props: object) -> None:
        client.subscribe("#", 1)
        self._note(str(code))

    def _on_publish(self, _client: object, _data: object, _mid: int, code: object, _props: object) -> None:
        self._note(str(code))

    def _on_disconnect(self, *_: object) -> None:
        with self._changed:
            self.lost = True
            self._changed.notify_all()

    def _on_message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        with self._changed:
            self.heard.append((message.topic, bytes(message.payload)))
            self._changed.notify_all()


def refuses(config: Path) -> bool:
    """Whether the broker lets the box in no more, because its certificate was revoked."""
    settings = load_config(config)
    try:
        check_broker(settings.broker, settings.device)
    except BrokerError as error:
        return "certificate was revoked" in str(error)
    return False


def test_a_box_uses_its_own_topics_and_no_others_until_it_is_decommissioned(site: Site) -> None:
    revoked = site.folder / "revoked.crl"
    site.fleet("broker", "revoked", "--out", revoked)
    configs = {name: box(site, name) for name in ("gate-1", "gate-2")}
    token = site.token("--uses", 2, "--name", "gate-*")
    options = ["--server", site.server, "--ca", site.ca, "--token", "-"]
    for name, config in configs.items():
        site.agent("provision", *options, "--name", name, "--config", config, stdin=token)
    broker = make_broker(site, "--revoked", revoked)
    try:
        with Box(configs["gate-1"]) as first, Box(configs["gate-2"]) as second:
            own, others = "edgetally/v1/gate-1/status", "edgetally/v1/gate-2/status"
            for topic in (others, "edgetally/v1/gate-1/desired", own):
                first.publish(topic, retain=True)
            second.publish("edgetally/v1/gate-2/health")
            assert denied(broker, "gate-1") == [others, "edgetally/v1/gate-1/desired"]
            assert not second.heard, "what a box says no other box hears"

            said = site.fleet("enrol", "decommission", "gate-1")
            assert "1 certificate revoked" in said
            assert "edgetally-fleet broker revoked" in said
            site.fleet("broker", "revoked", "--out", revoked)
            broker.read_again()
            wait_until(lambda: refuses(configs["gate-1"]))
            assert not first.lost, "Mosquitto leaves a connection that is open; hence the next command"
            assert kept(site) == {own}
            site.fleet("enrol", "clear", "gate-1", "--broker", f"localhost:{site.broker_port}")
            first.wait_for(lambda: first.lost)
            assert kept(site) == set()
            second.publish(others)
            assert denied(broker, "gate-2") == []
        assert check_broker(load_config(configs["gate-2"]).broker, "gate-2") == "5"
    finally:
        broker.stop()
    again = ["provision", *options, "--name", "gate-1", "--config", box(site, "new")]
    token = site.token("--name", "gate-1")
    said = site.agent(*again, stdin=token, code=2)
    assert "gate-1 was decommissioned" in said
    assert "edgetally-fleet enrol allow gate-1" in said
    site.fleet("enrol", "allow", "gate-1")
    assert "this box is gate-1" in site.agent(*again, stdin=token)
    assert "gate-1  active" in site.fleet("enrol", "list")


def denied(broker: Mosquitto, name: str) -> list[str]:
    """The topics that the broker took nothing on from a box."""
    lines = [line for line in list(broker.log) if f"Denied PUBLISH from {name} " in line]
    return [line.split("'")[1] for line in lines]


def kept(site: Site) -> set[str]:
    """The topics that the broker keeps something on, as the controller sees it."""
    heard: list[str] = []
    done = threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2)
    context = ssl.create_default_context(cafile=site.folder / "ca" / "ca.pem")
    context.load_cert_chain(site.folder / "fleet.pem", site.folder / "fleet.key")
    client.tls_set_context(context)

    def on_message(_client: object, _data: object, message: paho.MQTTMessage) -> None:
        if message.payload:
            heard.append(message.topic)

    def on_connect(*_: object) -> None:
        client.subscribe("#", 1)

    def on_subscribe(*_: object) -> None:
        client.publish("edgetally/v1/x/desired", b"", qos=1)  # answered after all that is kept was sent

    def on_publish(*_: object) -> None:
        done.set()

    client.on_connect, client.on_subscribe, client.on_publish = on_connect, on_subscribe, on_publish
    client.on_message = on_message
    client.connect("localhost", site.broker_port)
    client.loop_start()
    assert done.wait(PATIENCE)
    client.disconnect()
    client.loop_stop()
    return set(heard)
