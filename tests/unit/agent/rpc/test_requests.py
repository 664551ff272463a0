"""What a box answers to requests: each once, only what is allowed, and never more than it can bear."""

from __future__ import annotations

import base64
import contextlib
import io
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, get_args

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.rpc.floor import NAME, Floor
from agent.rpc.ports import Trial, TrialResult
from agent.rpc.rules import Arrival
from agent.rpc.table import OPERATIONS
from contracts.config import RpcConfig
from contracts.errors import StorageError
from contracts.rpc import (
    LARGEST_PICTURE,
    LARGEST_REQUEST,
    DriftReset,
    Restarting,
    RestartRequest,
    RpcCode,
    RpcReply,
    SelfTest,
    Snapshot,
)
from runtime.results import Detections
from tests.fakes.disk import FakeDisk, PowerCut
from tests.fakes.rpc import NOW, FakeBox, look, request, time_text

CODES = {code for part in get_args(RpcCode) for code in get_args(part)}


@pytest.fixture
def box() -> Iterator[FakeBox]:
    box = FakeBox().boot()
    yield box
    box.close()


def test_a_self_test_says_of_each_part_what_it_found(box: FakeBox) -> None:
    def broken() -> TrialResult:
        raise StorageError("/state", OSError(28, "No space left on device"))

    def faulty() -> TrialResult:
        raise ZeroDivisionError

    trials = [
        Trial("disk", broken),
        Trial("clock", lambda: TrialResult(passed=None, text="not told")),
        Trial("ours", faulty),
        Trial("camera gate", lambda: TrialResult(passed=True, text="fresh")),
    ]
    box.agent = replace(box.agent, trials=lambda: trials)
    reply = box.boot().ask("self-test", request("self-test"))
    assert (reply.id, reply.ok, reply.code) == ("r1", True, "ok")
    assert isinstance(reply.result, SelfTest)
    assert not reply.result.passed
    assert [(part.part, part.passed) for part in reply.result.parts] == [
        ("disk", False), ("clock", None), ("ours", False), ("camera gate", True),
    ]  # fmt: skip
    assert "No space left" in reply.result.parts[0].text


def test_what_nobody_can_tell_does_not_fail_a_self_test(box: FakeBox) -> None:
    box.agent = replace(box.agent, trials=lambda: [Trial("clock", lambda: TrialResult(passed=None, text="not told"))])
    reply = box.boot().ask("self-test", request("self-test"))
    assert isinstance(reply.result, SelfTest)
    assert reply.result.passed


@pytest.mark.parametrize("op", ["snapshot", "restart"])
def test_without_a_word_in_the_configuration_only_a_self_test_is_done(op: str) -> None:
    box = FakeBox(RpcConfig()).boot()
    box.looks["gate"] = look()
    reply = box.ask(op, request(op))
    assert (reply.code, reply.result) == ("disabled", None)
    assert f"rpc.{op}" in reply.reason
    assert box.ask("self-test", request("self-test")).ok
    assert box.restarts == 0


def test_a_retained_request_is_not_obeyed_and_that_is_said(box: FakeBox) -> None:
    reply = box.ask("restart", request("restart"), retained=True)
    assert reply.code == "retained"
    assert "without retain" in reply.reason
    assert box.restarts == 0


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"\xff\xfe", "not_json"),
        (b"now", "not_json"),
        (b"[" * 8000, "not_json"),
        (b"[]", "not_json"),
        (b" " * (LARGEST_REQUEST + 1), "too_large"),
        (request("self-test", device="box-2"), "wrong_device"),
        (request("restart"), "wrong_op"),
        (request("self-test", force=True), "invalid"),
        (request("self-test", request_id=""), "invalid"),
        (request("self-test", request_id="x" * 65), "invalid"),
        (request("self-test", request_id="a b"), "invalid"),
        (request("self-test", expires=time_text(NOW + 3600)), "invalid"),
        (request("self-test", expires=time_text(NOW)), "invalid"),
        (request("self-test", at=NOW + 600), "not_yet_valid"),
        (request("self-test", at=NOW - 60), "expired"),
        ({"payload": "e30=", "payloadType": "x", "signatures": []}, "no_operator_key"),
    ],
)
def test_what_is_wrong_with_a_request_is_said(box: FakeBox, payload: object, code: str) -> None:
    box.wall += 1
    reply = box.ask("self-test", payload)
    assert (reply.ok, reply.code) == (False, code)
    assert reply.reason
    assert not box.trying.is_set()


