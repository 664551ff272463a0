"""A broker that dies, forgets, is fought over and sends rubbish, seen by whole agents: the bill stays the truth."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.messages import CountReport
from tests.e2e.agents import Agent
from tests.integration.boxes import check, check_road, health, intake_of, missing, reports, road, wait_until_stopped
from tests.integration.brokers import Mosquitto, Watcher, mosquitto
from tests.unit.agent.remote.test_hostile_bytes import changed_document

__all__ = ["mosquitto"]

DESIRED = "edgetally/v1/box-1/desired"
BIRTH = "homeassistant/status"
AT_ONCE = 1_000  # messages on each topic
MOST_LINES = 100  # of the log, however much rubbish comes
MOST_GROWTH = 40.0  # MB of resident memory


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as entered:
        yield entered


def listening(broker: Mosquitto, client: str) -> list[str]:
    """What a client subscribed to, by the broker's log; a level of any name as one that is no name of ours."""
    lines = [line.rpartition(": ")[2].strip().split() for line in broker.log]
    asked = {words[2] for words in lines if len(words) == 3 and words[0] == client and words[1].isdigit()}
    return sorted(topic.replace("+", "any") for topic in asked)


def rubbish(dice: random.Random) -> bytes:
    """Bytes of any kind, or a document that is nearly one; never a word that is obeyed."""
    kind = dice.randrange(8)
    if kind == 0:
        return dice.choice([b"\xff\xfe", b"offline", b"ON", b"0", b"null", b"{}", b"[]", b"[" * 3000, b'{"a":' * 2000])
    if kind <= 2:
        return dice.randbytes(dice.randrange(1, 300))
    if kind == 3:
        return dice.randbytes(dice.choice([1_000, 10_000]))
    # For another box, so that no change makes it one to be obeyed.
    return changed_document(dice).replace(b"box-1", b"box-2") or b"?"


def flood(tmp_path: Path, stack: contextlib.ExitStack, times: int) -> None:
    broker = Mosquitto(tmp_path, ["allow_anonymous true", "max_queued_messages 0"])
    stack.callback(broker.stop)
    broker.start()
    counted = stack.enter_context(Watcher(broker.port, "edgetally/v1/+/camera/#"))
    told = stack.enter_context(Watcher(broker.port, "edgetally/v1/box-1/health"))
    found = stack.enter_context(Watcher(broker.port, "homeassistant/device/#"))
    hello = stack.enter_context(Watcher(broker.port, "edgetally/v1/+/hello"))
    somebody = stack.enter_context(Watcher(broker.port, "nothing"))
    settings = road(tmp_path, broker.port) | {"home_assistant": {}}
    agent = stack.enter_context(Agent(tmp_path, settings, until_end=False))
    counted.wait_for(lambda: len(reports(counted)) >= 2)
    told.wait_for(lambda: told.messages)
    topics = listening(broker, "box-1")
    assert {DESIRED, BIRTH} <= set(topics)
    before, dice = health(told)[-1].rss_mb or 0.0, random.Random(times)
    for _ in range(times // AT_ONCE):
        announced = len(found.messages)
        somebody.publish_all((topic, rubbish(dice)) for _ in range(AT_ONCE) for topic in topics)
        somebody.publish(BIRTH, b"online")  # comes after all that, and is obeyed
        found.wait_for(lambda announced=announced: len(found.messages) > announced)  # type: ignore[misc]
    seen = len(reports(counted))
    counted.wait_for(lambda: len(reports(counted)) >= seen + 2)
    measured = len(told.messages)
    told.wait_for(lambda: len(told.messages) > measured)
    assert (health(told)[-1].rss_mb or 0.0) < before + MOST_GROWTH
    assert len(hello.messages) == 1, "it was never disconnected"
    link = health(told)[-1].broker
    assert link is not None
    assert link.connected
    assert agent.stop() == 0
    log = agent.log.read_text()
    assert "refused" in log
    assert len(log.splitlines()) < MOST_LINES
    assert missing(check_road(intake_of(counted))) == []


def test_rubbish_on_every_topic_that_an_agent_listens_to_is_refused_and_said(
    tmp_path: Path, stack: contextlib.ExitStack
) -> None:
    flood(tmp_path, stack, times=AT_ONCE)


@pytest.mark.slow
def test_a_hundred_thousand_messages_of_rubbish_on_every_topic_are_refused_and_said(
    tmp_path: Path, stack: contextlib.ExitStack
) -> None:
    flood(tmp_path, stack, times=100_000)


def test_a_broker_that_is_away_for_longer_than_the_outbox_lasts_and_forgets_all_is_told_all_again(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    cameras = ["gate", "yard", "ramp"]
    settings = road(tmp_path, mosquitto.port, cameras=cameras)
    settings |= {"home_assistant": {}, "outbox": {"max_reports": 10}}
    with Agent(tmp_path, settings, until_end=False) as agent:
        with Watcher(mosquitto.port) as before:
            before.wait_for(lambda: len(list(intake_of(before).of(CountReport))) >= 6)
        mosquitto.kill()
        agent.wait_for_log("the most that 'outbox.max_reports' allows; the oldest are dropped, and counted")
        mosquitto.start()
        with Watcher(mosquitto.port) as after:
            after.wait_for(lambda: all(any(not one.late for one in reports(after, of=name)) for name in cameras))
            with Watcher(mosquitto.port) as later:  # who comes now finds what the broker had forgotten
                later.wait_for(lambda: {message.topic for message in later.messages if message.retained} >= KEPT)
            assert agent.stop() == 0
            wait_until_stopped(after)
            dropped = health(after)[-1].outbox_dropped
    made = check(intake_of(before, after))
    lost = sum(last - first + 1 for first, last in missing(made))
    assert 0 < lost == dropped, "what is missing is what it says that it dropped"
    for name in cameras:
        last = reports(before, after, of=name)[-1].lines["mid"]
        known = sum(item.counted + item.recovered for item in made.items if item.camera == name)
        assert known == last.total_in + last.total_out, "the totals know how many crossed meanwhile"
    assert sum(item.recovered for item in made.items) > 0


KEPT = {
    "edgetally/v1/box-1/status",
    "edgetally/v1/box-1/facts",
    "edgetally/v1/box-1/camera/gate/state",
    "edgetally/v1/box-1/camera/yard/state",
    "edgetally/v1/box-1/camera/ramp/state",
    "homeassistant/device/box-1/config",
}


@pytest.mark.slow
def test_an_agent_whose_name_another_client_takes_comes_back_and_loses_nothing(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    with Watcher(mosquitto.port) as watcher, Agent(tmp_path, road(tmp_path, mosquitto.port), until_end=False) as agent:
        watcher.wait_for(lambda: len(reports(watcher)) >= 2)
        with Watcher(mosquitto.port, "nothing", client_id="box-1"):
            watcher.wait_for(lambda: b"connection lost" in watcher.payloads("/status")[-1])
        watcher.wait_for(lambda: len(watcher.payloads("/hello")) >= 2)
        assert agent.stop() == 0
        wait_until_stopped(watcher)
    assert "trying again, reports wait" in agent.log.read_text()
    assert missing(check_road(intake_of(watcher))) == []
