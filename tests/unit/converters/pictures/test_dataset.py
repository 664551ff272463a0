"""Pictures on the disk as the network takes them: damaged ones named and left out, digests recorded, warnings given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from contracts.errors import DocumentError
from contracts.model_spec import InputSpec
from converters.pictures.choose import Chosen
from converters.pictures.dataset import FEW, Dataset, calibration_warnings, write_dataset
from converters.pictures.folder import folder_items
from converters.pictures.item import Item
from runtime.prepare import Placement, place
from runtime.results import Picture
from tests.unit.agent.cameras.clips import write_picture
from tests.unit.converters.networks import input_spec

SPEC = input_spec(width=32, height=16)


def noise(seed: int, level: int = 128) -> Picture:
    return np.random.default_rng(seed).integers(level // 2, level, (16, 32, 3), np.uint8)


def item(number: int, picture: Picture, count: float | None = None) -> Item:
    return Item(f"{number}.png", f"digest {number}", lambda spec: (picture, place(spec, 32, 16)), None, count)


def damaged(number: int) -> Item:
    def load(_: InputSpec) -> tuple[Picture, Placement]:
        raise DocumentError(f"{number}.png", ["expected a picture that can be decoded, but its data are damaged"])

    return Item(f"{number}.png", f"digest {number}", load)


def write(folder: Path, *items: Item) -> Dataset:
    return write_dataset(SPEC, Chosen(items, "somewhere", ("said before",)), folder / "set.npy", "--calibration")


def test_pictures_lie_on_the_disk_in_their_order(tmp_path: Path) -> None:
    pictures = [noise(number) for number in range(9)]
    dataset = write(tmp_path, *(item(number, picture) for number, picture in enumerate(pictures)))
    assert len(dataset) == 9
    assert isinstance(dataset.tensors(), np.memmap), "not in memory"
    np.testing.assert_array_equal(dataset.tensors(), pictures)
    assert dataset.warnings == ("said before",)


def test_a_damaged_picture_is_named_and_left_out(tmp_path: Path) -> None:
    good = [item(number, noise(number), count=number) for number in range(9)]
    dataset = write(tmp_path, *good[:3], damaged(77), *good[3:])
    assert len(dataset) == len(dataset.tensors()) == 9
    np.testing.assert_array_equal(dataset.tensors()[3], noise(3))
    assert dataset.counts is not None
    assert dataset.counts.tolist() == list(range(9)), "counts stay with their pictures"
    assert dataset.described.pictures == 9
    assert "left out: 77.png: expected a picture that can be decoded, but its data are damaged" in dataset.warnings


def test_a_picture_that_was_cut_off_in_a_copy_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(9):
        write_picture(tmp_path / "in" / f"{number}.png", noise(number))
    broken = tmp_path / "in" / "4.png"
    broken.write_bytes(broken.read_bytes()[:200])
    dataset = write(tmp_path, *folder_items(tmp_path / "in"))
    assert len(dataset) == 8
    assert [warning for warning in dataset.warnings if "4.png" in warning]


def test_of_many_damaged_pictures_the_first_are_named_and_the_rest_counted(tmp_path: Path) -> None:
    dataset = write(tmp_path, *(item(n, noise(n)) for n in range(8)), *(damaged(n) for n in range(100, 112)))
    assert len(dataset.warnings) == 1 + 5 + 1
    assert dataset.warnings[-1] == "and 7 more pictures that do not decode"


def test_too_few_that_decode_are_refused_without_a_page_of_names(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="--calibration: expected at least 8 pictures that decode, got 7") as caught:
        write(tmp_path, *(item(n, noise(n)) for n in range(7)), *(damaged(n) for n in range(100, 400)))
    assert "100.png" in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_the_digest_is_of_the_pictures_that_were_used_in_whatever_order(tmp_path: Path) -> None:
    items = [item(number, noise(number)) for number in range(9)]
    one = write(tmp_path, *items).described
    turned = write(tmp_path, *items[::-1]).described
    fewer = write(tmp_path, *items[:8], damaged(8)).described
    assert one.sha256 == turned.sha256 != fewer.sha256


@pytest.mark.parametrize(("last", "labelled"), [(3.0, True), (None, False)])
def test_counts_are_known_only_where_every_picture_has_one(last: float | None, labelled: bool, tmp_path: Path) -> None:
    dataset = write(tmp_path, *(item(n, noise(n), 1.0) for n in range(8)), item(8, noise(8), last))
    assert (dataset.counts is not None) is labelled
    assert dataset.described.labelled is labelled


class TestCalibrationWarnings:
    def test_enough_pictures_that_differ_give_none(self, tmp_path: Path) -> None:
        dataset = write(tmp_path, *(item(n, noise(n, 60 + n)) for n in range(FEW)))
        assert calibration_warnings(dataset) == ()

    def test_too_few_are_warned_about(self, tmp_path: Path) -> None:
        dataset = write(tmp_path, *(item(n, noise(n, 60 + n)) for n in range(FEW - 1)))
        (warning,) = calibration_warnings(dataset)
        assert "only 99 calibration pictures; give at least 100" in warning

    def test_nearly_equal_ones_are_warned_about_even_where_one_differs(self, tmp_path: Path) -> None:
        standing = noise(0)
        items = [item(n, standing + np.uint8(n % 2)) for n in range(FEW)]
        dataset = write(tmp_path, *items, item(FEW, noise(5, 250)))
        (warning,) = calibration_warnings(dataset)
        assert "nearly equal" in warning
