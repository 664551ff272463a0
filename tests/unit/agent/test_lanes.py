"""Lanes work at once, and results come out in the order of the frames; a failing frame is told and costs no lane."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.cameras.frame import Frame
from agent.cameras.slot import FrameSlot
from agent.lanes import _MOST_UNDER_WAY, LanePool, Stream
from agent.limited_log import LimitedLog
from agent.model import LoadedModel, RunningForm
from contracts.errors import ArtifactError
from contracts.model_spec import DensityOutput
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
    return LoadedModel(manifest.model, manifest.artifacts[0], "f32", tuple(GatedLane(gate) for gate in gates))


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
    pool = LanePool([Stream(slot, open_decoder, counted, worth)], ready)
    pool.switch(model)
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


def test_a_frame_that_cannot_be_looked_at_is_not_counted_and_costs_no_lane(path: Path) -> None:
    def worth(frame: Frame) -> bool:
        if frame.sequence == 2:
            raise ValueError("a bug")
        return True

    assert run(path, [1, 2, 3], [lambda _: None], worth).came == [(1, 1.0), (2, None), (3, 3.0)]


@settings(deadline=None)
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
    pool = LanePool([Stream(slot, open_decoder, sink)], ready)
    pool.switch(model)
    for number in (1, 2):
        slot.put(frame(number))
    pool.stop()
    assert uncounted == [1, 2]


class Road:
    """A camera whose frames are put by the test, on a pool without a model yet."""

    def __init__(self, path: Path, *, keep_all: bool = True) -> None:
        self.path = path
        self.counted = Counted()
        self.forms: list[tuple[float, int]] = []  # scale of the form, and how many frames had come before it
        self._ready = threading.Condition()
        self.slot = FrameSlot(keep_all=keep_all, on_ready=self._notify)
        self.stream = Stream(self.slot, open_decoder, self.counted, begins=self._begins)
        self.pool = LanePool([self.stream], self._ready)

    def model(self, *gates: Callable[[int], None], scale: float = 1.0) -> LoadedModel:
        made = loaded(self.path, list(gates) or [lambda _: None])
        output = made.spec.output.model_copy(update={"scale": scale})
        return replace(made, spec=made.spec.model_copy(update={"output": output}))

    def put(self, *numbers: int) -> None:
        for number in numbers:
            self.slot.put(frame(number))

    def wait_until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline
            threading.Event().wait(0.001)

    def _begins(self, form: RunningForm) -> None:
        assert isinstance(form.spec.output, DensityOutput)
        self.forms.append((form.spec.output.scale, len(self.counted.came)))

    def _notify(self) -> None:
        with self._ready:
            self._ready.notify()


class TestSwitch:
    """Another model takes over between two frames."""

    def test_frames_wait_for_the_first_model(self, path: Path) -> None:
        road = Road(path)
        road.put(1)
        assert road.counted.came == []
        assert road.pool.switch(road.model()) is None
        road.counted.wait_for(1)
        road.pool.stop()
        assert road.counted.came == [(1, 1.0)]

    def test_what_the_model_before_has_begun_it_finishes_decodes_and_hands_on_first(self, path: Path) -> None:
        road = Road(path)
        begun, may_end = threading.Event(), threading.Event()

        def gate(value: int) -> None:
            begun.set()
            assert may_end.wait(PATIENCE)

        before = road.model(gate, scale=10.0)
        road.pool.switch(before)
        road.put(1)
        assert begun.wait(PATIENCE)
        seen: list[int] = []

        def later(value: int) -> None:
            seen.append(value)
            if value == 3:
                may_end.set()  # both frames of the new model are through before the old one's is

        returned: list[LoadedModel | None] = []
        switching = threading.Thread(target=lambda: returned.append(road.pool.switch(road.model(later, scale=100.0))))
        switching.start()
        road.put(2, 3)
        road.counted.wait_for(3)
        switching.join(PATIENCE)
        road.pool.stop()
        assert seen == [2, 3]
        assert road.counted.came == [(1, 10.0), (2, 200.0), (3, 300.0)]
        assert road.forms == [(10.0, 0), (100.0, 1)]
        assert returned == [before]

    @given(
        frames=st.integers(1, 60),
        lanes=st.lists(st.integers(1, 3), min_size=1, max_size=5),
        switches=st.lists(st.integers(0, 60), max_size=4),
    )
    def test_every_frame_is_counted_once_in_order_however_often_it_is_switched(
        self, path: Path, frames: int, lanes: list[int], switches: list[int]
    ) -> None:
        road = Road(path)
        scales = [float(10**n) for n in range(len(switches) + 1)]

        def model(number: int) -> LoadedModel:
            return road.model(*[lambda _: None] * lanes[number % len(lanes)], scale=scales[number])

        road.pool.switch(model(0))
        number = 0
        for value in range(1, frames + 1):
            for _ in range(switches.count(value)):
                number += 1
                assert road.pool.switch(model(number)) is not None
            road.put(value)
        road.pool.stop()
        assert [sequence for sequence, _ in road.counted.came] == list(range(1, frames + 1))
        used = [value / sequence for sequence, value in road.counted.came if value is not None]
        assert used == sorted(used), "a frame of a model before came after one of the next"

    def test_switching_while_frames_pour_in_leaves_none_out(self, path: Path) -> None:
        road = Road(path)
        road.pool.switch(road.model(lambda _: None, lambda _: None))
        numbers = [number for number in range(256) if number != 13] * 8
        feeding = threading.Thread(target=road.put, args=numbers)
        feeding.start()
        switches = 0
        while feeding.is_alive():
            assert road.pool.switch(road.model(*[lambda _: None] * (1 + switches % 3))) is not None
            switches += 1
        road.pool.stop()
        assert [sequence for sequence, _ in road.counted.came] == numbers
        assert switches > 2

    def test_a_model_of_another_input_is_refused_and_the_one_before_goes_on(self, path: Path) -> None:
        road = Road(path)
        road.pool.switch(road.model())
        other = road.model()
        spec = other.spec.model_copy(update={"input": other.spec.input.model_copy(update={"width": 32})})
        with pytest.raises(ArtifactError, match="frames of another size"):
            road.pool.switch(replace(other, spec=spec))
        road.put(1, 2)
        road.pool.stop()
        assert road.counted.came == [(1, 1.0), (2, 2.0)]

    def test_where_the_system_has_no_thread_left_that_is_said_and_the_lanes_still_end(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        road, begin = Road(path), threading.Thread.start

        def start(thread: threading.Thread) -> None:
            if thread.name == "lane-1":
                raise RuntimeError("can't start new thread")
            begin(thread)

        model = road.model(lambda _: None, lambda _: None)
        monkeypatch.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            road.pool.switch(model)
        assert road.pool.stop(PATIENCE) is model

    def test_a_lane_that_hangs_is_left_behind_and_its_model_is_not_given_back(self, path: Path) -> None:
        road = Road(path)
        begun, never = threading.Event(), threading.Event()

        def gate(value: int) -> None:
            begun.set()
            never.wait(PATIENCE)

        road.pool.switch(road.model(gate))
        road.put(1)
        assert begun.wait(PATIENCE)
        assert road.pool.switch(road.model(), timeout=0.0) is None
        never.set()
        road.pool.stop()

    def test_results_behind_a_lane_that_hangs_do_not_fill_the_memory(self, path: Path) -> None:
        road = Road(path, keep_all=False)
        begun, free = threading.Event(), threading.Event()
        inferred: list[int] = []

        def gate(value: int) -> None:
            if value == 0:
                begun.set()
                assert free.wait(PATIENCE)
            inferred.append(value)

        road.pool.switch(road.model(gate, gate))
        road.put(0)
        assert begun.wait(PATIENCE)
        for number in range(1, 200):
            road.put(number)
            if number < _MOST_UNDER_WAY:
                road.wait_until(lambda number=number: number in inferred)  # type: ignore[misc]
        assert len(inferred) == _MOST_UNDER_WAY - 1
        free.set()
        road.pool.stop()
        assert [sequence for sequence, _ in road.counted.came] == [*range(_MOST_UNDER_WAY), 199]

    def test_stopped_lanes_take_no_other_model_and_give_theirs_back_once(self, path: Path) -> None:
        road = Road(path)
        model = road.model()
        road.pool.switch(model)
        assert road.pool.stop() is model
        assert road.pool.stop() is None
        with pytest.raises(RuntimeError, match="stopped"):
            road.pool.switch(road.model())


class Held:
    """A lane's gate that is shut until a test opens it."""

    def __init__(self) -> None:
        self.begun, self.may_end = threading.Event(), threading.Event()

    def __call__(self, value: int) -> None:
        self.begun.set()
        assert self.may_end.wait(PATIENCE)


