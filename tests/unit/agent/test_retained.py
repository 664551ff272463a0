"""The broker keeps no state of a camera that this box has no more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from agent.mqtt.ports import Outlet
from agent.retained import RetainedStates
from agent.store import Store
from contracts.documents import MachineModel
from contracts.topics import Topic


class Taken:
    """Notes what was taken back."""

    def __init__(self) -> None:
        self.topics: list[str] = []

    def state(self, topic: Topic, message: MachineModel | None) -> None:
        assert message is None
        self.topics.append(str(topic))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path)
    yield opened
    opened.close()


def taken_back(store: Store, *cameras: str) -> list[str]:
    """Of a start of the agent with these cameras."""
    outlet = Taken()
    RetainedStates(cast("Outlet", outlet), store, "box").update(cameras)
    return outlet.topics


def test_what_is_gone_is_taken_back_at_every_start_until_it_comes_again(store: Store) -> None:
    yard = "edgetally/v1/box/camera/yard/state"
    assert taken_back(store, "gate", "yard") == []
    assert taken_back(store, "yard", "gate") == []
    assert taken_back(store, "gate") == [yard]
    assert taken_back(store, "gate") == [yard]
    assert taken_back(store, "gate", "yard") == []


def test_only_so_many_are_remembered(store: Store) -> None:
    for number in range(100):
        taken_back(store, f"camera-{number}")
    assert len(taken_back(store, "gate")) == 64
