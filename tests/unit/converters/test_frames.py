"""Where the frames come from, that they are spread evenly, and that the same source gives the same bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from contracts.errors import DocumentError
from converters.frames import FRAMES, MIN_FRAMES, spread, take_frames
from runtime.synthetic_road import RoadSettings, SyntheticRoad
from tests.unit.agent.cameras.clips import write_clip, write_picture
from tests.unit.converters.networks import input_spec

SPEC = input_spec(width=96, height=64)


def pictures(folder: Path, count: int) -> Path:
    road = SyntheticRoad(RoadSettings(width=160, height=96))
    folder.mkdir(parents=True)
    for index in range(count):
        write_picture(folder / f"{index:03}.png", road.frame(index * 10))
    return folder


def test_the_road_stands_in_where_no_source_is_given() -> None:
    frames = take_frames(SPEC, None)
    assert len(frames.tensors) == FRAMES
    assert {(tensor.shape, tensor.dtype.name) for tensor in frames.tensors} == {((1, 64, 96, 3), "uint8")}
    assert frames.origin == "synthetic road, seed 0, 16 frames"
    assert frames.sha256 == take_frames(SPEC, None).sha256
    assert len({tensor.tobytes() for tensor in frames.tensors}) == FRAMES, "no two frames are the same"


def test_letterboxed_frames_are_padded() -> None:
    frames = take_frames(input_spec(width=64, height=64, resize="letterbox-topleft", pad_value=77), None, count=1)
    assert (frames.tensors[0][0, 40:] == 77).all(), "16:9 fills 36 of 64 rows"
    assert frames.tensors[0][0, :36].std() > 5


@pytest.mark.parametrize("labelled", [True, False])
def test_a_folder_is_spread_over(labelled: bool, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "set" / ("images" if labelled else ""), 24)
    (folder / "notes.txt").write_text("no picture")
    frames = take_frames(SPEC, tmp_path / "set")
    assert frames.origin == "folder set, 16 of 24 pictures"
    assert len(frames.tensors) == FRAMES
    assert all(tensor.flags.c_contiguous for tensor in frames.tensors)


def test_a_clip_is_spread_over(tmp_path: Path) -> None:
    frames = take_frames(SPEC, write_clip(tmp_path / "road.mp4", frames=40))
    assert frames.origin == "clip road.mp4, 16 frames"
    assert len(frames.tensors) == FRAMES


def test_too_few_pictures_are_refused_with_the_number_needed(tmp_path: Path) -> None:
    pictures(tmp_path / "few", MIN_FRAMES - 1)
    with pytest.raises(DocumentError, match=r"--calibration: expected at least 8 pictures .* holds 7"):
        take_frames(SPEC, tmp_path / "few")


def test_a_source_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="there is no such file"):
        take_frames(SPEC, tmp_path / "missing.mp4")


@pytest.mark.parametrize(("total", "count"), [(8, 16), (16, 16), (17, 16), (313, 16), (1, 1)])
def test_spreading_takes_each_at_most_once_and_as_many_as_there_are(total: int, count: int) -> None:
    chosen = spread(total, count)
    assert len(chosen) == min(total, count)
    assert min(chosen) >= 0
    assert max(chosen) < total
    assert np.ptp(np.diff(chosen)) <= 1 if len(chosen) > 1 else True