class TestComingAndGoing:
    """Streams come and go while the others are counted."""

    def test_a_stream_that_comes_later_is_counted_by_the_model_that_runs(self, path: Path) -> None:
        road = Road(path)
        road.pool.switch(road.model(scale=10.0))
        later = Counted()
        slot = FrameSlot(keep_all=True, on_ready=road._notify)
        road.pool.add(Stream(slot, open_decoder, later))
        slot.put(frame(1))
        road.put(2)
        later.wait_for(1)
        road.counted.wait_for(1)
        road.pool.switch(road.model(scale=100.0))
        slot.put(frame(3))
        later.wait_for(2)
        road.pool.stop()
        assert later.came == [(1, 10.0), (3, 300.0)]
        assert road.counted.came == [(2, 20.0)]

    def test_of_a_stream_that_goes_what_was_begun_is_handed_on_and_nothing_more_is_taken(self, path: Path) -> None:
        road = Road(path)
        held = Held()
        road.pool.switch(road.model(held))
        road.put(1)
        assert held.begun.wait(PATIENCE)
        road.slot.put(frame(2))
        road.pool.remove(road.stream)
        assert not road.stream.wait_idle(0.0)
        held.may_end.set()
        assert road.stream.wait_idle(PATIENCE)
        road.pool.stop()
        assert road.counted.came == [(1, 1.0)]
        assert not road.slot.empty

    def test_a_stream_that_is_added_again_is_decoded_anew_from_the_next_frame_on(self, path: Path) -> None:
        road = Road(path)
        road.pool.switch(road.model())
        road.put(1)
        road.counted.wait_for(1)
        road.stream.decode_as = lambda spec: open_decoder(
            spec.model_copy(update={"output": spec.output.model_copy(update={"scale": 7.0})})
        )
        road.pool.add(road.stream)
        road.put(2)
        road.counted.wait_for(2)
        road.pool.stop()
        assert road.counted.came == [(1, 1.0), (2, 14.0)]

    def test_a_lane_that_hangs_is_given_up_and_what_comes_after_its_frame_is_counted(self, path: Path) -> None:
        road = Road(path)
        held = Held()
        road.pool.switch(road.model(held))
        road.put(1)
        assert held.begun.wait(PATIENCE)
        assert road.pool.switch(road.model(scale=10.0), timeout=0.0) is None
        road.put(2)
        road.counted.wait_for(2)
        held.may_end.set()  # the lane comes back after all: its frame was said to have failed already
        road.put(3)
        road.counted.wait_for(3)
        road.pool.stop()
        assert road.counted.came == [(1, None), (2, 20.0), (3, 30.0)]


