"""The synthetic road stands in where nobody gives pictures: with true counts, and the same ones every time."""

from __future__ import annotations

from converters.pictures.road import road_items
from runtime.prepare import Preparer
from tests.unit.converters.networks import input_spec

SPEC = input_spec(width=96, height=64)


def test_the_same_seed_is_the_same_road_and_another_seed_another() -> None:
    one, again, other = (road_items(SPEC, 8, seed) for seed in (1, 1, 2))
    assert [item.digest for item in one] == [item.digest for item in again]
    assert not {item.digest for item in one} & {item.digest for item in other}
    assert len({item.digest for item in one}) == 8, "no two pictures are the same"
    assert {item.clip for item in one} != {item.clip for item in other}


def test_every_picture_has_its_true_count_and_some_have_vehicles() -> None:
    counts = [item.count for item in road_items(input_spec(width=320, height=192), 16, 1)]
    assert all(count is not None and count >= 0 for count in counts)
    assert sum(count or 0 for count in counts) > 0


def test_what_is_cut_off_has_no_true_count() -> None:
    """The road is drawn no smaller than it can be seen."""
    assert {item.count for item in road_items(input_spec(width=16, height=16), 2, 1)} == {None}


def test_letterboxed_pictures_are_padded() -> None:
    spec = input_spec(width=64, height=64, resize="letterbox-topleft", pad_value=77)
    (item,) = road_items(spec, 1, 1)
    (tensor,) = Preparer(spec).prepare(*item.load(spec))
    assert (tensor[40:] == 77).all(), "16:9 fills 36 of 64 rows"
    assert tensor[:36].std() > 5
