"""Following things from frame to frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pytest

from agent.counting.lines import LineCounter
from agent.counting.tracker import Tracker, TrackerSettings
from agent.counting.tracks import Track
from contracts.config import LineConfig
from runtime.results import Detections

ASPECT = 16 / 9
SIZE = 0.1
Thing = tuple[float, float]


def detections(things: Iterable[Thing], *, score: float = 0.9, label: int = 0, size: float = SIZE) -> Detections:
    half = size / 2
    boxes = [(x - half / ASPECT, y - half, x + half / ASPECT, y + half) for x, y in things]
    count = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4), np.full(count, score, np.float32), np.full(count, label, np.int64)
    )


def joined(*parts: Detections) -> Detections:
    return Detections(
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.class_ids for part in parts]),
    )


def follow(frames: Sequence[Detections], fps: float = 25.0, **settings: float) -> list[tuple[Track, ...]]:
    tracker = Tracker(TrackerSettings(**settings))  # type: ignore[arg-type]
    return [tracker.update(frame, i / fps, ASPECT) for i, frame in enumerate(frames)]


def ids(seen: Iterable[Sequence[Track]]) -> set[int]:
    return {track.track_id for tracks in seen for track in tracks}


@pytest.mark.parametrize("fps", [60.0, 30.0, 12.0, 5.0])
@pytest.mark.parametrize("speed", [0.05, 0.2, 0.5])  # picture heights a second: up to 5 sizes
def test_a_moving_thing_keeps_its_number_at_every_rate(fps: float, speed: float) -> None:
    path = [(0.2, 0.1 + speed * i / fps) for i in range(int(0.8 / speed * fps))]
    assert ids(follow([detections([place]) for place in path], fps)) == {1}


def test_boxes_that_do_not_overlap_from_frame_to_frame_are_one_thing() -> None:
    path = [(0.1 + 0.06 * i, 0.5) for i in range(12)]
    assert ids(follow([detections([place], size=0.05) for place in path])) == {1}


def test_a_queue_that_moves_by_most_of_its_spacing_is_not_mixed_up() -> None:
    frames = [detections([(0.3, 0.05 + 0.25 * k + 0.12 * i) for k in range(-6, 4)]) for i in range(8)]
    frames = [
        Detections(f.boxes[inside], f.scores[inside], f.class_ids[inside])
        for f in frames
        for inside in [(f.boxes[:, 1] >= 0) & (f.boxes[:, 3] <= 1)]
    ]
    seen = follow(frames)
    for track_id in ids(seen):
        ys = [track.box[1] for tracks in seen for track in tracks if track.track_id == track_id and track.seen_now]
        assert np.allclose(np.diff(ys), 0.12, atol=1e-5)


def test_two_that_pass_each_other_keep_their_numbers() -> None:
    frames = [detections([(0.45, 0.1 + 0.02 * i), (0.48, 0.9 - 0.02 * i)]) for i in range(40)]
    last = follow(frames)[-1]
    assert [(track.track_id, round(track.box[1], 2)) for track in last] == [(1, 0.83), (2, 0.07)]


@pytest.mark.parametrize("gap", [1, 5, 12, 25])  # frames, up to a second
def test_a_number_survives_a_gap(gap: int) -> None:
    path = [(0.3, 0.1 + 0.008 * i) for i in range(100)]
    frames = [detections([place] if not 40 <= i < 40 + gap else []) for i, place in enumerate(path)]
    assert ids(follow(frames)) == {1}


def test_after_too_long_it_is_another_thing() -> None:
    frames = [detections([(0.3, 0.5)] if i < 10 or i > 60 else []) for i in range(70)]
    assert ids(follow(frames)) == {1, 2}


def test_unseen_it_is_expected_where_it_was_going_until_that_is_outside() -> None:
    frames = [detections([(0.5, 0.5 + 0.04 * i)]) for i in range(8)] + [Detections.none()] * 10
    seen = follow(frames)
    assert not seen[8][0].seen_now
    assert seen[8][0].unseen == pytest.approx(0.04)
    assert seen[8][0].box[1] == pytest.approx(0.5 + 0.04 * 8 - SIZE / 2, abs=0.01)
    assert seen[-1] == ()


def test_it_is_confirmed_after_a_few_sightings_but_at_once_in_a_first_frame() -> None:
    first = follow([detections([(0.3, 0.3)])])[0]
    assert first[0].confirmed
    later = follow([Detections.none(), *[detections([(0.3, 0.3)])] * 3])
    assert [tracks[0].confirmed for tracks in later[1:]] == [False, False, True]


def test_in_a_time_lapse_every_picture_shows_what_is_there() -> None:
    tracker = Tracker()
    for i in range(5):
        tracks = tracker.update(detections([(0.1 * i + 0.1, 0.5)]), i * 60.0, ASPECT)
        assert [track.confirmed for track in tracks] == [True]


def test_a_weak_detection_keeps_a_track_alive_but_begins_none() -> None:
    weak = detections([(0.3, 0.3)], score=0.2)
    assert ids(follow([weak] * 5)) == set()
    seen = follow([*[detections([(0.3, 0.3)])] * 5, *[weak] * 50])
    assert seen[-1][0].seen_now
    assert ids(follow([detections([(0.3, 0.3)], score=0.1)] * 5)) == set()


def test_two_labels_on_one_thing_are_one_track_and_vote() -> None:
    car, truck = detections([(0.3, 0.3)], score=0.5, label=0), detections([(0.302, 0.3)], score=0.7, label=1)
    seen = follow([car, car, joined(truck, car), joined(truck, car), joined(truck, car)])
    assert ids(seen) == {1}
    assert [tracks[0].label for tracks in seen] == [0, 0, 0, 0, 0]  # 2.5 against 2.1
    assert follow([car, joined(truck, car), truck, truck])[-1][0].label == 1


def test_two_of_one_label_on_each_other_stay_two() -> None:
    both = joined(detections([(0.3, 0.3)]), detections([(0.303, 0.3)], score=0.8))
    assert ids(follow([both] * 5)) == {1, 2}


def test_a_lost_track_does_not_jump_to_a_far_thing() -> None:
    frames = [*[detections([(0.3, 0.3)])] * 20, *[Detections.none()] * 10, *[detections([(0.4, 0.6)])] * 10]
    assert ids(follow(frames)) == {1, 2}


def test_time_that_stands_or_runs_backwards_does_no_harm() -> None:
    tracker = Tracker()
    for at in (5.0, 5.0, 4.0, 5.1, 5.2):
        tracks = tracker.update(detections([(0.3, 0.3)]), at, ASPECT)
    assert [(track.track_id, track.hits, track.seen_now) for track in tracks] == [(1, 5, True)]
    tracks = tracker.update(Detections.none(), 5.2, ASPECT)
    assert [track.seen_now for track in tracks] == [False]


def test_another_shape_of_picture_forgets_everything() -> None:
    tracker = Tracker()
    tracker.update(detections([(0.3, 0.3)]), 0.0, ASPECT)
    assert ids([tracker.update(detections([(0.3, 0.3)]), 0.04, 4 / 3)]) == {2}


def test_no_more_than_so_many_are_kept_and_the_longest_unseen_makes_room() -> None:
    crowd = [(0.02 + 0.06 * (k % 16), 0.03 + 0.06 * (k // 16)) for k in range(200)]
    seen = follow([detections(crowd, size=0.02)] * 3, max_tracks=50)
    assert all(len(tracks) == 50 for tracks in seen)
    two = [detections([(0.2, 0.2)]), detections([(0.5, 0.5)]), detections([(0.8, 0.8)])]
    assert [track.track_id for track in follow(two, max_tracks=2)[-1]] == [2, 3]


def test_memory_does_not_grow_with_the_number_of_things_ever_seen() -> None:
    tracker, line = Tracker(), LineCounter(LineConfig(name="gate", start=(0.0, 0.5), end=(1.0, 0.5)), ["thing"])
    rng = np.random.default_rng(3)
    began = 0
    for i in range(2000):
        tracks = tracker.update(
            detections([(float(x), float(y)) for x, y in rng.random((10, 2))], size=0.01), i, ASPECT
        )
        line.update(tracks, i)
        began = max(began, *(track.track_id for track in tracks))
        assert len(tracks) <= 50
    assert began > 10_000
    assert len(line._passages) <= 50


def truth_of_25(pixels: int, size: int) -> int:
    """How many of 25 things that pass a vertical line, this many pixels a frame at 30 fps in 640x360, are counted."""
    tracker, line = Tracker(), LineCounter(LineConfig(name="gate", start=(0.5, 0.0), end=(0.5, 1.0)), ["thing"])
    spacing = max(160.0, 2.6 * pixels)
    starts = [(-k * spacing - size - k * 7 % 13, 40 + k * 37 % 280) for k in range(25)]
    counted = 0
    for i in range(int((740 + 25 * spacing) / pixels)):
        places = [(x + pixels * i, y) for x, y in starts]
        boxes = [(x - size / 2, y - size / 2, x + size / 2, y + size / 2) for x, y in places]
        inside = np.clip(np.array(boxes) / [640, 360, 640, 360], 0, 1).astype(np.float32)
        inside = inside[inside[:, 2] - inside[:, 0] > 2 / 640]
        frame = Detections(inside, np.full(len(inside), 0.9, np.float32), np.zeros(len(inside), np.int64))
        counted += len(line.update(tracker.update(frame, i / 30, 640 / 360), i / 30))
    return counted


@pytest.mark.parametrize("pixels", [5, 15, 25, 40, 60])
@pytest.mark.parametrize("size", [40, 80])
def test_fast_things_are_all_counted(pixels: int, size: int) -> None:
    """The speeds of Ultralytics PR 25492, where the truth is 25: it counts 25, 22, 22, 22 and 19 of them."""
    assert truth_of_25(pixels, size) == 25
