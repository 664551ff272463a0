"""Requests over a real broker: asked by hand, signed with OpenSSL, replayed, retained, and thrown in as rubbish."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.backoff import Backoff
from agent.disk import Disk
from agent.mqtt.link import LinkSettings, MqttLink
from agent.remote.control import Clock
from agent.rpc.selftest import CameraSeen, broker_trial, camera_trials, clock_trial, disk_trial
from agent.rpc.server import RpcServer, RpcSettings
from agent.store import Store
from contracts.config import BrokerConfig
from contracts.desired import ENVELOPE_TYPE
from contracts.messages import Hello
from contracts.rpc import REQUEST_TYPE, RpcReply, SelfTest, Snapshot
from tests.fakes.rpc import ALL, FakeBox, look, request
from tests.integration.brokers import Mosquitto, Watcher, mosquitto
from tests.integration.test_remote_signing import Operator

__all__ = ["mosquitto"]


def topic(op: str) -> str:
    return f"edgetally/v1/box-1/rpc/{op}"


class AnsweringBox:
    """The link and what answers, as the daemon wires them, and no cameras.

    Args:
        folder: for its state and keys.
        port: of the broker.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self.keys = folder / "operator-keys.json"
        self.fake = FakeBox()
        self.fake.looks["gate"] = look(height=720, width=1280)
        self._folder = folder
        self._store = Store.open(folder / "state")
        self.link = MqttLink(
            BrokerConfig(host="127.0.0.1", port=port), "box-1", "boot", self._store,
            hello=lambda: Hello(device="box-1", boot_id="boot", version="0"),
            settings=LinkSettings(flush=0.5, farewell=0.5),
            backoff=Backoff(first=0.05, most=0.2),
        )  # fmt: skip
        self.link.start()
        self._server: RpcServer | None = None
        self.boot()

    def boot(self) -> None:
        """Begin to answer, anew where it did before."""
        if self._server is not None:
            self._server.close()
        state = self._folder / "state"
        cameras = {"gate": CameraSeen("ok", 0.04, None), "yard": CameraSeen("no_camera", None, "it does not open")}
        trials = [broker_trial(), disk_trial(state), clock_trial(lambda: None), *camera_trials(cameras)]
        agent = replace(self.fake.agent, trials=lambda: trials)
        settings = RpcSettings("box-1", ALL, self.keys, Disk(state / "rpc"), Clock(synced=lambda: None))
        self._server = RpcServer(settings, self.link, agent)
        self._server.start()

    def close(self) -> None:
        """End it."""
        assert self._server is not None
        self._server.close()
        self.link.stop()
        self._store.close()


class Caller(Watcher):
    """Asks, and waits for the reply."""

    def ask(self, op: str, payload: object) -> RpcReply:
        """Publish, and wait for the next reply."""
        before = len(self.replies())
        self.publish(topic(op), payload if isinstance(payload, bytes) else json.dumps(payload).encode())
        self.wait_for(lambda: len(self.replies()) > before)
        return self.replies()[before]

    def replies(self) -> list[RpcReply]:
        """Those that came so far."""
        return [RpcReply.model_validate_json(payload) for payload in self.payloads("/reply")]


