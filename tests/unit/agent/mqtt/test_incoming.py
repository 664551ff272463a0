"""What comes from outside cannot do harm, and is counted."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.mqtt.incoming import Incoming
from agent.mqtt.ports import Received, Unreadable
from contracts.health import MESSAGE_REFUSALS

NONE = dict.fromkeys(MESSAGE_REFUSALS, 0)


def test_without_a_receiver_a_message_is_refused_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    incoming = Incoming()
    with caplog.at_level(logging.INFO):
        for _ in range(1000):
            incoming.take(Received("edgetally/v1/box/desired", b"{}", retained=True))
    assert incoming.refused == {**NONE, "unexpected": 1000}
    assert len(caplog.records) == 1
    assert "nobody here takes any" in caplog.text


def test_an_empty_message_asks_for_nothing() -> None:
    incoming = Incoming()
    incoming.take(Received("edgetally/v1/box/desired", b"", retained=True))
    assert incoming.refused == NONE


def test_a_receiver_gets_messages_but_not_unreadable_ones() -> None:
    taken: list[Received] = []
    incoming = Incoming(taken.append)
    message = Received("t", b"x", retained=False)
    incoming.take(message)
    incoming.take(Unreadable("not_text", "its topic is not UTF-8"))
    assert taken == [message]
    assert incoming.refused == {**NONE, "not_text": 1}


@given(st.text(), st.binary(min_size=1))
def test_a_receiver_that_fails_is_counted_and_does_not_stop_anything(topic: str, payload: bytes) -> None:
    def fail(message: Received) -> None:
        message.payload.decode()
        raise KeyError(message.topic)

    incoming = Incoming(fail)
    incoming.take(Received(topic, payload, retained=False))
    assert incoming.refused == {**NONE, "failed": 1}


@given(st.sampled_from(["ha/status", "ha/status/", "edgetally/v1/box/desired"]) | st.text(), st.binary(min_size=1))
def test_a_listener_gets_what_comes_on_its_topic_and_nothing_else(topic: str, payload: bytes) -> None:
    heard: list[Received] = []
    taken: list[Received] = []
    incoming = Incoming(taken.append, {"ha/status": heard.append})
    message = Received(topic, payload, retained=False)
    incoming.take(message)
    assert (heard, taken) == (([message], []) if topic == "ha/status" else ([], [message]))


@given(st.binary(min_size=1))
def test_a_listener_that_fails_is_counted_and_does_not_stop_anything(payload: bytes) -> None:
    def fail(message: Received) -> None:
        raise ValueError(message.payload)

    incoming = Incoming(None, {"ha/status": fail})
    incoming.take(Received("ha/status", payload, retained=True))
    assert incoming.refused == {**NONE, "failed": 1}