def test_a_request_is_obeyed_once(box: FakeBox) -> None:
    assert box.ask("self-test", request("self-test")).ok
    assert box.ask("self-test", request("self-test")).code == "replayed"
    assert box.ask("self-test", request("self-test", "r2")).ok


def test_a_request_from_before_the_start_is_not_obeyed(box: FakeBox) -> None:
    old = request("snapshot", at=box.wall)
    box.looks["gate"] = look()
    assert box.ask("snapshot", old).ok
    box.wall += 30
    assert box.boot().ask("snapshot", old).code == "replayed"


def test_a_clock_that_is_not_set_forbids_nothing_and_does_not_open_the_past(box: FakeBox) -> None:
    box.synced, box.wall = False, 0.0
    box.boot()
    assert box.ask("self-test", request("self-test")).ok
    assert box.ask("self-test", request("self-test", "r2", at=NOW - 3600)).code == "expired"


def test_the_agent_ends_after_it_noted_and_said_so(box: FakeBox) -> None:
    reply = box.ask("restart", request("restart"))
    assert isinstance(reply.result, Restarting)
    assert reply.result.exit_code == 75
    box.server.close()
    assert box.restarts == 1
    assert box.disk.read(NAME) is not None


def test_a_restart_that_is_replayed_after_it_does_not_loop(box: FakeBox) -> None:
    box.synced = None  # the floor has to hold where no clock helps
    first = request("restart")
    assert box.boot().ask("restart", first).ok
    for _ in range(3):
        assert box.boot().ask("restart", first).code == "replayed"
    box.server.close()
    assert box.restarts == 1
    assert box.boot().ask("restart", request("restart", "r2", at=NOW + 1)).ok


def test_a_restart_that_was_asked_for_before_the_last_one_is_not_done_after_it(box: FakeBox) -> None:
    assert box.ask("restart", request("restart", "r2", at=NOW + 1)).ok
    assert box.ask("restart", request("restart", "r1", at=NOW)).code == "replayed"


@pytest.mark.parametrize("cut", range(5))
def test_after_a_power_cut_the_note_is_the_old_one_or_the_new(cut: int) -> None:
    for seed in range(10):
        disk = FakeDisk({NAME: b'{"issued": 5.0, "id": "old"}'})
        floor = Floor(disk, otherwise=0.0)
        disk.fail_in = cut
        with contextlib.suppress(PowerCut):
            floor.write(RestartRequest.model_validate(request("restart")))
        assert Floor(disk.after_power_cut(random.Random(seed)), otherwise=0.0).issued in {5.0, NOW}


def test_a_cameras_usual_is_learned_anew_and_another_one_is_named(box: FakeBox) -> None:
    box.looks["gate"] = look()
    reply = box.ask("drift-reset", request("drift-reset"))
    assert reply.result == DriftReset(camera="gate", since=time_text(NOW))
    unknown = box.ask("drift-reset", request("drift-reset", "r2", camera="gaet"))
    assert (unknown.ok, unknown.code) == (False, "failed")
    assert "did you mean 'gate'?" in unknown.reason


def test_until_it_is_allowed_nothing_is_forgotten() -> None:
    box = FakeBox(RpcConfig()).boot()
    reply = box.ask("drift-reset", request("drift-reset"))
    box.close()
    assert reply.code == "disabled"
    assert "rpc.drift_reset" in reply.reason


def test_where_it_cannot_be_noted_nothing_is_restarted(box: FakeBox) -> None:
    box.disk.fail_in, box.disk.full = 0, True
    reply = box.ask("restart", request("restart"))
    assert reply.code == "storage"
    assert "nothing was done" in reply.reason
    box.server.close()
    assert box.restarts == 0


