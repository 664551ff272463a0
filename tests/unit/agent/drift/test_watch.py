"""A camera is looked at now and then, and only what can be believed is learned."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from agent.counting.clock import ClockWindow
from agent.counting.window import WindowCounts
from agent.drift.judge import Learned
from agent.drift.watch import DriftWatch, definition_of
from contracts.config import CameraConfig, LineConfig
from contracts.messages import Level, Quality, Window
from contracts.model_spec import ModelSpec
from runtime.results import Detections
from tests.fakes.drift import MONDAY

SPEC = ModelSpec.model_validate(
    {
        "name": "m",
        "version": "1.0.0",
        "labels": ["car"],
        "input": {"width": 64, "height": 64},
        "output": {"decoder": "yolox"},
    }
)
LINE = LineConfig(name="mid", start=(0, 0.5), end=(1, 0.5))
GATE = CameraConfig(id="gate", source="rtsp://me:secret@192.0.2.7/1", line=(LINE,))
STARTS = MONDAY.timestamp()
PICTURE = np.random.default_rng(0).integers(0, 200, (64, 64, 3), np.uint8)
CAR = Detections(np.array([[0, 0, 1, 1]], np.float32), np.array([0.75], np.float32), np.zeros(1, np.int64))
WINDOW = 60.0  # seconds


def a_watch(camera: CameraConfig = GATE, *, synced: bool | None = True) -> DriftWatch:
    return DriftWatch(camera, SPEC, lambda: synced, lambda seconds: dt.datetime.fromtimestamp(seconds, dt.timezone.utc))


def watch_window(
    watch: DriftWatch, number: int, quality: Quality = "ok", coverage: float = 1.0, crossed: int = 2
) -> None:
    """A minute with a frame a second, and one crossing each way or more."""
    for second in range(60):
        watch.see(PICTURE, CAR, 1.0, number * WINDOW + second)
    start = STARTS + number * WINDOW
    counts = WindowCounts(
        camera="gate",
        window=Window(start="", end=""),
        frames_seen=60,
        frames_dropped={},
        coverage=coverage,
        quality=quality,
        count=Level(last=1, mean=1, min=1, max=1),
        zones={},
        lines={"mid": {"car": {"in": crossed - 1, "out": 1}}},
    )
    watch.close(ClockWindow(start, start + WINDOW, number * WINDOW, (number + 1) * WINDOW), counts)


def learned_of(watch: DriftWatch) -> Learned:
    (learned,) = watch.unkept()
    return learned


def test_an_hour_of_windows_is_learned_where_it_ends() -> None:
    watch = a_watch()
    for number in range(59):
        watch_window(watch, number)
    assert watch.unkept() == []
    watch_window(watch, 59)
    learned = learned_of(watch)
    assert learned.past is not None
    assert learned.first is not None
    assert (learned.past.place.slot, learned.past.amount, learned.past.empty) == (0, 120.0, 0.0)
    assert learned.past.brightness == pytest.approx(99.5, abs=2)


def test_it_looks_at_a_frame_every_five_seconds_at_most() -> None:
    watch = a_watch()
    for number in range(60):
        watch_window(watch, number)
    first = learned_of(watch).first
    assert first is not None
    assert sum(first.spread) == 60 * 60 / 5
    assert first.spread[7] == 60 * 60 / 5


@pytest.mark.parametrize("quality", ["stale", "obscured", "no_camera", "model_error"])
def test_windows_that_cannot_be_believed_are_not_learned_from(quality: Quality) -> None:
    watch = a_watch()
    for number in range(60):
        watch_window(watch, number, "ok" if number < 40 else quality, crossed=2 if number < 40 else 50)
    learned = learned_of(watch)
    assert learned.past is not None
    assert (learned.past.amount, learned.past.seconds) == (120.0, 2400.0)


def test_what_was_seen_for_a_part_of_the_time_weighs_that_much() -> None:
    watch = a_watch()
    for number in range(60):
        watch_window(watch, number, coverage=0.6)
    learned = learned_of(watch)
    assert learned.past is not None
    assert (learned.past.amount, learned.past.seconds) == (pytest.approx(200.0), pytest.approx(2160.0))


def test_without_lines_it_is_what_is_in_the_picture_that_counts() -> None:
    watch = a_watch(CameraConfig(id="gate", source="synthetic"))
    for number in range(60):
        watch_window(watch, number)
    learned = learned_of(watch)
    assert learned.past is not None
    assert learned.past.amount == pytest.approx(1.0)


def test_an_hour_hardly_seen_is_not_learned_and_says_so() -> None:
    watch = a_watch()
    for number in range(60):
        watch_window(watch, number, "ok" if number < 20 else "no_camera")
    assert watch.unkept() == []
    assert watch.report().counts.waiting == "of the last hour 20 minutes were counted, 30 are needed"


@pytest.mark.parametrize("synced", [False, None])
def test_with_a_clock_in_doubt_no_hour_of_the_week_is_learned(synced: bool | None) -> None:
    watch = a_watch(synced=synced)
    for number in range(60):
        watch_window(watch, number)
    assert learned_of(watch).past is None
    assert learned_of(watch).first is not None


def test_what_is_seen_now_is_told_at_once_and_gone_with_the_camera() -> None:
    watch = a_watch()
    watch_window(watch, 0)
    assert watch.report().brightness_now == pytest.approx(99.5, abs=2)
    assert watch.report().sharpness_now is not None
    watch_window(watch, 1, "no_camera")
    assert watch.report().brightness_now is None


def test_a_clock_that_jumps_ends_the_hour() -> None:
    watch = a_watch()
    for number in [*range(40), *range(100_000, 100_040)]:
        watch_window(watch, number)
    assert len(watch.unkept()) == 1


def test_what_waits_for_the_disk_is_bounded() -> None:
    watch = a_watch()
    for hour in range(50):  # of two windows that stand for a quarter of an hour each
        for half in range(2):
            watch_window(watch, hour * 60 + half, coverage=15.0)
            for second in range(100):
                watch.see(PICTURE, CAR, 1.0, hour * 3600 + half * 1000 + 100 + second * 5)
    assert len(watch.unkept()) == 48


MOVED = [
    {"source": "rtsp://me:secret@192.0.2.8/1"},
    {"line": (LINE.model_copy(update={"end": (1.0, 0.6)}),)},
    {"score": 0.4},
]


@pytest.mark.parametrize("change", MOVED)
def test_a_camera_that_moved_is_another(change: dict[str, object]) -> None:
    assert definition_of(GATE.model_copy(update=change), SPEC) != definition_of(GATE, SPEC)


def test_another_model_is_another_camera_and_another_password_is_not() -> None:
    assert definition_of(GATE, SPEC.model_copy(update={"version": "1.0.1"})) != definition_of(GATE, SPEC)
    changed = GATE.model_copy(update={"source": "rtsp://me:other@192.0.2.7/1", "fps": 5.0})
    assert definition_of(changed, SPEC) == definition_of(GATE, SPEC)
