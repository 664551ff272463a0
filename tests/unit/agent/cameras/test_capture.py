from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest

from agent.backoff import Backoff
from agent.cameras.capture import Capture, CaptureStatus
from agent.cameras.frame import Frame, Source, Wanted
from agent.cameras.slot import FrameSlot
from contracts.config import CameraConfig
from contracts.errors import CameraError
from tests.unit.agent.cameras.clips import STRETCHED, frame

DEADLINE = 30.0
URL = "rtsp://user:s3cret@127.0.0.1:1/x"

Step = Frame | Exception | None


class FakeSource:
    """Gives what it was told to, then blocks until it is stopped."""

    def __init__(self, steps: Sequence[Step], stop: threading.Event, dropped: Mapping[str, int]) -> None:
        self._steps = iter(steps)
        self._stop = stop
        self.dropped = dropped
        self.closed = 0

    def read(self) -> Frame | None:
        for step in self._steps:
            if isinstance(step, Exception):
                raise step
            return step
        self._stop.wait(DEADLINE)
        return None

    def close(self) -> None:
        self.closed += 1


class Bench:
    """A capture on sources made up in the test, one for each opening."""

    def __init__(self, *openings: Sequence[Step] | Exception, retry: bool = True, keep_all: bool = False) -> None:
        self._openings = iter(openings)
        self._changed = threading.Condition()
        self.sources: list[FakeSource] = []
        self.states: list[str] = []
        self.problems: list[str | None] = []
        self.slot = FrameSlot(keep_all=keep_all, on_ready=self._tell)
        self.capture = Capture(
            CameraConfig(id="gate", source=URL),
            STRETCHED,
            self.slot,
            opener=self._open,
            retry=retry,
            backoff=Backoff(first=0.001, most=0.001),
            on_change=self._note,
        )

    def _open(self, camera: CameraConfig, wanted: Wanted, stop: threading.Event) -> Source:
        assert (camera.source, wanted) == (URL, STRETCHED)
        steps = next(self._openings, ())
        if isinstance(steps, Exception):
            raise steps
        source = FakeSource(steps, stop, {"rate": 2, "late": 1})
        self.sources.append(source)
        return source

    def _note(self) -> None:
        status = self.capture.status()
        self.states.append(status.state)
        self.problems.append(status.problem)
        self._tell()

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, holds: Callable[[CaptureStatus], bool]) -> CaptureStatus:
        with self._changed:
            met = self._changed.wait_for(lambda: holds(self.capture.status()), DEADLINE)
        assert met, self.capture.status()
        return self.capture.status()


@pytest.fixture
def run() -> Iterator[Callable[[Bench], Bench]]:
    started: list[Bench] = []

    def start(bench: Bench) -> Bench:
        started.append(bench)
        assert bench.capture.status() == CaptureStatus()
        bench.capture.start()
        return bench

    yield start
    for bench in started:
        assert bench.capture.close(DEADLINE)
        assert all(source.closed == 1 for source in bench.sources)


Run = Callable[[Bench], Bench]
LOST = CameraError("gate", "rtsp://127.0.0.1:1: the stream ended", "check the camera")


def test_it_runs_and_ends_with_a_file(run: Run) -> None:
    bench = run(Bench([frame(0), frame(1), None]))
    status = bench.wait_for(lambda status: status.state == "ended")
    assert bench.states == ["running", "ended"]
    assert (status.frames, status.problem, status.reconnects) == (2, None, 0)
    assert status.dropped == {"rate": 2, "late": 2}  # one of the source's, and one that waited in the slot
    newest = bench.slot.take()
    assert newest is not None
    assert newest.sequence == 1


def test_a_camera_that_does_not_open_is_tried_until_it_does(run: Run) -> None:
    bench = run(Bench(LOST, LOST, LOST, [frame(0)]))
    status = bench.wait_for(lambda status: status.frames == 1)
    assert bench.states == ["lost", "lost", "lost", "running"]
    assert (status.problem, status.reconnects) == (None, 0)


def test_a_camera_that_is_lost_comes_back_with_new_numbers(run: Run) -> None:
    bench = run(Bench([frame(0), frame(4), LOST], LOST, [frame(0)]))
    status = bench.wait_for(lambda status: status.frames == 3 and status.state == "running")
    assert status.reconnects == 1
    assert status.dropped["rate"] == 4
    newest = bench.slot.take()
    assert newest is not None
    assert newest.sequence == 5


def test_what_is_wrong_is_kept_until_frames_come(run: Run) -> None:
    bench = run(Bench([frame(0), LOST], *[LOST] * 5))
    bench.wait_for(lambda status: status.problem == str(LOST))
    bench.wait_for(lambda status: status.state == "lost")


def test_a_bug_is_logged_with_its_traceback_and_survived(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    bench = run(Bench([frame(0), ZeroDivisionError(f"while reading {URL}")], [frame(0)]))
    status = bench.wait_for(lambda status: status.frames == 2)
    assert (status.state, status.reconnects) == ("running", 1)
    assert "Traceback" in caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert "s3cret" not in caplog.text


def test_problems_and_logs_show_no_password(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    bench = run(Bench(CameraError("gate", f"cannot open {URL}", "try rtsp://me:s3cret@h"), ValueError(URL), [frame(0)]))
    bench.wait_for(lambda status: status.frames == 1)
    assert bench.problems == [
        "camera gate: cannot open rtsp://127.0.0.1:1; try rtsp://h",
        "camera gate: rtsp://127.0.0.1:1: an unexpected fault (ValueError); see the log",
        None,
    ]
    assert "s3cret" not in caplog.text


def test_without_retry_a_fault_ends_it(run: Run) -> None:
    bench = run(Bench([frame(0), LOST], retry=False))
    status = bench.wait_for(lambda status: status.state == "ended")
    assert (status.frames, status.problem) == (1, str(LOST))
    assert len(bench.sources) == 1


def test_closing_releases_a_camera_whose_frames_nobody_takes(run: Run) -> None:
    bench = run(Bench([frame(number) for number in range(10)], keep_all=True))
    bench.wait_for(lambda status: status.frames == 2)  # the second one waits to be put
    assert bench.capture.close(DEADLINE)
    assert bench.capture.status().dropped.get("late") == 1


def test_closing_twice_and_before_the_start_is_harmless() -> None:
    bench = Bench()
    assert bench.capture.close(DEADLINE)
    assert bench.capture.close(DEADLINE)