@pytest.mark.parametrize(
    "content", [b"", b"\x00\x00", b"[]", b'{"issued": NaN, "id": "x"}', b'{"issued": -1, "id": ""}']
)
def test_a_damaged_note_keeps_what_was_before_the_start_out(content: bytes) -> None:
    box = FakeBox(disk=FakeDisk({NAME: content})).boot()
    assert box.ask("restart", request("restart")).code == "replayed"
    assert box.ask("restart", request("restart", "r2", at=NOW + 1)).ok


def test_a_note_that_a_wrong_clock_let_in_does_not_forbid_restarts_for_ever() -> None:
    box = FakeBox(disk=FakeDisk({NAME: b'{"issued": 9e9, "id": "x"}'})).boot()
    assert box.ask("restart", request("restart")).ok


def test_nothing_is_restarted_that_nobody_would_start_again(box: FakeBox) -> None:
    box.agent = replace(box.agent, managed=False)
    reply = box.boot().ask("restart", request("restart"))
    assert reply.code == "no_service_manager"
    assert "rpc.restart_unmanaged" in reply.reason
    forced = replace(box.settings, config=RpcConfig(restart=True, restart_unmanaged=True))
    box.settings = forced
    assert box.boot().ask("restart", request("restart", "r2")).ok


def test_an_agent_that_has_just_started_is_not_restarted(box: FakeBox) -> None:
    box.agent = replace(box.agent, uptime=lambda: 119.0)
    assert box.boot().ask("restart", request("restart")).code == "too_often"


def test_while_one_is_carried_out_two_wait_and_more_are_turned_away(box: FakeBox) -> None:
    box.gate.clear()
    box.line.send("self-test", request("self-test", "r0"))
    assert box.trying.wait(30.0)
    for number in range(1, 5):
        box.line.send("self-test", request("self-test", f"r{number}"))
    box.line.wait_for(lambda: len(box.line.replies) == 2)
    assert [(reply.id, reply.code) for reply in box.line.replies] == [("r3", "busy"), ("r4", "busy")]
    box.gate.set()
    box.line.wait_for(lambda: len(box.line.replies) == 5)
    assert box.ask("self-test", request("self-test", "r3")).ok, "what was turned away may be asked again"


def test_what_comes_faster_than_it_is_looked_at_is_counted_and_not_answered(box: FakeBox) -> None:
    for _ in range(5000):
        box.line.send("self-test", b"x")
    box.line.wait_for(lambda: box.line.replies)
    box.server.close()
    assert box.server.refused >= 5000 - 16


def test_of_what_is_too_large_nothing_is_kept(box: FakeBox, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting: list[Arrival] = []
    monkeypatch.setattr(box.server._judge, "offer", waiting.append)
    box.line.send("self-test", b"x" * 1_000_000)
    assert waiting == [Arrival("self-test", b"", 1_000_000, retained=False)]


def test_a_flood_of_nonsense_gets_few_answers(box: FakeBox) -> None:
    clock = replace(box.settings.clock, monotonic=lambda: 0.0)
    box.settings = replace(box.settings, clock=clock)
    box.boot()
    for _ in range(100):
        box.server._take(Arrival("self-test", b"x", 1, retained=False))
    assert len(box.line.replies) == 20
    assert box.server.refused == 100


def test_an_operation_is_done_a_few_times_at_once_and_then_at_its_pace(box: FakeBox) -> None:
    clock = replace(box.settings.clock, monotonic=lambda: 0.0)
    box.settings = replace(box.settings, clock=clock)
    box.boot()
    codes = [box.ask("self-test", request("self-test", f"r{number}")).code for number in range(5)]
    assert codes == ["ok", "ok", "ok", "too_often", "too_often"]


# Snapshots


def decoded(reply: RpcReply) -> tuple[Snapshot, np.ndarray]:
    assert isinstance(reply.result, Snapshot), reply
    jpeg = base64.b64decode(reply.result.jpeg, validate=True)
    assert len(jpeg) <= LARGEST_PICTURE
    with av.open(io.BytesIO(jpeg), "r") as container:
        return reply.result, next(container.decode(video=0)).to_ndarray(format="bgr24")


def test_a_snapshot_is_a_jpeg_in_the_cameras_own_proportions(box: FakeBox) -> None:
    box.looks["gate"] = look(height=90, width=90)
    snapshot, picture = decoded(box.ask("snapshot", request("snapshot")))
    assert picture.shape == (90, 160, 3)
    assert (snapshot.width, snapshot.height, snapshot.frame) == (160, 90, 7)
    assert snapshot.taken_at == "2026-06-01T00:00:00Z"


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 3), (33, 45), (91, 91)])
def test_a_picture_of_any_size_can_be_sent(box: FakeBox, height: int, width: int) -> None:
    box.looks["gate"] = look(height=height, width=width, aspect=1.3)
    reply = box.ask("snapshot", request("snapshot"))
    assert reply.code == ("ok" if height > 1 else "failed")


