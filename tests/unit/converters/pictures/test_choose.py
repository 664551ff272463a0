"""What calibrates and what judges never share a picture or a clip, whatever the sources."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import DocumentError
from converters.pictures.choose import MIN_PICTURES, Limits, check_disjoint, choose_pictures
from converters.pictures.item import Item
from runtime.prepare import place
from tests.unit.converters.networks import input_spec
from tests.unit.converters.pictures.videos import write_video

SPEC = input_spec(width=96, height=64)


def item(digest: str, clip: str | None = None) -> Item:
    picture = np.zeros((64, 96, 3), np.uint8)
    return Item(f"picture {digest}", digest, lambda spec: (picture, place(spec, 96, 64)), clip)


def folder(path: Path, clips: dict[str, int], *, only: str = "") -> Path:
    """Pictures of clips, none of which has to be decoded here; ``only`` names the clip that is for calibration only."""
    (path / "images").mkdir(parents=True)
    rows = ["file,clip,count,split"]
    for clip, pictures in clips.items():
        for number in range(pictures):
            name = f"{clip}-{number:03}.png"
            (path / "images" / name).write_bytes(f"{path.name} {name}".encode())
            rows.append(f"{name},{clip},{number % 3},{'calibration-only' if clip == only else ''}")
    (path / "counts.csv").write_text("\n".join(rows))
    return path


def plain(path: Path, pictures: int) -> Path:
    path.mkdir(parents=True)
    for number in range(pictures):
        (path / f"{number:03}.png").write_bytes(f"{path.name} {number}".encode())
    return path


entries = st.lists(st.tuples(st.integers(0, 12), st.sampled_from([None, "a", "b", "c"])), max_size=12)


class TestCheckDisjoint:
    @given(entries, entries)
    def test_passes_exactly_what_shares_neither_a_picture_nor_a_named_clip(
        self, ours: list[tuple[int, str | None]], theirs: list[tuple[int, str | None]]
    ) -> None:
        left, right = ([item(str(digest), clip) for digest, clip in side] for side in (ours, theirs))
        shared = {digest for digest, _ in ours} & {digest for digest, _ in theirs}
        clips = {clip for _, clip in ours if clip} & {clip for _, clip in theirs if clip}
        if not shared and not clips:
            check_disjoint(left, right)
            return
        with pytest.raises(DocumentError, match="--evaluation"):
            check_disjoint(left, right)

    def test_names_the_picture_and_what_it_is_a_copy_of(self) -> None:
        with pytest.raises(DocumentError, match="picture picture 7 is picture 7 of the calibration pictures"):
            check_disjoint([item("6"), item("7")], [item("7")])

    def test_names_the_clip(self) -> None:
        with pytest.raises(DocumentError, match=r"clip 'gate' calibrates too.*split the pictures by clip"):
            check_disjoint([item("1", "gate")], [item("2", "gate")])


class TestOneSource:
    @pytest.mark.parametrize("given_twice", [False, True])
    def test_a_labelled_folder_is_split_by_clip(self, given_twice: bool, tmp_path: Path) -> None:
        source = folder(tmp_path / "set", {f"clip{number}": 10 for number in range(1, 7)})
        ours, theirs = choose_pictures(SPEC, source, source if given_twice else None)
        check_disjoint(ours.items, theirs.items)
        assert len(ours.items) == 20, "every third clip"
        assert len(theirs.items) == 40
        assert theirs.origin == "folder set, 40 of 40 pictures"

    def test_a_clip_whose_labels_are_incomplete_only_calibrates(self, tmp_path: Path) -> None:
        source = folder(tmp_path / "set", {f"clip{number}": 10 for number in range(1, 6)}, only="clip1")
        ours, theirs = choose_pictures(SPEC, source, None)
        assert "clip1" in {one.clip for one in ours.items}
        assert "clip1" not in {one.clip for one in theirs.items}

    def test_pictures_that_name_no_clip_among_others_that_do_are_left_out_with_a_warning(self, tmp_path: Path) -> None:
        source = folder(tmp_path / "set", {"": 7, "north": 10, "south": 10})
        ours, theirs = choose_pictures(SPEC, source, None)
        assert {one.clip for one in (*ours.items, *theirs.items)} == {"north", "south"}
        (warning,) = ours.warnings
        assert warning.startswith("7 of 27 pictures of set name no clip and were left out")

    def test_a_folder_without_clips_is_split_in_the_middle(self, tmp_path: Path) -> None:
        ours, theirs = choose_pictures(SPEC, plain(tmp_path / "set", 40), None)
        assert [one.name for one in ours.items] == [f"{number:03}.png" for number in range(20)]
        assert [one.name for one in theirs.items] == [f"{number:03}.png" for number in range(20, 40)]

    def test_a_video_is_split_in_time_with_a_gap(self, tmp_path: Path) -> None:
        source = write_video(tmp_path / "road.mp4", 60)
        ours, theirs = choose_pictures(SPEC, source, None, Limits(10, 10))
        check_disjoint(ours.items, theirs.items)
        assert (len(ours.items), len(theirs.items)) == (10, 10)

    def test_its_copy_does_not_pass_for_other_pictures(self, tmp_path: Path) -> None:
        source, copy = plain(tmp_path / "set", 10), tmp_path / "copy"
        copy.mkdir()
        for number, file in enumerate(sorted(source.iterdir())):
            (copy / f"renamed-{number}.png").write_bytes(file.read_bytes())
        ours, theirs = choose_pictures(SPEC, source, copy)
        with pytest.raises(DocumentError, match=r"picture renamed-0\.png is 000\.png of the calibration pictures"):
            check_disjoint(ours.items, theirs.items)


class TestNoSource:
    def test_two_roads_stand_in_which_share_nothing(self) -> None:
        ours, theirs = choose_pictures(SPEC, None, None, Limits(9, 12))
        check_disjoint(ours.items, theirs.items)
        assert ours.origin == "synthetic road, seed 1, 9 pictures"
        assert theirs.origin == "synthetic road, seed 2, 12 pictures"

    def test_one_calibrates_what_is_judged_on_pictures(self, tmp_path: Path) -> None:
        ours, theirs = choose_pictures(SPEC, None, plain(tmp_path / "set", 9), Limits(9, 9))
        assert ours.origin == "synthetic road, seed 1, 9 pictures"
        assert theirs.origin == "folder set, 9 of 9 pictures"


def test_of_two_sources_as_many_are_taken_as_were_asked_for_spread_over_them(tmp_path: Path) -> None:
    ours, theirs = choose_pictures(SPEC, plain(tmp_path / "a", 90), plain(tmp_path / "b", 30), Limits(9, 10))
    assert [one.name for one in ours.items] == [f"{number:03}.png" for number in range(5, 90, 10)]
    assert theirs.origin == "folder b, 10 of 30 pictures"


def test_only_labelled_pictures_judge_where_some_are_labelled(tmp_path: Path) -> None:
    source = folder(tmp_path / "set", {"north": 12})
    for number in range(20):
        (source / "images" / f"unlabelled-{number}.png").write_bytes(bytes([number]))
    _, theirs = choose_pictures(SPEC, plain(tmp_path / "other", 10), source)
    assert {one.clip for one in theirs.items} == {"north"}
    assert all(one.count is not None for one in theirs.items)


@pytest.mark.parametrize("flag", ["--calibration", "--evaluation"])
def test_too_few_pictures_are_refused_with_the_number_needed(flag: str, tmp_path: Path) -> None:
    few, enough = plain(tmp_path / "few", MIN_PICTURES - 1), plain(tmp_path / "enough", MIN_PICTURES)
    sources = (few, enough) if flag == "--calibration" else (enough, few)
    with pytest.raises(DocumentError, match=rf"{flag}: expected at least 8 pictures .*/few gives 7; add some"):
        choose_pictures(SPEC, *sources)


@pytest.mark.parametrize("flag", ["--calibration", "--evaluation"])
def test_a_source_that_is_not_there_is_refused(flag: str, tmp_path: Path) -> None:
    there, missing = plain(tmp_path / "there", 9), tmp_path / "missing.mp4"
    sources = (missing, there) if flag == "--calibration" else (there, missing)
    with pytest.raises(DocumentError, match=rf"{flag}: .*missing\.mp4 does not exist; check the path"):
        choose_pictures(SPEC, *sources)