class TestStandstill:
    def test_a_frame_that_does_not_come_out_of_the_lanes_is_one_for_as_long_as_it_lasts(self, path: Path) -> None:
        road = Road(path)
        held = Held()
        road.pool.switch(road.model(held))
        assert road.pool.standstill(time.monotonic() + 60) == 0
        road.put(1)
        assert held.begun.wait(PATIENCE)
        assert 60 <= road.pool.standstill(time.monotonic() + 60) < 60 + PATIENCE
        held.may_end.set()
        road.counted.wait_for(1)
        assert road.stream.wait_idle(PATIENCE)
        assert road.pool.standstill(time.monotonic() + 60) == 0
        road.pool.stop()

    def test_a_result_that_is_not_taken_is_one(self, path: Path) -> None:
        road = Road(path)
        counting, may_end = threading.Event(), threading.Event()

        def sink(_frame: Frame, _result: Result | None) -> None:
            counting.set()
            may_end.wait(PATIENCE)

        road.stream.sink = sink
        road.pool.switch(road.model())
        road.put(1)
        assert counting.wait(PATIENCE)
        assert road.pool.standstill(time.monotonic() + 60) >= 60
        may_end.set()
        road.pool.stop()

    def test_looking_at_a_frame_without_end_is_one(self, path: Path) -> None:
        road = Road(path)
        looking, may_end = threading.Event(), threading.Event()

        def worth(_frame: Frame) -> bool:
            looking.set()
            return may_end.wait(PATIENCE)

        road.stream.worth = worth
        road.pool.switch(road.model())
        road.slot.put(frame(1))
        threading.Thread(target=road._notify).start()
        assert looking.wait(PATIENCE)
        assert road.pool.standstill(time.monotonic() + 60) >= 60
        may_end.set()
        road.counted.wait_for(1)
        road.pool.stop()

    def test_frames_that_wait_for_a_model_which_is_still_being_built_are_none(self, path: Path) -> None:
        road = Road(path)
        road.slot.put(frame(1))
        assert road.pool.standstill(time.monotonic() + 60) == 0

    def test_frames_that_wait_while_no_lane_takes_any_are_one(self, path: Path) -> None:
        road = Road(path)
        road.pool.switch(road.model())
        with road.pool._ready:  # whoever holds this keeps every lane from coming round
            road.slot._frame = frame(1)
            assert road.pool.standstill(time.monotonic() + 60) >= 60
        road._notify()
        road.counted.wait_for(1)
        road.pool.stop()

    def test_what_hangs_in_a_lane_that_was_given_up_is_none(self, path: Path) -> None:
        road = Road(path)
        held = Held()
        road.pool.switch(road.model(held))
        road.put(1)
        assert held.begun.wait(PATIENCE)
        assert road.pool.switch(road.model(), timeout=0.0) is None
        assert road.pool.standstill(time.monotonic() + 60) == 0
        held.may_end.set()
        road.pool.stop()
