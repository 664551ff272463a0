"""Splits keep every clip on one side, and reading labels checks itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tools.zoo.data import FOLDS, LABELLED_FROM, TEST_CLIPS, Sample, Split, load_samples, split_by_clip

CLIPS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 15)


def samples() -> list[Sample]:
    boxes = np.zeros((1, 4), np.float32)
    return [Sample(f"{clip}_{i}.jpg", clip, boxes, LABELLED_FROM.get(clip, 0.0)) for clip in CLIPS for i in range(3)]


@pytest.mark.parametrize("fold", range(len(FOLDS)))
def test_no_clip_is_on_both_sides(fold: int) -> None:
    split = split_by_clip(samples(), FOLDS[fold])
    assert {s.clip for s in split.held_out} == set(FOLDS[fold])
    assert not {s.clip for s in split.train} & {*FOLDS[fold], *TEST_CLIPS}


def test_folds_hold_every_complete_clip_once() -> None:
    flat = [clip for fold in FOLDS for clip in fold]
    assert sorted(flat) == sorted(set(CLIPS) - set(LABELLED_FROM))


def test_partly_labelled_clips_are_never_measured_on() -> None:
    split = split_by_clip(samples(), (4, 5))
    assert {s.clip for s in split.held_out} == {4}


def test_a_split_with_a_shared_clip_is_refused() -> None:
    one = samples()[0]
    with pytest.raises(ValueError, match="one side of a split"):
        Split((one,), (one,))


def test_labels_are_read_as_corners(tmp_path: Path) -> None:
    dataset(tmp_path, count=1)
    (sample,) = load_samples(tmp_path)
    assert sample.clip == 7
    assert sample.complete
    np.testing.assert_allclose(sample.boxes, [[0.4, 0.2, 0.6, 0.8]], atol=1e-6)


def test_a_count_that_disagrees_with_its_labels_is_refused(tmp_path: Path) -> None:
    dataset(tmp_path, count=2)
    with pytest.raises(ValueError, match=r"counts\.csv says 2 vehicles, its label file has 1"):
        load_samples(tmp_path)


def test_a_missing_data_set_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="--data"):
        load_samples(tmp_path)


def dataset(root: Path, count: int) -> None:
    (root / "labels").mkdir()
    (root / "labels" / "a.txt").write_text("0 0.5 0.5 0.2 0.6\n")
    (root / "counts.csv").write_text(f"file,clip,frame,vehicle_count,split\na.jpg,7,0,{count},train\n")
