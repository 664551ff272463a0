"""Lanes work at once, and results come out in the order of the frames; a failing frame is told and costs no lane."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cameras.frame import Frame
from agent.cameras.slot import FrameSlot
from agent.lanes import LanePool, Stream
from agent.limited_log import LimitedLog
from agent.model import LoadedModel
from contracts.errors import ArtifactError
from runtime.bundle import open_bundle
from runtime.decoders.table import open_decoder
from runtime.prepare import Placement
from runtime.results import DensityMap, Result, Tensors
from tests.fakes.bundles import make_bundle

PATIENCE = 30.0  # seconds
PLACEMENT = Placement(0, 0, 64, 64, 64, 64)


class GatedLane:
    """Gives the first pixel's value as a density, once its gate is open; fails for 13."""

    def __init__(self, gate: Callable[[int], None]) -> None:
        self._gate = gate

    def infer(self, tensors: Tensors) -> Tensors:
        value = int(tensors["image"][0, 0, 0, 0])
        self._gate(value)
        if value == 13:
            raise ArtifactError("unlucky")
        return {"density": np.full((1, 1, 1, 1), value, np.float32)}

    def close(self) -> None:
        pass


def frame(number: int) -> Frame:
    return Frame(np.full((64, 64, 3), number, np.uint8), PLACEMENT, number, 0.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("lanes") / "b")


def loaded(path: Path, gates: list[Callable[[int], None]]) -> LoadedModel:
    manifest = open_bundle(path).manifest
    return LoadedModel(manifest.model, manifest.artifacts[0], "f32", tuple(GatedLane(gate) for gate in gates), ())


class Counted:
    """Notes what comes out of the lanes."""

    def __init__(self) -> None:
        self.came: list[tuple[int, float | None]] = []
        self._changed = threading.Condition()

    def __call__(self, frame: Frame, result: Result | None) -> None:
        with self._changed:
            value = None if result is None else float(result.values.sum()) if isinstance(result, DensityMap) else -1.0
            self.came.append((frame.sequence, value))
            self._changed.notify_all()

    def wait_for(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.came) >= count, PATIENCE), self.came


def run(
    path: Path,
    numbers: list[int],
    gates: list[Callable[[int], None]],
    worth: Callable[[Frame], bool] = lambda _: True,
) -> Counted:
    model, ready, counted = loaded(path, gates), threading.Condition(), Counted()

    def notify() -> None:
        with ready:
            ready.notify()

    slot = FrameSlot(keep_all=True, on_ready=notify)
    pool = LanePool(model, [Stream(slot, open_decoder(model.spec), counted, worth)], ready)
    pool.start()
    for number in numbers:
        slot.put(frame(number))
    pool.stop()
    return counted


def test_two_lanes_infer_at_once_and_the_slower_earlier_frame_still_comes_first(path: Path) -> None:
    second_is_in = threading.Event()

    def gate(value: int) -> None:
        if value == 2:
            second_is_in.set()
        elif value == 1:
            assert second_is_in.wait(PATIENCE), "the second lane did not start while the first was busy"

    assert run(path, [1, 2, 3], [gate, gate]).came == [(1, 1.0), (2, 2.0), (3, 3.0)]


@given(numbers=st.lists(st.integers(0, 255), max_size=40), lanes=st.integers(1, 4))
def test_every_frame_comes_out_once_in_order_whatever_the_lanes(path: Path, numbers: list[int], lanes: int) -> None:
    came = run(path, numbers, [lambda _: None] * lanes).came
    assert came == [(number, None if number == 13 else float(number)) for number in numbers]


def test_a_frame_that_the_model_fails_on_is_none_and_never_zero(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.lanes._faults", LimitedLog(logging.getLogger("agent.lanes")))
    assert run(path, [12, 13, 14], [lambda _: None]).came == [(12, 12.0), (13, None), (14, 14.0)]
    assert "unlucky" in caplog.text


def test_an_unexpected_fault_costs_the_frame_and_not_the_lane(path: Path) -> None:
    def gate(value: int) -> None:
        if value == 1:
            raise ZeroDivisionError

    assert run(path, [1, 2], [gate]).came == [(1, None), (2, 2.0)]


def test_a_frame_that_shows_nothing_is_not_given_to_the_model(path: Path) -> None:
    asked: list[int] = []
    came = run(path, [1, 2, 3], [asked.append], worth=lambda one: one.sequence != 2).came
    assert came == [(1, 1.0), (3, 3.0)]
    assert asked == [1, 3]


def test_a_frame_that_cannot_be_counted_is_told_to_be_so_and_the_next_is_tried(path: Path) -> None:
    model, ready = loaded(path, [lambda _: None]), threading.Condition()
    uncounted: list[int] = []

    def sink(one: Frame, result: Result | None) -> None:
        if result is not None:
            raise ValueError("in counting")
        uncounted.append(one.sequence)

    def notify() -> None:
        with ready:
            ready.notify()

    slot = FrameSlot(keep_all=True, on_ready=notify)
    pool = LanePool(model, [Stream(slot, open_decoder(model.spec), sink)], ready)
    pool.start()
    for number in (1, 2):
        slot.put(frame(number))
    pool.stop()
    assert uncounted == [1, 2]
