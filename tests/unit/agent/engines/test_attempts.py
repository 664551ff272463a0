"""A build that failed is not tried again at once, nor for ever, nor by every start of the agent."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engines.attempts import UNFINISHED_AT_ONCE, WAITS, Attempts
from contracts.facts import FactValue

FACTS: dict[str, FactValue] = {"memory_mb": 8000, "cuda": "12.6"}


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def left(attempts: Attempts, name: str = "e") -> float:
    failure = attempts.failure(name)
    return 0.0 if failure is None else failure.seconds


def fail(attempts: Attempts) -> None:
    attempts.begin("e")
    attempts.failed("e", "no memory")


def test_waits_grow_and_then_it_is_not_tried_again(tmp_path: Path, clock: Clock) -> None:
    attempts = Attempts(tmp_path, FACTS, clock)
    waits = []
    for _ in range(len(WAITS) + 1):
        fail(attempts)
        waits.append(left(attempts))
        clock.now += left(attempts) if math.isfinite(left(attempts)) else 0.0
    assert waits == [*WAITS, math.inf]


def test_another_start_knows_why_and_how_long(tmp_path: Path, clock: Clock) -> None:
    fail(Attempts(tmp_path, FACTS, clock))
    clock.now += 600
    failure = Attempts(tmp_path, FACTS, clock).failure("e")
    assert failure is not None
    assert (failure.problem, failure.tries, failure.seconds) == ("no memory", 1, WAITS[0] - 600)
    assert Attempts(tmp_path, FACTS, clock).failure("other") is None


@pytest.mark.parametrize("change", [{"memory_mb": 16000}, {"swap_mb": 4000}, {"cuda": "12.8"}])
def test_a_box_that_changed_tries_anew(tmp_path: Path, clock: Clock, change: dict[str, FactValue]) -> None:
    for _ in range(len(WAITS) + 1):
        fail(Attempts(tmp_path, FACTS, clock))
    assert left(Attempts(tmp_path, {**FACTS, "python": "3.12"}, clock)) == math.inf
    assert left(Attempts(tmp_path, {**FACTS, **change}, clock)) == 0.0


def test_one_that_brings_the_box_down_each_time_is_not_begun_for_ever(tmp_path: Path, clock: Clock) -> None:
    for number in range(UNFINISHED_AT_ONCE + 1):
        assert left(Attempts(tmp_path, FACTS, clock)) == 0.0, f"a power cut no. {number} was held against it"
        Attempts(tmp_path, FACTS, clock).begin("e")
    failure = Attempts(tmp_path, FACTS, clock).failure("e")
    assert failure is not None
    assert failure.seconds > 0
    assert "ended while it was built" in failure.problem


def test_a_build_that_nobody_waits_for_any_more_is_not_held_against_it(tmp_path: Path, clock: Clock) -> None:
    for _ in range(10):
        attempts = Attempts(tmp_path, FACTS, clock)
        attempts.begin("e")
        attempts.abandoned("e")
    assert Attempts(tmp_path, FACTS, clock).failure("e") is None


def test_success_forgets(tmp_path: Path, clock: Clock) -> None:
    attempts = Attempts(tmp_path, FACTS, clock)
    fail(attempts)
    attempts.begin("e")
    attempts.succeeded("e")
    assert attempts.failure("e") is None
    assert list(tmp_path.iterdir()) == []


@given(jump=st.floats(-1e9, 1e9))
def test_a_clock_that_jumps_makes_no_wait_longer(tmp_path_factory: pytest.TempPathFactory, jump: float) -> None:
    clock = Clock()
    attempts = Attempts(tmp_path_factory.mktemp("a"), FACTS, clock)
    fail(attempts)
    clock.now += jump
    assert 0.0 <= left(attempts) <= WAITS[0]


@given(content=st.binary(max_size=100))
def test_a_damaged_file_counts_as_none(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("a")
    (folder / "e.json").write_bytes(content)
    assert Attempts(folder, FACTS, Clock()).failure("e") is None


def test_where_the_disk_refuses_it_is_known_until_the_process_ends(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    attempts = Attempts(tmp_path / "file/attempts", FACTS, clock)
    fail(attempts)
    assert left(attempts) == WAITS[0]
    assert "a restart will not know of it" in caplog.text
