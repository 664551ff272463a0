"""The watchdog is fed while the loops turn, whatever cameras and broker do, and not once a lane stands still."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.service.heart import Heart, Pulse

WELL = Pulse(standstill=0.0, counting=2, cameras=2, fps=59.6, connected=True)


@dataclass
class Listening:
    """A manager that keeps what it hears."""

    watchdog: float | None = 60.0
    heard: list[str] = field(default_factory=list)

    def tell(self, words: str) -> None:
        self.heard.append(words)

    @property
    def fed(self) -> int:
        return sum("WATCHDOG=1\n" in words for words in self.heard)


def beats(manager: Listening, pulse: Pulse, *moments: float) -> None:
    heart = Heart(manager, lambda _: pulse)
    for now in moments:
        heart.beat(now)


def test_the_first_beat_says_that_it_is_ready_and_no_later_one_does() -> None:
    manager = Listening()
    beats(manager, WELL, 0.0, 20.0, 40.0)
    assert ["READY=1\n" in words for words in manager.heard] == [True, False, False]


def test_it_is_ready_and_fed_without_a_camera_or_a_broker() -> None:
    manager = Listening()
    beats(manager, Pulse(standstill=0.0, counting=0, cameras=2, fps=0.0, connected=False), 0.0, 20.0)
    assert (
        manager.heard[0]
        == "READY=1\nSTATUS=counting 0 of 2 cameras, 0 frames/s; broker away, reports wait\nWATCHDOG=1\n"
    )
    assert manager.fed == 2


def test_it_is_not_fed_while_a_lane_stands_still_and_the_log_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    manager = Listening()
    with caplog.at_level(logging.CRITICAL):
        beats(manager, replace(WELL, standstill=31.0), 0.0, 20.0, 40.0)
    assert manager.fed == 0
    assert "a lane stands still for 31 s" in manager.heard[-1]
    assert len(caplog.records) == 1


def test_it_is_fed_again_once_the_lane_moves_on() -> None:
    manager = Listening()
    pulses = iter([WELL, replace(WELL, standstill=45.0), WELL])
    heart = Heart(manager, lambda _: next(pulses))
    for now in (0.0, 20.0, 40.0):
        heart.beat(now)
    assert manager.fed == 2


def test_without_a_watchdog_a_person_still_reads_how_it_is() -> None:
    manager = Listening(watchdog=None)
    beats(manager, replace(WELL, standstill=1000.0), 0.0)
    assert "STATUS=counting 2 of 2 cameras, 60 frames/s; broker connected\n" in manager.heard[0]


def test_what_a_person_should_know_comes_first() -> None:
    manager = Listening()
    Heart(manager, lambda _: WELL, "the last good file runs").beat(0.0)
    assert "STATUS=the last good file runs; counting 2" in manager.heard[0]


def test_the_end_is_said() -> None:
    manager = Listening()
    Heart(manager, lambda _: WELL).stop()
    assert manager.heard[0].startswith("STOPPING=1\n")


@given(st.lists(st.floats(0.0, 1.5), min_size=1, max_size=400), st.floats(1.0, 600.0))
def test_while_the_daemon_comes_round_in_time_systemd_never_waits_for_longer_than_it_may(
    turns: list[float], watchdog: float
) -> None:
    manager = Listening(watchdog=watchdog)
    now, fed_at, heart = 0.0, 0.0, Heart(manager, lambda _: WELL)
    for turn in [0.0, *turns]:
        now += min(turn, watchdog / 2)  # a daemon that takes longer does not come round in time
        before = manager.fed
        heart.beat(now)
        if manager.fed > before:
            fed_at = now
        assert now - fed_at < watchdog
