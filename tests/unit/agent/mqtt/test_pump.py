"""What is sent next: in order, within the window, marked where late, never lost."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.mqtt.board import Board
from agent.mqtt.ports import Acknowledged, Limits, Outgoing, Refusal
from agent.mqtt.pump import Pump, PumpSettings, mark_late
from agent.store import Row, StoreStatus
from contracts.topics import Channel, Topic

GATE = Topic("box", Channel.CAMERA_STATE, "gate")
COUNTS = "edgetally/v1/box/camera/gate/counts"
NOT_AUTHORIZED = Refusal(135, "Not authorized")
SETTINGS = PumpSettings(in_flight=4, late_after=30, answer_within=30, hold=60)


class ListedOutbox:
    """Reports in memory."""

    def __init__(self, count: int = 0) -> None:
        self.rows: dict[int, Row] = {}
        self.queries = 0
        self.dropped: list[int] = []
        self.add(count)

    def add(self, count: int, boot_id: str = "boot", committed_at: float = 0.0, filler: str = "") -> None:
        for seq in range(len(self.rows) + 1, len(self.rows) + 1 + count):
            payload = json.dumps({"seq": seq, "late": False, "filler": filler}).encode()
            self.rows[seq] = Row(seq, COUNTS, payload, 0.0, committed_at, boot_id)

    def waiting(self, after_seq: int, limit: int) -> list[Row]:
        self.queries += 1
        return [row for seq, row in sorted(self.rows.items()) if seq > after_seq][:limit]

    def acknowledge(self, seqs: Iterable[int]) -> None:
        for seq in seqs:
            del self.rows[seq]

    def discard(self, seqs: Sequence[int]) -> None:
        self.dropped += seqs
        self.acknowledge(seqs)

    def status(self) -> StoreStatus:
        return StoreStatus(len(self.rows), len(self.dropped), 0)


class Wire:
    """What a pump sends, and the clock that it goes by."""

    def __init__(self, outbox: ListedOutbox, limits: Limits | None = None) -> None:
        self.board = Board()
        self.now = 0.0
        self.sent: list[Outgoing] = []
        self.unanswered: list[int] = []
        self.pump = Pump(outbox, self.board, "boot", SETTINGS, lambda: self.now)
        self.pump.begin(limits or Limits("5"), [])

    def publish(self, message: Outgoing) -> int:
        self.sent.append(message)
        if message.qos:
            self.unanswered.append(len(self.sent))
        return len(self.sent)

    def feed(self) -> list[Outgoing]:
        """What is sent now."""
        before = len(self.sent)
        self.pump.feed(self.publish)
        return self.sent[before:]

    def at(self, now: float) -> Wire:
        """Itself, later."""
        self.now = now
        return self

    def answer(self, *tokens: int, refusal: Refusal | None = None) -> None:
        for token in tokens:
            self.unanswered.remove(token)
        self.pump.answered([Acknowledged(token, refusal) for token in tokens])


def seqs(messages: Iterable[Outgoing]) -> list[int]:
    return [json.loads(message.payload)["seq"] for message in messages if message.topic == COUNTS]


def test_greetings_come_first_then_values_then_reports() -> None:
    wire = Wire(ListedOutbox(1))
    wire.board.put(GATE, b"{}")
    wire.pump.begin(Limits("5"), [Outgoing("hello", b"", 1, retain=False)])
    assert [message.topic for message in wire.feed()] == ["hello", str(GATE), COUNTS]


def test_reports_go_in_order_at_qos_1_and_no_more_than_the_window() -> None:
    wire = Wire(ListedOutbox(10))
    first = wire.feed()
    assert seqs(first) == [1, 2, 3, 4]
    assert {(message.qos, message.retain) for message in first} == {(1, False)}
    assert wire.feed() == []
    wire.answer(2)
    assert seqs(wire.feed()) == [5]


def test_the_brokers_receive_maximum_narrows_the_window() -> None:
    assert seqs(Wire(ListedOutbox(10), Limits("5", receive_maximum=2)).feed()) == [1, 2]


def test_a_report_is_deleted_only_when_the_broker_has_it() -> None:
    outbox = ListedOutbox(2)
    wire = Wire(outbox)
    wire.feed()
    assert sorted(outbox.rows) == [1, 2]
    wire.answer(2)
    assert sorted(outbox.rows) == [1]


def test_what_was_not_acknowledged_is_sent_again_on_the_next_connection() -> None:
    outbox = ListedOutbox(4)
    wire = Wire(outbox)
    wire.feed()
    wire.answer(1, 3)
    wire.pump.end()
    wire.unanswered.clear()
    wire.pump.begin(Limits("5"), [])
    assert seqs(wire.feed()) == [2, 4]


def test_an_idle_pump_asks_the_store_only_when_told_to() -> None:
    outbox = ListedOutbox(1)
    wire = Wire(outbox)
    wire.feed()
    wire.answer(1)
    asked = outbox.queries
    for _ in range(10):
        wire.feed()
    assert outbox.queries == asked
    outbox.rows[2] = Row(2, COUNTS, b'{"seq":2}', 0.0, 0.0, "boot")
    wire.pump.look_again()
    assert seqs(wire.feed()) == [2]


@pytest.mark.parametrize(
    ("boot_id", "now", "late"), [("boot", 30.0, False), ("boot", 31.0, True), ("an earlier one", 1.0, True)]
)
def test_a_report_that_waited_or_comes_from_another_boot_is_marked(boot_id: str, now: float, *, late: bool) -> None:
    outbox = ListedOutbox()
    outbox.add(1, boot_id=boot_id)
    wire = Wire(outbox)
    wire.now = now
    assert json.loads(wire.feed()[0].payload)["late"] is late


def test_marking_keeps_all_else() -> None:
    payload = '{"late":false,"in":1,"newer":{"ü":[1.5,null]}}'.encode()
    assert mark_late(payload) == '{"late":true,"in":1,"newer":{"ü":[1.5,null]}}'.encode()


def test_a_silent_broker_is_stuck_after_the_deadline_and_not_before() -> None:
    wire = Wire(ListedOutbox(2))
    deadlines = [wire.pump.deadline]
    wire.feed()
    wire.now = 20.0
    wire.answer(1)
    deadlines.append(wire.pump.deadline)
    assert deadlines == [None, 30.0]
    assert [wire.pump.is_stuck, wire.at(30.0).pump.is_stuck] == [False, True]


def test_a_refused_report_is_kept_and_tried_again_later() -> None:
    outbox = ListedOutbox(3)
    wire = Wire(outbox)
    wire.feed()
    wire.answer(1)
    wire.answer(2, refusal=NOT_AUTHORIZED)
    assert sorted(outbox.rows) == [2, 3]
    assert "Not authorized (reason code 135)" in (wire.pump.refusal or "")
    outbox.rows[4] = Row(4, COUNTS, b'{"seq":4}', 0.0, 0.0, "boot")
    wire.pump.look_again()
    assert wire.feed() == []

    wire.now = 60.0
    assert wire.feed() == []  # 3 is still on its way and would be sent twice
    wire.answer(3)
    assert seqs(wire.feed()) == [2, 4]
    assert wire.pump.refusal is None


def test_a_refused_value_does_not_hold_up_the_reports() -> None:
    wire = Wire(ListedOutbox(6))
    wire.board.put(GATE, b"{}")
    wire.feed()
    wire.answer(1, refusal=NOT_AUTHORIZED)
    assert str(GATE) in (wire.pump.refusal or "")
    assert seqs(wire.feed()) == [4]


def test_what_the_broker_can_never_take_is_dropped_and_counted() -> None:
    outbox = ListedOutbox(1)
    outbox.add(1, filler="x" * 1000)
    outbox.add(1)
    wire = Wire(outbox, Limits("5", packet_size=500))
    wire.board.put(GATE, b"x" * 1000)
    assert seqs(wire.feed()) == [1, 3]
    assert outbox.dropped == [2]
    wire.answer(1, refusal=Refusal(149, "Packet too large"))
    assert outbox.dropped == [2, 1]


def test_a_spoilt_report_does_not_hold_up_those_after_it() -> None:
    outbox = ListedOutbox(2)
    outbox.rows[1] = Row(1, COUNTS, b"\xff\x00", 0.0, 0.0, "an earlier one")
    assert seqs(Wire(outbox).feed()) == [2]
    assert outbox.dropped == [1]


def test_health_needs_no_answer() -> None:
    wire = Wire(ListedOutbox())
    wire.board.put(Topic("box", Channel.HEALTH), b"{}")
    assert [message.qos for message in wire.feed()] == [0]
    assert wire.pump.is_idle


def test_idle_means_that_everything_is_with_the_broker() -> None:
    wire = Wire(ListedOutbox(1))
    idle = [wire.pump.is_idle]
    wire.feed()
    idle.append(wire.pump.is_idle)
    wire.answer(1)
    wire.feed()
    idle.append(wire.pump.is_idle)
    wire.board.put(GATE, b"{}")
    idle.append(wire.pump.is_idle)
    assert idle == [False, False, True, False]


def test_answers_to_nothing_are_ignored() -> None:
    outbox = ListedOutbox(1)
    wire = Wire(outbox)
    wire.pump.answered([Acknowledged(77), Acknowledged(78, NOT_AUTHORIZED)])
    assert sorted(outbox.rows) == [1]


@given(st.data())
def test_however_the_broker_answers_nothing_is_lost_and_the_window_holds(data: st.DataObject) -> None:
    outbox = ListedOutbox()
    wire = Wire(outbox)
    delivered: list[int] = []
    total = 0
    for _ in range(data.draw(st.integers(0, 25))):
        step = data.draw(st.sampled_from(["commit", "answer", "refuse", "break", "wait"]))
        if step == "commit":
            for _ in range(data.draw(st.integers(1, 6))):
                total += 1
                payload = json.dumps({"seq": total}).encode()
                outbox.rows[total] = Row(total, COUNTS, payload, 0.0, wire.now, "boot")
            wire.pump.look_again()
        elif step in {"answer", "refuse"} and wire.unanswered:
            token = data.draw(st.sampled_from(wire.unanswered))
            if step == "answer":
                delivered += seqs([wire.sent[token - 1]])
            wire.answer(token, refusal=NOT_AUTHORIZED if step == "refuse" else None)
        elif step == "break":
            wire.pump.end()
            wire.unanswered.clear()
            wire.pump.begin(Limits("5"), [])
        elif step == "wait":
            wire.now += 61
        sent = seqs(wire.feed())
        assert sent == sorted(sent)
        assert len(wire.unanswered) <= SETTINGS.in_flight
    while outbox.rows:
        wire.now += 61
        wire.feed()
        tokens = list(wire.unanswered)
        delivered += seqs(wire.sent[token - 1] for token in tokens)
        wire.answer(*tokens)
    assert sorted(delivered) == list(range(1, total + 1))
