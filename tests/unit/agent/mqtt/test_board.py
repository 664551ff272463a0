"""Newest values: never queued, sent again on every connection, one on its way per topic."""

from __future__ import annotations

from agent.mqtt.board import MOST_ANSWERS, Board
from agent.mqtt.ports import ForeignTopic, Outgoing
from contracts.topics import Channel, Topic

GATE = Topic("box", Channel.CAMERA_STATE, "gate")
YARD = Topic("box", Channel.CAMERA_STATE, "yard")
HEALTH = Topic("box", Channel.HEALTH)


def drain(board: Board) -> list[tuple[str, bytes]]:
    taken = []
    while (item := board.take()) is not None:
        taken.append((str(item[0]), item[1].payload))
    return taken


def test_only_the_newest_value_is_sent() -> None:
    board = Board()
    for number in range(5):
        board.put(GATE, b"%d" % number)
    board.put(YARD, b"y")
    assert drain(board) == [(str(GATE), b"4"), (str(YARD), b"y")]


def test_a_newer_value_waits_for_the_answer_to_the_one_before() -> None:
    board = Board()
    board.put(GATE, b"1")
    assert drain(board) == [(str(GATE), b"1")]
    board.put(GATE, b"2")
    board.put(GATE, b"3")
    assert drain(board) == []
    assert not board.is_clean
    board.answered(GATE)
    assert drain(board) == [(str(GATE), b"3")]
    board.answered(GATE)
    assert board.is_clean


def test_every_connection_begins_with_all_retained_values() -> None:
    board = Board()
    board.put(GATE, b"1")
    drain(board)
    board.answered(GATE)
    board.put(YARD, b"y")
    drain(board)  # never answered
    board.disconnected()
    board.connected()
    assert drain(board) == [(str(GATE), b"1"), (str(YARD), b"y")]


def test_health_is_dropped_without_a_connection_and_not_repeated() -> None:
    board = Board()
    assert not board.put(HEALTH, b"old")
    board.connected()
    assert drain(board) == []
    assert board.put(HEALTH, b"new")
    assert drain(board) == [(str(HEALTH), b"new")]
    board.answered(HEALTH)
    board.connected()
    assert drain(board) == []


def test_health_that_was_not_sent_is_forgotten_with_the_connection() -> None:
    board = Board()
    board.connected()
    board.put(HEALTH, b"new")
    board.disconnected()
    board.connected()
    assert drain(board) == []


def test_a_value_taken_back_is_sent_empty_once_and_then_forgotten() -> None:
    board = Board()
    board.put(GATE, b"1")
    drain(board)
    board.answered(GATE)
    board.put(GATE, b"")
    assert drain(board) == [(str(GATE), b"")]
    board.answered(GATE)
    board.answered(GATE)
    board.connected()
    assert drain(board) == []


def test_a_foreign_topic_is_retained_sent_again_on_every_connection_and_taken_back() -> None:
    board, found = Board(), ForeignTopic("homeassistant/device/box/config")
    assert board.put(found, b"{}")
    taken = board.take()
    assert taken == (found, Outgoing("homeassistant/device/box/config", b"{}", 1, retain=True))
    board.answered(found)
    board.disconnected()
    board.connected()
    assert drain(board) == [(str(found), b"{}")]
    board.answered(found)
    board.put(found, b"")
    assert drain(board) == [(str(found), b"")]
    board.answered(found)
    board.connected()
    assert drain(board) == []


REPLY = Topic("box", Channel.RPC_REPLY, "snapshot")


def test_every_answer_is_sent_once_and_in_order() -> None:
    board = Board()
    board.answer(REPLY, b"lost")
    board.connected()
    for number in range(3):
        board.answer(REPLY, b"%d" % number)
    waiting = board.is_clean
    assert drain(board) == [(str(REPLY), b"0"), (str(REPLY), b"1"), (str(REPLY), b"2")]
    assert (waiting, board.is_clean) == (False, True)
    board.answer(REPLY, b"too late")
    board.disconnected()
    board.connected()
    assert drain(board) == []


def test_answers_that_nobody_fetches_are_bounded() -> None:
    board = Board()
    board.connected()
    for number in range(1000):
        board.answer(REPLY, b"%d" % number)
    assert [payload for _, payload in drain(board)] == [b"%d" % number for number in range(1000 - MOST_ANSWERS, 1000)]
