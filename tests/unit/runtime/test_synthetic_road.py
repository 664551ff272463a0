"""The synthetic camera: its truth and its pictures are functions of (settings, index) alone."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.synthetic.sprites import CACHED_SHAPES, CACHED_SPRITES
from runtime.synthetic.traffic import CACHED_BLOCKS, MIN_GAP
from runtime.synthetic.truth import depths, motion_of
from runtime.synthetic_road import Point, RoadSettings, SyntheticRoad

SMALL = RoadSettings(width=96, height=64, seed=3)
BUSY = replace(SMALL, vehicles_per_minute=110.0, seed=5)
ACROSS = ((0.0, 0.6), (1.0, 0.6))

seeds = st.integers(0, 500)
indices = st.integers(0, 10**7)
frames = st.integers(0, 3000)
unit = st.floats(0.0, 1.0, allow_subnormal=False)
points = st.tuples(unit, unit)


class TestPictures:
    def test_two_cameras_of_the_same_settings_give_the_same_bytes(self) -> None:
        one, other = SyntheticRoad(SMALL), SyntheticRoad(SMALL)
        assert one.frame(77).tobytes() == other.frame(77).tobytes()

    def test_random_access_equals_sequential_reading(self) -> None:
        sequential = SyntheticRoad(SMALL)
        frames = [sequential.frame(index) for index in range(40)]
        for index in (39, 0, 17, 5):
            assert np.array_equal(SyntheticRoad(SMALL).frame(index), frames[index])

    @pytest.mark.parametrize("size", [(64, 64), (384, 384), (101, 67)])
    def test_frames_have_the_size_asked_for(self, size: tuple[int, int]) -> None:
        frame = SyntheticRoad(replace(SMALL, width=size[0], height=size[1])).frame(0)
        assert frame.shape == (size[1], size[0], 3)
        assert frame.dtype == np.uint8

    def test_the_caller_may_write_into_a_frame(self) -> None:
        road = SyntheticRoad(SMALL)
        first = road.frame(1)
        kept = first.copy()
        first[:] = 0
        assert np.array_equal(road.frame(1), kept)

    def test_neighbouring_frames_and_other_seeds_differ(self) -> None:
        road = SyntheticRoad(SMALL)
        assert not np.array_equal(road.frame(1), road.frame(2))
        assert not np.array_equal(road.frame(1), SyntheticRoad(replace(SMALL, seed=4)).frame(1))

    def test_night_is_darker(self) -> None:
        day, night = SyntheticRoad(SMALL), SyntheticRoad(replace(SMALL, night=True))
        assert night.frame(200).mean() < 0.5 * day.frame(200).mean()

    @pytest.mark.parametrize("night", [False, True])
    def test_noise_stays_within_its_bound_and_never_wraps(self, night: bool) -> None:
        clean = SyntheticRoad(replace(BUSY, night=night, noise=0))
        noisy = SyntheticRoad(replace(BUSY, night=night, noise=8))
        for index in range(0, 900, 90):
            difference = noisy.frame(index).astype(int) - clean.frame(index)
            assert 0 < np.abs(difference).max() <= 8

    def test_a_frame_shows_vehicles_where_the_truth_says(self) -> None:
        settings_ = RoadSettings(width=320, height=180, seed=3, noise=0, occlusion=False)
        road, empty = SyntheticRoad(settings_), SyntheticRoad(replace(settings_, vehicles_per_minute=0.0))
        background = empty.frame(0).astype(int)
        for index in (100, 400, 700):
            changed = np.abs(road.frame(index) - background).max(axis=2) > 12
            for vehicle in road.vehicles(index):
                if vehicle.counted:
                    x1, y1, x2, y2 = vehicle.box
                    part = changed[int(y1 * 180) : int(y2 * 180) + 1, int(x1 * 320) : int(x2 * 320) + 1]
                    assert part.mean() > 0.4

    def test_bytes_are_the_same_on_every_machine(self) -> None:
        road = SyntheticRoad(RoadSettings(width=160, height=96, seed=1, night=True))
        digest = hashlib.sha256(b"".join(road.frame(index).tobytes() for index in (0, 333, 10**6))).hexdigest()
        assert digest == "6c1a3d8809b87408562e8628963758379486a556ddebb863648848336b2606b4"


class TestTruth:
    @settings(max_examples=25, deadline=None)
    @given(seed=seeds, index=indices, lanes=st.integers(1, 8))
    def test_truth_does_not_depend_on_size_noise_or_hour(self, seed: int, index: int, lanes: int) -> None:
        one = RoadSettings(width=1920, height=1080, seed=seed, lanes=lanes)
        other = replace(one, width=128, height=384, noise=0, night=True)
        assert SyntheticRoad(one).vehicles(index) == SyntheticRoad(other).vehicles(index)

    @settings(max_examples=25, deadline=None)
    @given(seed=seeds, second=st.integers(0, 10**5))
    def test_truth_depends_on_time_and_not_on_the_frame_rate(self, seed: int, second: int) -> None:
        slow, fast = (SyntheticRoad(replace(SMALL, seed=seed, fps=fps)) for fps in (10.0, 25.0))
        assert slow.vehicles(second * 10) == fast.vehicles(second * 25)

    @settings(max_examples=40, deadline=None)
    @given(seed=seeds, index=indices)
    def test_vehicles_keep_to_their_ranges(self, seed: int, index: int) -> None:
        vehicles = SyntheticRoad(replace(BUSY, seed=seed)).vehicles(index)
        assert len({vehicle.vehicle_id for vehicle in vehicles}) == len(vehicles)
        for vehicle in vehicles:
            x1, y1, x2, y2 = vehicle.box
            assert 0.0 <= x1 < x2 <= 1.0
            assert 0.0 <= y1 < y2 <= 1.0
            assert vehicle.anchor == ((x1 + x2) / 2, (y1 + y2) / 2)
            assert 0.0 <= vehicle.visible <= 1.0
            assert vehicle.label in ("car", "truck", "bus")

    @settings(max_examples=40, deadline=None)
    @given(seed=seeds, index=indices)
    def test_the_count_follows_the_stated_rule(self, seed: int, index: int) -> None:
        road = SyntheticRoad(replace(BUSY, seed=seed))
        rule = [v for v in road.vehicles(index) if v.visible >= 0.3 and v.box[3] - v.box[1] >= 0.02]
        assert road.count(index) == len(rule)

    def test_the_default_traffic_comes_and_goes(self) -> None:
        for seed in range(4):
            counts = [SyntheticRoad(RoadSettings(seed=seed)).count(index) for index in range(0, 9000, 90)]
            assert min(counts) <= 4
            assert 8 <= max(counts) <= 22

    def test_the_flow_is_the_one_asked_for(self) -> None:
        road = SyntheticRoad(RoadSettings(seed=1, occlusion=False))
        passed = sum(road.crossings(*ACROSS, 0, 30 * 60 * 60))
        assert 0.85 * 45 * 60 < passed < 1.15 * 45 * 60

    def test_no_traffic_leaves_the_road_empty(self) -> None:
        road = SyntheticRoad(replace(SMALL, vehicles_per_minute=0.0))
        assert all(road.vehicles(index) == () for index in range(0, 3000, 100))

    def test_a_vehicle_is_seen_without_a_break_from_entering_to_leaving(self) -> None:
        road = SyntheticRoad(BUSY)
        seen: dict[int, list[int]] = {}
        for index in range(1200):
            for vehicle in road.vehicles(index):
                seen.setdefault(vehicle.vehicle_id, []).append(index)
        assert len(seen) > 20
        for frames in seen.values():
            assert frames == list(range(frames[0], frames[-1] + 1))

    def test_a_vehicle_enters_and_leaves_small_or_at_a_border(self) -> None:
        road = SyntheticRoad(BUSY)
        for index in range(1200):
            now = {vehicle.vehicle_id: vehicle for vehicle in road.vehicles(index)}
            then = {vehicle.vehicle_id: vehicle for vehicle in road.vehicles(index + 1)}
            for changed in now.keys() ^ then.keys():
                x1, y1, x2, y2 = (now.get(changed) or then[changed]).box
                assert x1 == 0.0 or y1 == 0.0 or x2 == 1.0 or y2 == 1.0 or y2 - y1 < 0.015

    @settings(max_examples=30, deadline=None)
    @given(seed=seeds, index=indices, flow=st.floats(1.0, 180.0))
    def test_vehicles_of_a_lane_never_overlap(self, seed: int, index: int, flow: float) -> None:
        road = SyntheticRoad(replace(SMALL, seed=seed, vehicles_per_minute=flow))
        seconds = index / 30.0
        trips = sorted(road._traffic.started(seconds, seconds), key=lambda trip: trip.vehicle_id)
        near, far = depths(road._scene, motion_of(road._scene, trips), np.array([seconds]))
        for i, j in combinations(range(len(trips)), 2):
            if trips[i].lane == trips[j].lane:
                assert max(near[i], near[j]) - min(far[i], far[j]) > MIN_GAP - 0.01

    def test_what_stands_in_front_lowers_visible_and_nothing_else(self) -> None:
        lower = 0
        for seed in range(6):
            with_things = SyntheticRoad(replace(BUSY, seed=seed))
            without = SyntheticRoad(replace(BUSY, seed=seed, occlusion=False))
            for index in range(0, 900, 30):
                pairs = zip(with_things.vehicles(index), without.vehicles(index), strict=True)
                for hidden, plain in pairs:
                    assert replace(hidden, visible=plain.visible) == plain
                    assert hidden.visible <= plain.visible
                    lower += hidden.visible < plain.visible
        assert lower > 50

    def test_nearer_vehicles_hide_those_behind(self) -> None:
        road = SyntheticRoad(replace(BUSY, occlusion=False))
        hidden = [
            vehicle
            for index in range(0, 1800, 15)
            for vehicle in road.vehicles(index)
            if vehicle.visible < 0.7 and vehicle.box[3] < 1.0 and vehicle.box[1] > 0.0
        ]
        inside = [v for v in hidden if v.box[0] > 0.0 and v.box[2] < 1.0]
        assert inside

    def test_memory_stays_bounded_over_days(self) -> None:
        road = SyntheticRoad(SMALL)
        for index in range(0, 30 * 86_400 * 3, 30 * 1700):
            road.frame(index)
        shapes, sprites = road._picture.sprites.cached()
        assert road._traffic.cached_blocks() <= CACHED_BLOCKS
        assert 0 < shapes <= CACHED_SHAPES
        assert 0 < sprites <= CACHED_SPRITES
        assert road._picture.sprites._shape.cache_info().maxsize == CACHED_SHAPES
        assert road._picture.sprites._sprite.cache_info().maxsize == CACHED_SPRITES


class TestCrossings:
    def test_a_vehicle_crosses_a_line_across_the_road_at_most_once(self) -> None:
        road = SyntheticRoad(BUSY)
        inward, outward = road.crossings(*ACROSS, 0, 1800)
        stepped = by_hand(road, 0.6, 0, 1800)
        assert len(stepped) == len({identity for identity, _ in stepped})
        assert inward == sum(direction == "towards" for _, direction in stepped)
        assert outward == sum(direction == "away" for _, direction in stepped)
        assert min(inward, outward) > 10

    @settings(max_examples=25, deadline=None)
    @given(seed=seeds, start=points, end=points, cuts=st.tuples(frames, frames, frames))
    def test_adjacent_ranges_add_up(self, seed: int, start: Point, end: Point, cuts: tuple[int, int, int]) -> None:
        if start == end:
            return
        road = SyntheticRoad(replace(BUSY, seed=seed))
        a, b, c = sorted(cuts)
        parts = zip(road.crossings(start, end, a, b), road.crossings(start, end, b, c), strict=True)
        assert tuple(map(sum, parts)) == road.crossings(start, end, a, c)

    @settings(max_examples=25, deadline=None)
    @given(seed=seeds, start=points, end=points)
    def test_turning_the_line_round_swaps_in_and_out(self, seed: int, start: Point, end: Point) -> None:
        if start == end:
            return
        road = SyntheticRoad(replace(BUSY, seed=seed))
        assert road.crossings(start, end, 0, 900) == road.crossings(end, start, 0, 900)[::-1]

    def test_single_steps_add_up_to_the_whole_range(self) -> None:
        road = SyntheticRoad(BUSY)
        steps = [road.crossings(*ACROSS, index, index + 1) for index in range(600)]
        inward, outward = road.crossings(*ACROSS, 0, 600)
        assert (sum(step[0] for step in steps), sum(step[1] for step in steps)) == (inward, outward)
        assert inward + outward > 10

    def test_an_anchor_exactly_on_the_line_is_counted_once_whichever_way_the_line_is_drawn(self) -> None:
        road = SyntheticRoad(BUSY)
        anchor = next(v.anchor for v in road.vehicles(300) if v.counted and v.box[3] < 0.9)
        start, end = (0.0, anchor[1]), (1.0, anchor[1])
        both_steps = road.crossings(start, end, 299, 301)
        assert sum(both_steps) >= 1
        for first in (299, 300):
            there = road.crossings(start, end, first, first + 1)
            assert there == road.crossings(end, start, first, first + 1)[::-1]

    def test_down_the_picture_is_in_for_a_line_drawn_from_left_to_right(self) -> None:
        # Looking from left to right, with y downwards, the right hand points down: towards the camera.
        road = SyntheticRoad(replace(BUSY, lanes=1, vehicles_per_minute=40.0))  # its one lane leads away
        assert road.crossings(*ACROSS, 0, 1800)[0] == 0
        assert road.crossings(*ACROSS, 0, 1800)[1] > 5

    def test_a_line_beside_the_road_counts_nothing(self) -> None:
        assert SyntheticRoad(BUSY).crossings((0.0, 0.45), (0.02, 0.45), 0, 1800) == (0, 0)

    def test_a_range_of_one_frame_holds_no_step(self) -> None:
        assert SyntheticRoad(BUSY).crossings(*ACROSS, 500, 500) == (0, 0)


def by_hand(road: SyntheticRoad, row: float, first: int, last: int) -> list[tuple[int, str]]:
    """Vehicles whose anchor passes a row, found frame by frame."""
    found: list[tuple[int, str]] = []
    before = {v.vehicle_id: v for v in road.vehicles(first)}
    for index in range(first + 1, last + 1):
        now = {v.vehicle_id: v for v in road.vehicles(index)}
        found.extend(
            (identity, now[identity].direction)
            for identity in now.keys() & before.keys()
            if (before[identity].anchor[1] >= row) != (now[identity].anchor[1] >= row)
        )
        before = now
    return found


class TestRefusals:
    @pytest.mark.parametrize(
        ("name", "value", "expected"),
        [
            ("width", 63, "width: expected an integer from 64 to 8192, got 63"),
            ("height", 10.5, "height: expected an integer from 64 to 8192, got 10.5"),
            ("seed", -1, "seed: expected an integer from 0 to"),
            ("lanes", 0, "lanes: expected an integer from 1 to 8, got 0"),
            ("noise", 9, "noise: expected an integer from 0 to 8, got 9"),
            ("fps", 0.0, "fps: expected a number from 0.01 to 1000, got 0.0"),
            ("fps", float("nan"), "got nan"),
            ("fps", True, "got True"),
            ("vehicles_per_minute", 181.0, "from 0 to 180, got 181.0"),
        ],
    )
    def test_bad_settings_are_refused_with_what_was_expected(self, name: str, value: Any, expected: str) -> None:
        with pytest.raises(ValueError, match=expected):
            RoadSettings(**{name: value})

    def test_negative_frames_are_refused(self) -> None:
        with pytest.raises(ValueError, match="expected 0 or more, got -1"):
            SyntheticRoad(SMALL).frame(-1)

    @pytest.mark.parametrize(
        ("line", "frames", "expected"),
        [
            (((0.5, 0.5), (0.5, 0.5)), (0, 1), "two different points"),
            (ACROSS, (5, 4), "got first 5, last 4"),
            (ACROSS, (-1, 4), "got first -1"),
        ],
    )
    def test_impossible_questions_are_refused(
        self, line: tuple[Point, Point], frames: tuple[int, int], expected: str
    ) -> None:
        with pytest.raises(ValueError, match=expected):
            SyntheticRoad(SMALL).crossings(line[0], line[1], frames[0], frames[1])
