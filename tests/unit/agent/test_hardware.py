"""A box that gets hot takes fewer frames of its cameras, says so, and its reports stay true."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from agent.cameras.frame import Frame, Wanted
from agent.cameras.pacing import Pace, Pacer
from agent.cameras.synthetic import SyntheticSource
from agent.counting.clock import ClockWindow
from agent.counting.frame_counts import FrameCounts
from agent.counting.gaps import longest_gap
from agent.counting.window import WindowAccumulator
from agent.hardware import Hardware
from agent.telemetry.table import find_readers
from contracts.config import AgentConfig, CameraConfig
from contracts.model_spec import InputSpec
from tests.fakes.clock import WaitedClock
from tests.unit.agent.trees import tree

WANTED = Wanted(InputSpec(width=64, height=64))
SOURCE = "synthetic:fps=20,frames=200,width=64,height=64"


def a_config(**shedding: object) -> AgentConfig:
    return AgentConfig.model_validate(
        {
            "device": "box",
            "bundle": "bundle",
            "broker": {"host": "127.0.0.1"},
            "camera": [{"id": "gate", "source": "synthetic"}],
            "shedding": shedding,
        }
    )


def hot_box(root: Path, **shedding: object) -> Hardware:
    """A board whose processor is at 97 degrees, after as many looks as it takes to come to the floor."""
    tree(root, "jetson-orin-nano")
    (root / "sys/class/thermal/thermal_zone0/temp").write_text("97000\n")
    hardware = Hardware(a_config(**shedding), root)
    hardware._sampler.sample(find_readers(root))  # what its thread does, which a test need not wait for
    now = time.monotonic()
    for step in range(4):
        hardware.look(now + step * 1.0)
    return hardware


def frames_of(hardware: Hardware, camera: CameraConfig) -> tuple[list[Frame], dict[str, int]]:
    """All frames of a camera in a time of the test's own."""
    fake = WaitedClock()

    def opener(asked: CameraConfig, wanted: Wanted, stop: threading.Event) -> SyntheticSource:
        return SyntheticSource(asked, wanted, stop, Pacer(stop, fake.clock, fake.wait))

    source = hardware.paced(opener)(camera, WANTED, threading.Event())
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    return frames, dict(source.dropped)


def test_a_hot_box_takes_fewer_frames_and_says_why(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hardware = hot_box(tmp_path, hold_seconds=1)
    told = hardware.shedding(time.monotonic())
    assert told is not None
    assert (told.share, told.why) == (0.25, "cpu-thermal is at 97.0 degrees, hot from 94.0 on")
    assert "hot from 94.0 on: 0.75 of the frames are taken" in caplog.text


def test_every_frame_that_is_left_out_is_counted_as_shed(tmp_path: Path) -> None:
    hardware = hot_box(tmp_path, hold_seconds=1)
    frames, dropped = frames_of(hardware, CameraConfig(id="gate", source=SOURCE))
    assert len(frames) == pytest.approx(50, abs=1)
    assert dropped == {"shed": 200 - len(frames)}


def test_a_camera_is_not_shed_below_the_least_rate(tmp_path: Path) -> None:
    hardware = hot_box(tmp_path, hold_seconds=1, least_fps=10)
    frames, _ = frames_of(hardware, CameraConfig(id="gate", source=SOURCE))
    assert len(frames) == pytest.approx(100, abs=1)


def test_switched_off_nothing_is_shed_and_nothing_said_of_it(tmp_path: Path) -> None:
    hardware = hot_box(tmp_path, enabled=False)
    frames, dropped = frames_of(hardware, CameraConfig(id="gate", source=SOURCE))
    assert (len(frames), dropped) == (200, {})
    assert hardware.shedding(0.0) is None
    assert hardware.telemetry(time.monotonic()) is not None


def test_a_file_that_is_read_as_fast_as_it_goes_is_not_shed(tmp_path: Path) -> None:
    hardware = hot_box(tmp_path, hold_seconds=1)
    frames, _ = frames_of(hardware, CameraConfig(id="gate", source=SOURCE, realtime=False))
    assert len(frames) == 200


@pytest.mark.parametrize("stale_after", [0.08, 0.15, 0.4, 2.0])
def test_the_coverage_of_a_shed_camera_is_what_it_is_without(tmp_path: Path, stale_after: float) -> None:
    """What is left out makes no hole, and a camera that stopped is as stale as ever."""
    camera = CameraConfig(id="gate", source=SOURCE, stale_after=stale_after)
    covered = []
    for enabled in (False, True):
        frames, _ = frames_of(hot_box(tmp_path / str(enabled), enabled=enabled, hold_seconds=1), camera)
        begins = frames[0].shown_at
        window = WindowAccumulator(camera, begins)
        for frame in frames:
            window.observe(FrameCounts(1.0, {}, {}, ()), frame.shown_at)
        report = window.close(ClockWindow(0.0, 20.0, begins, begins + 20))  # of which it ran for the first half
        covered.append(report.coverage)
        assert report.coverage <= (10 + longest_gap(camera)) / 20
    assert covered[1] == pytest.approx(covered[0], abs=0.16 / 20)  # the last frame may be one of those left out


def test_of_what_no_pace_is_said_all_frames_are_taken() -> None:
    assert Wanted(WANTED.spec).pace.share() == 1.0
    assert Pace().longest_gap == 0.0
