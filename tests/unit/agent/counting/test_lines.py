"""What counts as a crossing of a line."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.counting.lines import Crossing, LineCounter
from agent.counting.tracks import Track
from contracts.config import LineConfig

LABELS = ("car", "truck")
SIZE = 0.1


def a_track(
    x: float,
    y: float,
    *,
    track_id: int = 1,
    label: int = 0,
    confirmed: bool = True,
    seen: bool = True,
    size: float = SIZE,
) -> Track:
    box = (x - size / 2, y - size / 2, x + size / 2, y + size / 2)
    return Track(track_id, box, label, 0.9, confirmed, 5, 1.0, 0.0 if seen else 0.2, seen)


def a_line(
    start: tuple[float, float] = (0.0, 0.5), end: tuple[float, float] = (1.0, 0.5), **more: object
) -> LineConfig:
    return LineConfig.model_validate({"name": "gate", "start": start, "end": end, **more})


def follow(line: LineConfig, frames: Iterable[Sequence[Track]]) -> list[Crossing]:
    """All crossings, those too that are certain only once the track is gone."""
    counter = LineCounter(line, LABELS)
    return [crossing for i, tracks in enumerate([*frames, []]) for crossing in counter.update(tracks, i / 25)]


def in_out(crossings: Iterable[Crossing]) -> tuple[int, int]:
    directions = [crossing.direction for crossing in crossings]
    return directions.count("in"), directions.count("out")


def along(*points: tuple[float, float]) -> list[list[Track]]:
    return [[a_track(x, y)] for x, y in points]


def ramp(start: float, end: float, steps: int) -> list[float]:
    return [start + (end - start) * i / steps for i in range(steps + 1)]


@pytest.mark.parametrize(
    ("start", "end", "way", "expected"),
    [
        ((0, 0.5), (1, 0.5), ((0.5, 0.2), (0.5, 0.8)), (1, 0)),  # looking right, left is up: down is in
        ((0, 0.5), (1, 0.5), ((0.5, 0.8), (0.5, 0.2)), (0, 1)),
        ((1, 0.5), (0, 0.5), ((0.5, 0.2), (0.5, 0.8)), (0, 1)),
        ((0.5, 0), (0.5, 1), ((0.2, 0.5), (0.8, 0.5)), (0, 1)),  # looking down, left is to the right: leftwards is in
        ((0.5, 0), (0.5, 1), ((0.8, 0.5), (0.2, 0.5)), (1, 0)),
        ((0.2, 0.2), (0.8, 0.8), ((0.8, 0.2), (0.2, 0.8)), (1, 0)),
    ],
)
def test_from_left_to_right_looking_along_the_line_is_in(
    start: tuple[float, float],
    end: tuple[float, float],
    way: tuple[tuple[float, float], tuple[float, float]],
    expected: tuple[int, int],
) -> None:
    (x1, y1), (x2, y2) = way
    points = zip(ramp(x1, x2, 10), ramp(y1, y2, 10), strict=True)
    assert in_out(follow(a_line(start, end), along(*points))) == expected


inner = st.floats(0.05, 0.95)
walks = st.lists(st.tuples(inner, inner), min_size=2, max_size=30)


@given(walks, st.tuples(inner, inner), st.tuples(inner, inner))
def test_turning_the_line_round_swaps_in_and_out(
    walk: list[tuple[float, float]], start: tuple[float, float], end: tuple[float, float]
) -> None:
    if start == end:
        return
    inward, outward = in_out(follow(a_line(start, end), along(*walk)))
    assert in_out(follow(a_line(end, start), along(*walk))) == (outward, inward)


@given(walks)
def test_one_way_and_the_other_alternate_on_a_line_over_the_whole_picture(walk: list[tuple[float, float]]) -> None:
    directions = [crossing.direction for crossing in follow(a_line(), along(*walk))]
    assert all(one != other for one, other in itertools.pairwise(directions))


@given(st.lists(st.floats(-0.11, 0.11), min_size=2, max_size=60))
def test_jitter_within_the_band_never_counts(offsets: list[float]) -> None:
    assert not follow(a_line(), along(*((0.5, 0.5 + SIZE * offset) for offset in offsets)))


@given(st.lists(st.floats(-0.24, 0.24), min_size=2, max_size=60))
def test_something_that_stands_on_the_line_never_counts_even_where_its_box_jumps_by_half(offsets: list[float]) -> None:
    assert not follow(a_line(), along(*((0.5, 0.5 + SIZE * offset) for offset in offsets)))


@given(st.lists(st.floats(-0.11, 0.11), max_size=60))
def test_hesitating_on_the_line_on_the_way_over_counts_once(offsets: list[float]) -> None:
    way = [0.3, 0.35, 0.4, *(0.5 + SIZE * offset for offset in offsets), 0.6, 0.7]
    assert in_out(follow(a_line(), along(*((0.5, y) for y in way)))) == (1, 0)


@given(st.lists(st.floats(-0.18, 0.18), min_size=10, max_size=60))
def test_what_parks_on_the_line_has_crossed_it_at_most_once_however_its_box_jumps(offsets: list[float]) -> None:
    arriving = ramp(0.2, 0.5, 10)
    standing = [0.5 + SIZE * offset for offset in offsets]
    inward, outward = in_out(follow(a_line(), along(*((0.5, y) for y in [*arriving, *standing]))))
    assert inward <= 1
    assert outward == 0
    inward, outward = in_out(follow(a_line(), along(*((0.5, y) for y in [*arriving, *standing, *ramp(0.5, 0.9, 10)]))))
    assert (inward, outward) == (1, 0)


def test_what_stood_on_the_line_counts_once_when_it_sets_off() -> None:
    standing = [0.48, 0.52] * 200
    assert in_out(follow(a_line(), along(*((0.5, y) for y in [*standing, *ramp(0.5, 0.9, 12)])))) == (1, 0)
    assert in_out(follow(a_line(), along(*((0.5, y) for y in [*standing, *ramp(0.5, 0.1, 12)])))) == (0, 0)


def test_there_and_back_counts_both_ways() -> None:
    way = [*ramp(0.3, 0.7, 8), *ramp(0.7, 0.3, 8), *ramp(0.3, 0.7, 8)]
    assert in_out(follow(a_line(), along(*((0.5, y) for y in way)))) == (2, 1)


@pytest.mark.parametrize(("x", "expected"), [(0.25, (0, 0)), (0.35, (1, 0)), (0.65, (1, 0)), (0.75, (0, 0))])
def test_passing_beside_the_end_of_the_line_does_not_count(x: float, expected: tuple[int, int]) -> None:
    line = a_line((0.3, 0.5), (0.7, 0.5))
    assert in_out(follow(line, along(*((x, y) for y in ramp(0.2, 0.8, 12))))) == expected


def test_going_round_the_end_and_back_over_the_line_counts_the_way_back_only() -> None:
    way = [(0.8, 0.3), (0.8, 0.7), (0.5, 0.7), (0.5, 0.3)]
    assert in_out(follow(a_line((0.3, 0.5), (0.7, 0.5)), along(*way))) == (0, 1)


def test_a_fast_thing_is_counted_where_its_way_crosses_the_line() -> None:
    line = a_line((0.3, 0.5), (0.7, 0.5))
    assert in_out(follow(line, along((0.2, 0.1), (0.6, 0.9)))) == (1, 0)
    assert in_out(follow(line, along((0.05, 0.1), (0.3, 0.9)))) == (0, 0)


def test_lost_before_and_found_after_the_line_counts_once() -> None:
    frames = [*along(*((0.5, y) for y in ramp(0.2, 0.46, 6)))]
    frames += [[a_track(0.5, y, seen=False)] for y in ramp(0.5, 0.6, 4)]
    frames += along(*((0.5, y) for y in ramp(0.62, 0.9, 6)))
    assert in_out(follow(a_line(), frames)) == (1, 0)


def test_an_expected_place_is_no_evidence() -> None:
    frames = [*along((0.5, 0.3), (0.5, 0.4)), [a_track(0.5, 0.6, seen=False)], [a_track(0.5, 0.8, seen=False)]]
    assert not follow(a_line(), frames)


def test_found_again_after_long_it_must_travel_before_it_is_believed() -> None:
    jumped = [*along((0.5, 0.2), (0.5, 0.3)), *([[a_track(0.5, 0.4, seen=False)]] * 20)]
    assert not follow(a_line(), [*jumped, *along((0.5, 0.7), (0.5, 0.72), (0.5, 0.74)), []])
    assert in_out(follow(a_line(), [*jumped, *along((0.5, 0.7), (0.5, 0.72), (0.5, 0.76))])) == (1, 0)


@pytest.mark.parametrize(("first", "expected"), [(0.49, (1, 0)), (0.51, (0, 0))])
def test_what_first_appears_within_the_band_is_on_the_side_where_it_appears(
    first: float, expected: tuple[int, int]
) -> None:
    assert in_out(follow(a_line(), along(*((0.5, y) for y in ramp(first, 0.8, 10))))) == expected


@pytest.mark.parametrize(("last", "expected"), [(0.505, (1, 0)), (0.495, (0, 0))])
def test_what_ends_within_the_band_has_crossed_if_it_ended_beyond_the_line(
    last: float, expected: tuple[int, int]
) -> None:
    assert in_out(follow(a_line(), along(*((0.5, y) for y in ramp(0.2, last, 10))))) == expected


def test_a_single_sighting_on_the_other_side_is_an_error_of_the_tracker() -> None:
    assert not follow(a_line(), along((0.5, 0.3), (0.5, 0.32), (0.5, 0.7), (0.5, 0.34), (0.5, 0.36)))


def test_what_leaps_over_the_line_in_its_first_step_must_go_on() -> None:
    assert in_out(follow(a_line(), along((0.5, 0.4), (0.5, 0.6), (0.5, 0.75), (0.5, 0.9)))) == (1, 0)
    assert not follow(a_line(), along((0.5, 0.4), (0.5, 0.6), (0.5, 0.63), (0.5, 0.66)))


def test_a_crossing_before_it_was_confirmed_counts_once_it_is() -> None:
    way = ramp(0.3, 0.7, 6)
    frames = [[a_track(0.5, y, confirmed=i > 5)] for i, y in enumerate(way)]
    assert [crossing.at for crossing in follow(a_line(), frames)] == [6 / 25]
    assert not follow(a_line(), [[a_track(0.5, y, confirmed=False)] for y in way])


def test_two_that_cross_in_opposite_directions_count_one_each() -> None:
    frames = [[a_track(0.4, y), a_track(0.6, 1 - y, track_id=2)] for y in ramp(0.2, 0.8, 12)]
    assert in_out(follow(a_line(), frames)) == (1, 1)


def test_only_the_labels_asked_for_count_by_what_the_track_was_voted_to_be_when_it_crossed() -> None:
    way = ramp(0.3, 0.7, 8)
    late_truck = [[a_track(0.5, y, label=int(y > 0.45))] for y in way]
    assert [crossing.label for crossing in follow(a_line(labels=["truck"]), late_truck)] == ["truck"]
    assert not follow(a_line(labels=["car"]), late_truck)


def test_with_the_bottom_anchor_the_lower_edge_counts() -> None:
    way = along(*((0.5, y) for y in ramp(0.2, 0.47, 10)))
    assert in_out(follow(a_line(anchor="bottom"), way)) == (1, 0)
    assert not follow(a_line(anchor="center"), way)


def test_the_band_is_the_same_whatever_the_pictures_shape() -> None:
    """Sides are compared with the box's own extent across the line, so stretching the picture changes nothing."""
    walk = [(0.2, 0.2), (0.4, 0.45), (0.5, 0.5), (0.48, 0.52), (0.9, 0.8)]
    plain = follow(a_line((0.2, 0.8), (0.8, 0.2)), along(*walk))

    def narrow(x: float, y: float) -> Track:
        return Track(1, (x / 4 - SIZE / 8, y - SIZE / 2, x / 4 + SIZE / 8, y + SIZE / 2), 0, 0.9, True, 5, 1, 0, True)

    squeezed = follow(a_line((0.05, 0.8), (0.2, 0.2)), [[narrow(x, y)] for x, y in walk])
    assert in_out(plain) == in_out(squeezed) != (0, 0)


def test_tracks_that_are_gone_are_forgotten() -> None:
    counter = LineCounter(a_line(), LABELS)
    for i in range(100_000):
        counter.update([a_track(0.5, 0.2 + 0.6 * (i % 7) / 7, track_id=i // 5)], i / 25)
    assert len(counter._passages) <= 1
