"""A real agent counts a road that is known, is killed again and again, and the bill is still the truth."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.agents import Agent
from tests.integration.boxes import check_road, intake_of, road
from tests.integration.brokers import Mosquitto, Watcher, mosquitto
from tools.billing.bill import Bill, make_bill

__all__ = ["mosquitto"]

LONGEST_LIFE = 0.8  # seconds, after the first windows


@pytest.fixture
def agent(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[Agent]:
    running = Agent(tmp_path, road(tmp_path, mosquitto.port, events=True))
    yield running
    running.stop()


def live_and_die(agent: Agent, watcher: Watcher, dice: random.Random) -> None:
    """Start the agent and kill it at a random moment: while it starts, before its first window, or after some."""
    windows, hellos = dice.choice([0, 0, 1]), len(watcher.payloads("/hello"))
    reported = len(watcher.payloads("/counts"))
    agent.start()
    if windows or dice.random() < 0.7:
        watcher.wait_for(lambda: len(watcher.payloads("/hello")) > hellos)
    if windows:
        # What a life before could not deliver comes first, and does not say that this one counts.
        watcher.wait_for(lambda: len(watcher.payloads("/counts")) >= reported + windows)
    threading.Event().wait(dice.uniform(0, LONGEST_LIFE))
    agent.kill()


def kill_many(agent: Agent, mosquitto: Mosquitto, times: int, seed: int) -> Bill:
    dice = random.Random(seed)
    with Watcher(mosquitto.port) as watcher:
        for _ in range(times):
            live_and_die(agent, watcher, dice)
            check_road(intake_of(watcher))
        reported = len(watcher.payloads("/counts"))
        agent.start()
        watcher.wait_for(lambda: len(watcher.payloads("/counts")) >= reported + 2)
        assert agent.stop() == 0
        watcher.wait_for(lambda: b'"offline"' in watcher.payloads("/status")[-1])
        intake = intake_of(watcher)
        assert not intake.refused
    check_road(intake)
    made = make_bill(intake)
    assert [(store.first, store.missing) for store in made.stores] == [(1, [])], "no number is ever missing"
    return made


def check_end(made: Bill) -> None:
    counted = {item.direction: item.counted for item in made.items}
    assert counted["in"] > 0
    assert all(item.events == item.counted and not item.recovered for item in made.items)
    (seen,) = made.cameras
    assert 0 < seen.share < 1, "the time in which it was dead is not covered"


def test_nothing_is_lost_or_billed_twice_when_the_agent_is_killed(agent: Agent, mosquitto: Mosquitto) -> None:
    check_end(kill_many(agent, mosquitto, times=10, seed=1))


@pytest.mark.slow
def test_nothing_is_lost_or_billed_twice_when_the_agent_is_killed_often(agent: Agent, mosquitto: Mosquitto) -> None:
    check_end(kill_many(agent, mosquitto, times=200, seed=2))
