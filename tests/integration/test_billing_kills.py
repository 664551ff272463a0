"""A real agent counts a road that is known, is killed again and again, and the bill is still the truth."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.messages import CountReport, CrossingEvent
from tests.e2e.agents import Agent
from tests.integration.brokers import Mosquitto, Watcher, mosquitto
from tests.integration.squares import camera, crossed_after, write_bundle, write_pictures
from tools.billing.bill import Bill, make_bill
from tools.billing.intake import Intake

__all__ = ["mosquitto"]

LONGEST_LIFE = 0.8  # seconds, after the first windows


@pytest.fixture
def agent(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[Agent]:
    settings = {
        "bundle": str(write_bundle(tmp_path / "bundle")),
        "broker": {"host": "127.0.0.1", "port": mosquitto.port},
        "runtime": {"lanes": 1},
        "camera": [camera(write_pictures(tmp_path / "road"), events=True)],
    }
    running = Agent(tmp_path, settings)
    yield running
    running.stop()


def intake_of(watcher: Watcher) -> Intake:
    intake = Intake()
    for message in list(watcher.messages):
        if message.topic.endswith(("/counts", "/events")):
            intake.take(message.payload, message.topic)
    return intake


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
            check(intake_of(watcher))
        reported = len(watcher.payloads("/counts"))
        agent.start()
        watcher.wait_for(lambda: len(watcher.payloads("/counts")) >= reported + 2)
        assert agent.stop() == 0
        watcher.wait_for(lambda: b'"offline"' in watcher.payloads("/status")[-1])
        intake = intake_of(watcher)
        assert not intake.refused
    check(intake)
    made = make_bill(intake)
    assert [(store.first, store.missing) for store in made.stores] == [(1, [])], "no number is ever missing"
    return made


def check(intake: Intake) -> None:
    """What holds at every moment, whatever was delivered twice."""
    reports = list(intake.of(CountReport))
    made = make_bill(intake)
    assert made.problems == []
    lines = [report.lines["mid"] for report in reports]
    assert len({line.counter_id for line in lines}) <= 1, "a restart begins no new counter"
    totals = [(line.total_in, line.total_out) for line in lines]
    assert totals == sorted(totals), "totals never fall"
    for line, (ins, outs) in zip(lines, _running(reports), strict=True):
        assert (line.total_in, line.total_out) == (ins, outs), "each total is the sum of the windows so far"
    frames: Counter[str] = Counter()
    crossed: dict[str, tuple[int, int]] = {}
    for report in reports:  # every life begins the road anew, so what it counted is known by its frames
        frames[report.boot_id] += report.frames_seen
        before = crossed.get(report.boot_id, (0, 0))
        crossed[report.boot_id] = (before[0] + report.lines["mid"].in_, before[1] + report.lines["mid"].out)
        assert crossed[report.boot_id] == crossed_after(frames[report.boot_id]), report
        assert not any(count for cause, count in report.frames_dropped.items() if cause != "late"), report
    told = Counter((event.boot_id, event.direction) for event in intake.of(CrossingEvent))
    # The events of a window whose report was not delivered yet may be ahead of it.
    for boot_id, (ins, outs) in crossed.items():
        assert told[boot_id, "in"] >= ins
        assert told[boot_id, "out"] >= outs


def _running(reports: list[CountReport]) -> Iterator[tuple[int, int]]:
    ins = outs = 0
    for report in reports:
        ins, outs = ins + report.lines["mid"].in_, outs + report.lines["mid"].out
        yield ins, outs


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
