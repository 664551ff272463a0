from __future__ import annotations

import threading

import numpy as np
import pytest

from agent.cameras.frame import Wanted
from agent.cameras.pacing import Pacer
from agent.cameras.synthetic import SyntheticSource, parse_synthetic
from contracts.config import CameraConfig
from contracts.errors import CameraError, DocumentError, EdgetallyError, UnknownNameError
from contracts.model_spec import InputSpec
from runtime.synthetic_road import RoadSettings, SyntheticRoad
from tests.fakes.clock import WaitedClock

WANTED = Wanted(InputSpec(width=128, height=128, resize="letterbox"))


def open_road(source: str, **options: object) -> SyntheticSource:
    camera = CameraConfig.model_validate({"id": "road", "source": source, "realtime": False, **options})
    return SyntheticSource(camera, WANTED, threading.Event())


def test_frames_are_those_of_the_road_in_the_size_the_model_wants() -> None:
    source = open_road("synthetic:seed=3,width=640,height=320,frames=3")
    frames = list(iter(source.read, None))
    assert [frame.sequence for frame in frames] == [0, 1, 2]
    assert (frames[0].placement.top, frames[0].placement.height) == (32, 64)
    road = SyntheticRoad(RoadSettings(seed=3, width=128, height=64))
    assert np.array_equal(frames[2].image, road.frame(2))


def test_a_loop_shows_the_same_frames_and_goes_on_counting() -> None:
    source = open_road("synthetic:frames=2", loop=True)
    frames = [source.read() for _ in range(4)]
    assert [frame.sequence for frame in frames if frame] == [0, 1, 2, 3]
    assert np.array_equal(frames[0].image, frames[2].image)  # type: ignore[union-attr]


def test_what_is_above_the_cameras_rate_is_left_out() -> None:
    source = open_road("synthetic:fps=20,frames=20", fps=5)
    frames = list(iter(source.read, None))
    assert len(frames) + source.dropped["rate"] == 20
    assert len(frames) <= 6


def test_a_slow_box_leaves_frames_out_as_a_camera_would() -> None:
    camera = CameraConfig(id="road", source="synthetic:fps=10,frames=20")
    time, stop = WaitedClock(), threading.Event()
    source = SyntheticSource(camera, WANTED, stop, Pacer(stop, time.clock, time.wait))
    numbers = []
    while (frame := source.read()) is not None:
        numbers.append(frame.sequence)
        time.now += 0.25
    assert numbers == [0, 2, 5, 7, 10, 12, 15, 17]
    assert source.dropped == {"late": 20 - len(numbers)}


def test_a_fast_box_draws_each_frame_when_it_is_due() -> None:
    camera = CameraConfig(id="road", source="synthetic:fps=10,frames=5")
    time, stop = WaitedClock(), threading.Event()
    source = SyntheticSource(camera, WANTED, stop, Pacer(stop, time.clock, time.wait))
    left = []
    while source.read() is not None:
        left.append(time.now)
        time.now += 0.01
    assert left == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert source.dropped == {}


def test_all_settings_can_be_written() -> None:
    options = parse_synthetic(
        "synthetic: seed=4, fps=12.5, width=640, height=360, night=yes, lanes=2, vehicles_per_minute=30, noise=0,"
        "occlusion=false, frames=100"
    )
    assert options.frames == 100
    assert options.road == RoadSettings(640, 360, 12.5, 4, 30.0, 2, night=True, occlusion=False, noise=0)
    assert parse_synthetic("synthetic").road == RoadSettings()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("synthetic:fps=fast", "fps: expected a number, got 'fast'"),
        ("synthetic:seed=1.5", "seed: expected an integer, got '1.5'"),
        ("synthetic:night=dark", "night: expected true or false, got 'dark'"),
        ("synthetic:width=3", "width: expected an integer from 64 to 8192, got 3"),
        ("synthetic:frames=0", "frames: expected at least 1, got 0"),
        ("synthetic:night", "expected night=VALUE, got 'night'"),
    ],
)
def test_a_wrong_value_is_named(source: str, said: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_synthetic(source)
    assert str(caught.value) == f"{source}: {said}"


def test_an_unknown_key_is_told_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'vehicles_per_minute'"):
        parse_synthetic("synthetic:vehicle_per_minute=3")


def test_a_size_the_road_cannot_be_drawn_in_is_said() -> None:
    tiny = Wanted(InputSpec(width=32, height=32))
    with pytest.raises(DocumentError, match="camera 'road': it cannot be drawn 32x32 as the model wants it"):
        SyntheticSource(CameraConfig(id="road", source="synthetic"), tiny, threading.Event())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("fault=blak", "did you mean 'black'"),
        ("fault_from=3", "fault_from: expected 'fault' too, one of black, white"),
        ("fault=lost,fault_from=soon", "fault_from: expected seconds of at least 0, got 'soon'"),
        ("fault=lost,fault_for=inf", "fault_for: expected seconds of at least 0, got 'inf'"),
    ],
)
def test_a_fault_that_cannot_be_played_is_named(settings: str, said: str) -> None:
    with pytest.raises(EdgetallyError) as caught:
        parse_synthetic(f"synthetic:{settings}")
    assert said in str(caught.value)


def test_a_camera_plays_that_it_is_lost_and_that_it_stalls() -> None:
    lost = open_road("synthetic:fps=10,frames=30,fault=lost,fault_from=0.5")
    assert [lost.read() is not None for _ in range(5)] == [True] * 5
    with pytest.raises(CameraError, match="plays 'lost'"):
        lost.read()
    stalled = open_road("synthetic:fps=100,frames=30,fault=stalled,fault_from=0.05,fault_for=0.1")
    assert [frame.sequence for frame in iter(stalled.read, None)] == [*range(5), *range(15, 30)]


def test_a_stop_ends_a_camera_that_stalls_for_ever() -> None:
    camera, stop = CameraConfig(id="road", source="synthetic:fps=10,fault=stalled", realtime=False), threading.Event()
    source = SyntheticSource(camera, WANTED, stop)
    threading.Timer(0.02, stop.set).start()
    assert source.read() is None
