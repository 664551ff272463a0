"""How many are in a zone, and how many visited it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.counting.tracks import Track
from agent.counting.zones import ZoneCounter, contains
from contracts.config import ZoneConfig

LABELS = ("car", "person")
LEFT = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
RIGHT = ((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0))
FPS = 10


def a_track(
    x: float, y: float = 0.5, *, track_id: int = 1, label: int = 0, confirmed: bool = True, unseen: float = 0.0
) -> Track:
    box = (x - 0.05, y - 0.05, x + 0.05, y + 0.05)
    return Track(track_id, box, label, 0.9, confirmed, 5, 1.0, unseen, unseen == 0)


def a_zone(polygon: object = LEFT, **more: object) -> ZoneConfig:
    return ZoneConfig.model_validate({"name": "yard", "polygon": polygon, **more})


def count(zone: ZoneConfig, frames: Iterable[Sequence[Track]]) -> tuple[list[float], int]:
    counter = ZoneCounter(zone, LABELS)
    found = [counter.update(tracks, i / FPS) for i, tracks in enumerate(frames)]
    return [seen.present for seen in found], sum(seen.visits for seen in found)


def test_confirmed_tracks_with_their_anchor_inside_are_present() -> None:
    tracks = [
        a_track(0.2),
        a_track(0.4, track_id=2),
        a_track(0.6, track_id=3),
        a_track(0.3, track_id=4, confirmed=False),
    ]
    assert count(a_zone(), [tracks])[0] == [2.0]


def test_one_unseen_for_a_moment_is_still_present_where_it_is_expected() -> None:
    frames = [[a_track(0.2)], [a_track(0.2, unseen=0.1)], [a_track(0.2, unseen=0.5)], [a_track(0.2, unseen=0.6)]]
    assert count(a_zone(), frames)[0] == [1.0, 1.0, 1.0, 0.0]
    assert count(a_zone(), [[a_track(0.49)], [a_track(0.51, unseen=0.1)]])[0] == [1.0, 0.0]


def test_only_the_labels_asked_for_are_present() -> None:
    tracks = [a_track(0.2, label=0), a_track(0.3, track_id=2, label=1)]
    assert count(a_zone(labels=["person"]), [tracks])[0] == [1.0]


def test_with_the_bottom_anchor_the_feet_count() -> None:
    upper = ((0.0, 0.0), (1.0, 0.0), (1.0, 0.5), (0.0, 0.5))
    assert count(a_zone(upper, anchor="bottom"), [[a_track(0.2, 0.47)]])[0] == [0.0]
    assert count(a_zone(upper), [[a_track(0.2, 0.47)]])[0] == [1.0]


@pytest.mark.parametrize(("frames", "visits"), [(10, 0), (11, 1), (100, 1)])
def test_who_stays_for_a_second_visits_once(frames: int, visits: int) -> None:
    assert count(a_zone(), [[a_track(0.2)]] * frames)[1] == visits


def test_a_gap_in_detection_does_not_begin_the_stay_anew() -> None:
    here, gone = [a_track(0.2)], [a_track(0.2, unseen=0.4)]
    assert count(a_zone(), [*[here] * 6, *[gone] * 10, *[here] * 6])[1] == 1


def test_coming_back_is_no_second_visit_while_it_is_followed() -> None:
    frames = [[a_track(0.2)]] * 15 + [[a_track(0.8)]] * 50 + [[a_track(0.2)]] * 15
    assert count(a_zone(), frames)[1] == 1


def test_two_short_looks_long_apart_are_no_visit() -> None:
    frames = [[a_track(0.2)]] * 8 + [[a_track(0.8)]] * 30 + [[a_track(0.2)]] * 8
    assert count(a_zone(), frames)[1] == 0


def test_the_time_before_it_was_confirmed_is_part_of_its_stay() -> None:
    frames = [[a_track(0.2, confirmed=i >= 10)] for i in range(11)]
    assert count(a_zone(), frames)[1] == 1
    assert count(a_zone(), [[a_track(0.2, confirmed=False)]] * 30)[1] == 0


def stays(frames: Iterable[Sequence[Track]]) -> list[tuple[float, float]]:
    """When each stay was said to have ended, and how long it was."""
    counter = ZoneCounter(a_zone(), LABELS)
    found = [(i / FPS, counter.update(tracks, i / FPS).stays) for i, tracks in enumerate(frames)]
    return [(at, round(seconds, 3)) for at, ended in found for seconds in ended]


def test_a_stay_ends_with_its_track_or_once_it_was_away_for_long_and_its_last_sighting_inside_ends_it() -> None:
    here, beside, unseen = [a_track(0.2)], [a_track(0.8)], [a_track(0.2, unseen=0.4)]
    assert stays([*[here] * 31, *[unseen] * 9, []]) == [(4.0, 3.0)]
    assert stays([*[here] * 31, *[beside] * 60]) == [(5.1, 3.0)]
    assert stays([*[here] * 31, *[beside] * 19, *[here] * 11, []]) == [(6.1, 6.0)]


def test_who_comes_back_after_long_has_two_stays_and_one_visit() -> None:
    here, beside = [a_track(0.2)], [a_track(0.8)]
    for away in (20, 21, 40):
        frames = [*[here] * 21, *[beside] * away, *[here] * 16, []]
        assert [seconds for _, seconds in stays(frames)] == [2.0, 1.5]
        assert count(a_zone(), frames)[1] == 1


def test_a_stay_too_short_for_a_visit_or_of_a_track_that_is_not_believed_is_none() -> None:
    assert stays([*[[a_track(0.2)]] * 10, []]) == []
    assert stays([*[[a_track(0.2, confirmed=False)]] * 50, []]) == []


@settings(deadline=None)
@given(st.lists(st.sampled_from([0.2, 0.8, None]), max_size=150))
def test_stays_together_are_no_longer_than_the_time_and_long_enough_for_a_visit(places: list[float | None]) -> None:
    found = stays([*([] if place is None else [a_track(place)] for place in places), []])
    assert sum(seconds for _, seconds in found) <= len(places) / FPS
    assert all(seconds >= 1 for _, seconds in found)


def test_tracks_that_are_gone_are_forgotten() -> None:
    counter = ZoneCounter(a_zone(), LABELS)
    for i in range(20_000):
        counter.update([a_track(0.2, track_id=i // 5)], i / FPS)
    assert len(counter._stays) == 1


coordinates = st.integers(0, 20).map(lambda value: value / 20)


@given(coordinates, coordinates)
def test_zones_that_share_an_edge_never_both_hold_a_point_and_none_is_between_them(x: float, y: float) -> None:
    inner = 0 <= x < 1 and 0 <= y < 1
    assert contains(LEFT, (x, y)) + contains(RIGHT, (x, y)) == inner


def test_a_hollow_is_outside() -> None:
    cup = ((0.1, 0.1), (0.4, 0.1), (0.4, 0.7), (0.6, 0.7), (0.6, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9))
    assert not contains(cup, (0.5, 0.3))
    assert contains(cup, (0.5, 0.8))
    assert contains(cup, (0.25, 0.3))