def test_a_snapshot_is_small_enough_whatever_it_shows(box: FakeBox) -> None:
    box.looks["gate"] = look(height=1080, width=1920)
    snapshot, picture = decoded(box.ask("snapshot", request("snapshot")))
    assert picture.shape[:2] == (snapshot.height, snapshot.width)
    assert snapshot.width >= 480


def test_what_the_model_saw_is_drawn_only_where_asked(box: FakeBox) -> None:
    found = Detections(np.array([[0.2, 0.2, 0.8, 0.8]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64))
    plain = look(result=found, height=120, width=160, aspect=4 / 3)
    plain.image[:] = 0
    box.looks["gate"] = plain
    bare, without = decoded(box.ask("snapshot", request("snapshot")))
    drawn, boxed = decoded(box.ask("snapshot", request("snapshot", "r2", boxes=True)))
    assert (bare.drawn, drawn.drawn) == ({}, {"person": 1})
    assert without.max() < 16
    assert boxed.max() > 100


def test_what_leaves_went_through_the_redaction(box: FakeBox) -> None:
    box.looks["gate"] = look()
    box.agent = replace(box.agent, redact=lambda one: np.zeros_like(one.image))
    _, picture = decoded(box.boot().ask("snapshot", request("snapshot")))
    assert picture.max() < 16


def test_where_hiding_fails_no_picture_leaves(box: FakeBox) -> None:
    def fail(_: object) -> Any:
        raise RuntimeError("the model that finds faces failed")

    box.looks["gate"] = look()
    box.agent = replace(box.agent, redact=fail)
    reply = box.boot().ask("snapshot", request("snapshot"))
    assert (reply.code, reply.result) == ("failed", None)
    assert "no picture leaves" in reply.reason


def test_a_camera_without_a_picture_is_said(box: FakeBox) -> None:
    assert box.ask("snapshot", request("snapshot", camera="yard")).code == "no_picture"


# Whatever comes


KEYS = ["id", "device", "op", "issued", "expires", "camera", "boxes", "payload", "payloadType", "signatures", "x", ""]
ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    2**63,
    1e400,
    "",
    "gate",
    "box-1",
    "r1",
    "\ud800",
    "\x00",
    "9999-12-31T23:59:59-23:59",
    [],
    {},
]
ODD += ["0001-01-01T00:00:00+23:59", "2026-06-01T00:00:00Z", "application/vnd.edgetally.rpc+json", ["x"], {"a": {}}]
CHANGES = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(ODD), max_size=4)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    op=st.sampled_from(list(OPERATIONS)),
    data=st.one_of(st.binary(max_size=100), CHANGES),
    retained=st.booleans(),
)
def test_no_bytes_and_no_json_stop_it(op: str, data: bytes | dict[str, Any], *, retained: bool) -> None:
    box = FakeBox().boot()
    reply = box.ask(op, data if isinstance(data, bytes) else request(op) | data, retained=retained)
    assert reply.code in CODES - {"internal"}
    assert len(reply.reason) <= 500
    RpcReply.model_validate_json(reply.model_dump_json())
    assert box.ask("self-test", request("self-test", "after")).ok
    box.close()
