"""Which version of MQTT is tried next."""

from __future__ import annotations

import pytest

from agent.mqtt.ports import Version
from agent.mqtt.problems import ConnectError, Kind
from agent.mqtt.version import VersionChoice


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def failure(kind: Kind) -> ConnectError:
    return ConnectError("host:1", "problem", "do", kind)


def test_five_comes_first() -> None:
    assert VersionChoice().next() == "5"


@pytest.mark.parametrize("kind", ["version", "silent"])
def test_a_broker_that_does_not_know_five_is_asked_by_the_old_one_at_once(kind: Kind) -> None:
    choice = VersionChoice()
    choice.failed("5", failure(kind))
    assert choice.next() == "3.1.1"


def test_hanging_up_once_may_be_an_accident_twice_is_not() -> None:
    choice = VersionChoice()
    choice.failed("5", failure("closed"))
    assert choice.next() == "5"
    choice.failed("5", failure("closed"))
    assert choice.next() == "3.1.1"


@pytest.mark.parametrize("kind", ["closed", "silent"])
def test_a_broker_that_took_five_once_is_not_too_old_but_restarting(kind: Kind) -> None:
    choice = VersionChoice()
    choice.succeeded("5")
    for _ in range(10):
        choice.failed("5", failure(kind))
    assert choice.next() == "5"
    choice.failed("5", failure("version"))  # replaced by another one
    assert choice.next() == "3.1.1"


def test_the_old_one_is_remembered_for_some_hours_only() -> None:
    clock = Clock()
    choice = VersionChoice(clock)
    choice.failed("5", failure("version"))
    choice.succeeded("3.1.1")
    clock.now = 5 * 3600.0
    assert choice.next() == "3.1.1"
    clock.now = 7 * 3600.0
    assert choice.next() == "5"


@pytest.mark.parametrize("kind", ["closed", "version", "silent"])
def test_where_the_old_one_fails_too_it_was_not_the_version(kind: Kind) -> None:
    choice = VersionChoice()
    choice.failed("5", failure("version"))
    choice.succeeded("3.1.1")
    choice.failed("3.1.1", failure(kind))
    assert choice.next() == "5"


def test_an_unreachable_broker_says_nothing_about_versions() -> None:
    choice = VersionChoice()
    for _ in range(10):
        choice.failed("5", failure("other"))
    assert choice.next() == "5"
    choice.failed("5", failure("version"))
    choice.failed("3.1.1", failure("other"))
    assert choice.next() == "3.1.1"


@pytest.mark.parametrize("wanted", ["5", "3.1.1"])
def test_a_version_that_was_asked_for_is_the_only_one(wanted: Version) -> None:
    choice = VersionChoice(wanted=wanted)
    for _ in range(5):
        choice.failed(wanted, failure("version"))
        assert choice.next() == wanted
