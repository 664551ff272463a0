"""A video gives pictures spread over its time and over how bright they are, each known by its content."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.errors import DocumentError
from converters.pictures.clip import clip_items
from converters.pictures.item import Item
from tests.unit.converters.networks import input_spec
from tests.unit.converters.pictures.videos import write_video

SPEC = input_spec(width=96, height=64)


def number_of(item: Item) -> int:
    return int(item.name.rpartition(" ")[2])


def test_as_many_are_taken_as_were_asked_for_over_all_of_its_time(tmp_path: Path) -> None:
    items = clip_items(write_video(tmp_path / "road.mp4", 90), 10, SPEC)
    numbers = [number_of(item) for item in items]  # among 30 candidates
    assert numbers == sorted(set(numbers))
    assert len(numbers) == 10
    assert numbers[0] < 10
    assert numbers[-1] >= 20
    assert {item.clip for item in items} == {"road.mp4"}


def test_a_shorter_video_gives_all_it_has(tmp_path: Path) -> None:
    assert len(clip_items(write_video(tmp_path / "road.mp4", 5), 10, SPEC)) == 5


def test_dark_pictures_are_among_them_even_where_each_step_in_time_meets_a_bright_one(tmp_path: Path) -> None:
    items = clip_items(write_video(tmp_path / "flashes.mp4", 27, dark=range(0, 27, 3)), 9, SPEC)
    dark = [item for item in items if item.load(SPEC)[0].mean() < 100]
    assert len(items) == 9
    assert len(dark) == 3, "a third of the video is dark"


def test_parts_of_one_video_share_no_picture(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "road.mp4", 60)
    first, last = (clip_items(clip, 8, SPEC, part=part) for part in ((0.0, 0.5), (0.55, 1.0)))
    assert max(map(number_of, first)) < min(map(number_of, last))
    assert not {item.digest for item in first} & {item.digest for item in last}
    assert {item.clip for item in first}.isdisjoint(item.clip for item in last), "the parts are named"


def test_the_same_video_gives_the_same_pictures(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "road.mp4", 30)
    one, again = (clip_items(clip, 8, SPEC) for _ in range(2))
    assert [(item.name, item.digest) for item in one] == [(item.name, item.digest) for item in again]


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "road.mp4").write_text("not a video")
    with pytest.raises(DocumentError, match="expected a video that can be decoded"):
        clip_items(tmp_path / "road.mp4", 8, SPEC)