@pytest.fixture
def box(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[AnsweringBox]:
    answering = AnsweringBox(tmp_path, mosquitto.port)
    for op in ("snapshot", "self-test", "restart"):
        mosquitto.wait_for_log(f"rpc/{op} (QoS 1)")
    yield answering
    answering.close()


@pytest.fixture
def caller(box: AnsweringBox, mosquitto: Mosquitto) -> Iterator[Caller]:
    with Caller(mosquitto.port, "edgetally/v1/+/rpc/+/reply") as watcher:
        yield watcher


def now(op: str, request_id: str, **changes: Any) -> dict[str, Any]:
    return request(op, request_id, time.time(), **changes)


def test_a_self_test_by_hand_says_what_was_done_to_each_part(caller: Caller, mosquitto: Mosquitto) -> None:
    program = shutil.which("mosquitto_pub")
    if program is None:
        pytest.skip("no mosquitto_pub here; run: apt-get install mosquitto-clients")
    command = [program, "-p", str(mosquitto.port), "-t", topic("self-test"), "-q", "1", "-s"]
    subprocess.run(command, input=json.dumps(now("self-test", "by-hand")).encode(), check=True)
    caller.wait_for(caller.replies)
    (reply,) = caller.replies()
    assert (reply.id, reply.ok) == ("by-hand", True)
    assert isinstance(reply.result, SelfTest)
    parts = {part.part: part for part in reply.result.parts}
    assert {name: part.passed for name, part in parts.items()} == {
        "broker": True, "disk": True, "clock": None, "camera gate": True, "camera yard": False,
    }  # fmt: skip
    assert "it does not open" in parts["camera yard"].text
    assert not reply.result.passed


def test_a_picture_comes_as_one_message(caller: Caller) -> None:
    reply = caller.ask("snapshot", now("snapshot", "s1", boxes=True))
    assert isinstance(reply.result, Snapshot)
    assert base64.b64decode(reply.result.jpeg)[:2] == b"\xff\xd8"
    assert len(caller.payloads("/reply")[0]) < 205_000


def test_replies_are_not_retained_and_none_replaces_another(caller: Caller, mosquitto: Mosquitto) -> None:
    for number in range(10):
        caller.publish(topic("self-test"), json.dumps(now("restart", f"r{number}")).encode())
    caller.wait_for(lambda: len(caller.replies()) == 10)
    assert [reply.id for reply in caller.replies()] == [f"r{number}" for number in range(10)]
    with Watcher(mosquitto.port, "edgetally/v1/+/rpc/+/reply") as late:
        caller.ask("self-test", b"{")
        late.wait_for(lambda: late.messages)
    assert len(late.messages) == 1


def test_rubbish_is_answered_and_the_box_goes_on(box: AnsweringBox, caller: Caller) -> None:
    codes = [caller.ask("restart", payload).code for payload in (b"\xff\xfe", b"{", b"[" * 5000, b" " * 300_000)]
    assert codes == ["not_json", "not_json", "not_json", "too_large"]
    assert caller.ask("self-test", now("self-test", "after")).ok
    assert box.fake.restarts == 0


def test_what_the_broker_kept_is_refused_when_a_box_connects(tmp_path: Path, mosquitto: Mosquitto) -> None:
    with Caller(mosquitto.port, "edgetally/v1/+/rpc/+/reply") as caller:
        caller.publish(topic("restart"), json.dumps(now("restart", "kept")).encode(), retain=True)
        box = AnsweringBox(tmp_path, mosquitto.port)
        caller.wait_for(caller.replies)
        box.close()
    assert caller.replies()[0].code == "retained"
    assert box.fake.restarts == 0


def test_a_restart_that_is_replayed_after_the_restart_is_refused(box: AnsweringBox, caller: Caller) -> None:
    once = now("restart", "once")
    assert caller.ask("restart", once).ok
    for _ in range(2):
        box.boot()
        assert caller.ask("restart", once).code == "replayed"
    assert box.fake.restarts == 1


def test_with_an_operators_key_only_what_is_signed_for_this_box_and_operation_is_obeyed(
    box: AnsweringBox, caller: Caller, tmp_path: Path
) -> None:
    operator, stranger = Operator(tmp_path, "operator-1"), Operator(tmp_path, "stranger-1")
    box.keys.write_text(json.dumps(operator.key))

    def signed(document: dict[str, Any], kind: str = REQUEST_TYPE, by: Operator = operator) -> dict[str, Any]:
        return by.sign(json.dumps(document).encode(), kind)

    good = signed(now("restart", "good"))
    refused = {
        "signature_missing": now("restart", "r"),
        "signature_foreign": signed(now("restart", "r"), by=stranger),
        "signature_wrong": signed(now("restart", "r"), kind=ENVELOPE_TYPE),
        "wrong_device": signed(now("restart", "r", device="box-2")),
        "wrong_op": signed(now("self-test", "r")),
    }
    assert {code: caller.ask("restart", payload).code for code, payload in refused.items()} == {
        code: code for code in refused
    }
    relabelled = refused["signature_wrong"] | {"payloadType": REQUEST_TYPE}
    assert caller.ask("restart", relabelled).code == "signature_wrong"
    assert box.fake.restarts == 0
    assert caller.ask("restart", good).ok
    assert caller.ask("restart", good).code == "replayed"
    assert box.fake.restarts == 1


def test_with_broken_keys_nothing_is_obeyed(box: AnsweringBox, caller: Caller) -> None:
    box.keys.write_text("{}")
    assert caller.ask("self-test", now("self-test", "r")).code == "key_unusable"
