"""What frames add up to over a window."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.counting.clock import ClockWindow, WindowClock
from agent.counting.frame_counts import FrameCounts
from agent.counting.gaps import longest_gap
from agent.counting.lines import Crossing
from agent.counting.states import Question, StateChange, StateMachine, StateRules
from agent.counting.window import WindowAccumulator, WindowCounts
from contracts.config import CameraConfig
from contracts.messages import Dwell, Level

NOON = 1_767_268_800.0
LINE = {"name": "gate", "start": [0, 0.5], "end": [1, 0.5]}
ZONE = {"name": "yard", "polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}


def a_camera(**more: object) -> CameraConfig:
    return CameraConfig.model_validate({"id": "north", "source": "synthetic", "line": [LINE], "zone": [ZONE], **more})


def a_window(number: int = 0, seconds: float = 10) -> ClockWindow:
    start = NOON + number * seconds
    return ClockWindow(start, start + seconds, number * seconds, (number + 1) * seconds)


def a_frame(count: float = 0, *, ins: int = 0, visits: int = 0) -> FrameCounts:
    crossings = tuple(Crossing("gate", "in", "car", 1, 0.0) for _ in range(ins))
    return FrameCounts(count, {"yard": count / 2}, {"yard": visits}, crossings)


def rounded(level: Level | None) -> Level:
    assert level is not None
    return Level(last=level.last, mean=round(level.mean, 6), min=level.min, max=level.max)


def close(frames: Sequence[tuple[float, FrameCounts]], **more: object) -> WindowCounts:
    accumulator = WindowAccumulator(a_camera(**more), begins=0.0)
    for at, frame in frames:
        accumulator.observe(frame, at)
    return accumulator.close(a_window())


def test_with_no_frame_there_is_no_count_which_is_not_zero() -> None:
    counts = close([])
    assert (counts.count, counts.zones, counts.lines) == (None, {"yard": None}, {"gate": {}})
    assert (counts.frames_seen, counts.coverage, counts.quality) == (0, 0.0, "no_camera")
    assert (counts.window.start, counts.window.end) == ("2026-01-01T12:00:00Z", "2026-01-01T12:00:10Z")


def test_an_empty_road_that_was_seen_is_zero() -> None:
    counts = close([(i / 10, a_frame(0)) for i in range(100)])
    assert counts.count == Level(last=0, mean=0, min=0, max=0)
    assert (counts.frames_seen, counts.quality) == (100, "ok")
    assert counts.coverage == pytest.approx(1.0)


def test_the_newest_frame_is_told_and_one_of_the_next_window_is_not_it() -> None:
    assert close([(1.0, a_frame()), (9.75, a_frame()), (10.5, a_frame())]).newest == 9.75
    assert close([]).newest is None


def test_the_mean_is_over_time_so_a_burst_of_frames_weighs_no_more() -> None:
    burst = [(5 + i / 1000, a_frame(4)) for i in range(1000)]
    slow = [(at, a_frame(2)) for at in (0, 1, 2, 3, 4, 6, 7, 8, 9)]
    counts = close(sorted([*burst, *slow], key=lambda pair: pair[0]))
    assert rounded(counts.count) == Level(last=2, mean=2.2, min=2, max=4)
    assert rounded(counts.zones["yard"]) == Level(last=1, mean=1.1, min=1, max=2)


def test_a_frame_goes_on_into_the_next_window() -> None:
    accumulator = WindowAccumulator(a_camera(), begins=0.0)
    accumulator.observe(a_frame(6), 9.5)
    assert accumulator.close(a_window()).coverage == pytest.approx(0.05)
    accumulator.observe(a_frame(2), 10.5)
    counts = accumulator.close(a_window(1))
    assert counts.count == Level(last=2, mean=(6 * 0.5 + 2 * 2) / 2.5, min=2, max=6)


def test_a_frame_stands_for_no_longer_than_until_counts_are_stale() -> None:
    counts = close([(0.0, a_frame(3))], stale_after=2.5)
    assert (counts.coverage, counts.quality) == (0.25, "stale")
    assert counts.count == Level(last=3, mean=3, min=3, max=3)


def test_at_a_low_rate_asked_for_frames_stand_for_longer() -> None:
    assert longest_gap(a_camera(fps=0.2)) == pytest.approx(7.5)
    assert longest_gap(a_camera(fps=25)) == 2.0
    assert close([(0.0, a_frame(3)), (5.0, a_frame(3))], fps=0.2).coverage == pytest.approx(1.0)


def test_a_window_in_which_only_an_older_frame_was_known_has_no_count() -> None:
    accumulator = WindowAccumulator(a_camera(stale_after=30), begins=0.0)
    accumulator.observe(a_frame(3), 1.0)
    accumulator.close(a_window())
    counts = accumulator.close(a_window(1))
    assert (counts.count, counts.coverage, counts.quality) == (None, 0.0, "stale")


def test_what_held_for_most_of_the_window_is_its_quality() -> None:
    accumulator = WindowAccumulator(a_camera(), begins=0.0)
    for i in range(60):
        accumulator.observe(a_frame(1), i / 10)
    accumulator.note("obscured", 6.0)
    counts = accumulator.close(a_window())
    assert counts.quality == "ok"
    assert counts.coverage == pytest.approx(0.6)
    accumulator.observe(a_frame(1), 14.0)
    accumulator.note("model_error", 15.0)
    counts = accumulator.close(a_window(1))
    assert counts.quality == "model_error"
    assert counts.coverage == pytest.approx(0.1)


def test_of_equals_the_worse_is_the_quality() -> None:
    accumulator = WindowAccumulator(a_camera(), begins=0.0, quality="stale")
    accumulator.note("no_camera", 5.0)
    assert accumulator.close(a_window()).quality == "no_camera"


def test_dropped_frames_are_the_difference_of_what_is_handed_in() -> None:
    accumulator = WindowAccumulator(a_camera(), begins=0.0)
    assert accumulator.close(a_window(), {"busy": 3}).frames_dropped == {"busy": 3}
    assert accumulator.close(a_window(1), {"busy": 3, "decode": 2}).frames_dropped == {"busy": 0, "decode": 2}
    reopened = {"busy": 1, "decode": 2}
    assert accumulator.close(a_window(2), reopened).frames_dropped == {"busy": 1, "decode": 0}


def test_a_frame_counted_late_is_counted_in_the_next_window_and_not_lost() -> None:
    accumulator = WindowAccumulator(a_camera(), begins=0.0)
    accumulator.observe(a_frame(1), 9.9)
    accumulator.close(a_window())
    accumulator.observe(a_frame(1, ins=1, visits=1), 9.95)
    counts = accumulator.close(a_window(1))
    assert counts.lines == {"gate": {"car": {"in": 1, "out": 0}}}
    assert counts.frames_seen == 1


frames = st.lists(
    st.tuples(
        st.integers(0, 59 * 64).map(lambda value: value / 64), st.integers(0, 9), st.integers(0, 2), st.integers(0, 2)
    ),
    max_size=60,
)


@given(frames, st.sampled_from([1.0, 2.5, 10.0, 60.0]))
def test_windows_add_up_to_the_same_whatever_their_length(
    shots: list[tuple[float, int, int, int]], seconds: float
) -> None:
    accumulator = WindowAccumulator(a_camera(), begins=0.0)
    clock = WindowClock(seconds, NOON, 0.0)
    closed = []
    for at, count, ins, visits in [*sorted(shots), (60.0, 0, 0, 0)]:
        while clock.is_over(at):
            closed.append(accumulator.close(clock.window))
            clock.turn(NOON + at, at)
        accumulator.observe(a_frame(count, ins=ins, visits=visits), at)
    assert len(closed) == 60 / seconds
    assert sum(counts.frames_seen for counts in closed) == len(shots)
    assert sum(counts.lines["gate"].get("car", {}).get("in", 0) for counts in closed) == sum(s[2] for s in shots)
    assert sum(zone.visits or 0 for counts in closed for zone in [counts.zones["yard"]] if zone) == sum(
        s[3] for s in shots
    )
    for counts in closed:
        assert 0 <= counts.coverage <= 1
        assert (counts.count is None) == (counts.frames_seen == 0)
        if counts.count:
            assert counts.count.min <= counts.count.mean <= counts.count.max


@pytest.mark.parametrize("jump", [86_400.0, -86_400.0, -NOON])
def test_a_clock_that_jumps_moves_no_count(jump: float) -> None:
    accumulator, clock = WindowAccumulator(a_camera(), begins=0.0), WindowClock(10, NOON, 0.0)
    closed = []
    for i in range(1, 401):
        at = i / 10
        if clock.is_over(at):
            closed.append(accumulator.close(clock.window))
            clock.turn(NOON + at + (jump if at > 14 else 0), at)
        accumulator.observe(a_frame(1, ins=1), at)
    assert [counts.lines["gate"]["car"]["in"] for counts in closed] == [99, 100, 100, 100]
    assert all(counts.coverage == pytest.approx(1, abs=0.02) for counts in closed)


def test_what_was_taken_after_the_end_belongs_to_the_next_window_though_the_close_comes_late() -> None:
    accumulator = WindowAccumulator(a_camera(), begins=0.0)
    accumulator.observe(a_frame(1, ins=1), 9.9, "first")
    accumulator.observe(a_frame(5, ins=2), 10.0, "second")
    accumulator.note("obscured", 10.004)
    old, new = accumulator.close(a_window()), accumulator.close(a_window(1))
    assert (old.frames_seen, old.lines["gate"]["car"]["in"], old.artifacts) == (1, 1, ("first",))
    assert (new.frames_seen, new.lines["gate"]["car"]["in"], new.artifacts) == (1, 2, ("second",))
    assert rounded(old.count).max == 1
    assert (old.quality, new.quality) == ("no_camera", "obscured")


@given(frames, st.floats(0, 4))
def test_how_late_a_window_is_closed_changes_nothing(shots: list[tuple[float, int, int, int]], late: float) -> None:
    shots = sorted({shot[0]: shot for shot in shots}.values())  # one camera takes one frame at a time
    on_time, behind = (WindowAccumulator(a_camera(), begins=0.0) for _ in range(2))
    results: list[list[WindowCounts]] = [[], []]
    for accumulator, delay, closed in ((on_time, 0.0, results[0]), (behind, late, results[1])):
        for at, count, ins, visits in [*shots, (100.0, 0, 0, 0)]:
            while len(closed) < 6 and at >= (len(closed) + 1) * 10 + delay:
                closed.append(accumulator.close(a_window(len(closed))))
            if at < 60:
                accumulator.observe(a_frame(count, ins=ins, visits=visits), at)
    assert results[0] == results[1]


def test_crossings_are_told_one_by_one_with_the_time_of_their_frame() -> None:
    accumulator = WindowAccumulator(a_camera(), begins=0.0)
    accumulator.observe(a_frame(1, ins=2), 3.25)
    counts = accumulator.close(a_window())
    assert [(one.crossing.direction, one.at) for one in counts.crossings] == [("in", NOON + 3.25)] * 2
    assert accumulator.close(a_window(1)).crossings == ()


def test_a_window_cut_short_tells_the_same_times() -> None:
    window = a_window().cut(4.0)
    assert (window.ends, window.utc(3.25)) == (4.0, NOON + 3.25)
    assert a_window().cut(99.0).ends == 10.0


def test_changes_of_quality_are_told_and_a_flickering_camera_does_not_fill_the_outbox() -> None:
    accumulator = WindowAccumulator(a_camera(), begins=0.0)
    accumulator.observe(a_frame(), 1.0)
    accumulator.note("stale", 2.0)
    accumulator.note("stale", 3.0)
    changes = accumulator.close(a_window()).changes
    assert [(change.before, change.quality, change.at - NOON) for change in changes] == [
        ("no_camera", "ok", 1.0),
        ("ok", "stale", 2.0),
    ]
    for i in range(200):
        accumulator.observe(a_frame(), 10 + i / 100)
        accumulator.note("obscured", 10 + i / 100)
    changes = accumulator.close(a_window(1)).changes
    assert len(changes) == 32
    assert (changes[0].before, changes[-1].quality, changes[-1].at) == ("stale", "obscured", NOON + 11.99)


def test_occupancy_and_dwell_of_boxes_are_over_the_observed_time() -> None:
    def frame(there: int, *stays: float) -> FrameCounts:
        return FrameCounts(there, {"yard": there}, {"yard": 0}, stays={"yard": stays} if stays else {})

    counts = close([(0.0, frame(0)), (2.0, frame(3)), (3.0, frame(0, 1.0, 4.0)), (4.0, frame(1, 4.0))])
    zone = counts.zones["yard"]
    assert zone is not None
    assert zone.occupancy == pytest.approx(3 / 6), "1 s and 2 s of 6 s that were seen"
    assert zone.dwell == Dwell(n=3, mean=3.0, max=4.0)


def test_where_no_stay_ended_its_length_is_not_known() -> None:
    zone = close([(0.0, FrameCounts(0, {"yard": 0}, {"yard": 0}))]).zones["yard"]
    assert zone is not None
    assert (zone.dwell, zone.occupancy) == (Dwell(n=0, mean=None, max=None), 0.0)


def test_a_density_map_knows_nothing_of_visits_occupancy_and_dwell() -> None:
    zone = close([(0.0, FrameCounts(2, {"yard": 2}))]).zones["yard"]
    assert zone is not None
    assert (zone.max, zone.visits, zone.occupancy, zone.dwell) == (2, None, None, None)


def test_a_scale_is_told_where_there_is_one() -> None:
    assert close([]).scale is None
    assert close([], scale=1.25).scale == 1.25


GATE = Question("state", ("open", "shut"))


def a_moment(state: str, *changes: StateChange) -> FrameCounts:
    return FrameCounts(None, states={"state": state}, changes=changes)


def classified(frames: Sequence[tuple[float, FrameCounts]]) -> WindowAccumulator:
    accumulator = WindowAccumulator(a_camera(line=[], zone=[]), 0.0, questions=[GATE])
    for at, frame in frames:
        accumulator.observe(frame, at)
    return accumulator


def test_states_share_the_observed_time_and_their_entries_are_counted() -> None:
    opened = StateChange("state", "shut", "open", is_entry=True)
    back = StateChange("state", "unknown", "open", is_entry=False)
    frames = [(0.0, a_moment("shut")), (1.0, a_moment("open", opened)), (2.5, a_moment("unknown"))]
    counts = classified([*frames, (3.0, a_moment("open", back))]).close(a_window())
    assert counts.count is None
    assert counts.states["state"].last == "open"
    assert counts.states["state"].kept() == {"shut": 1.0, "open": 3.5, "unknown": 0.5}
    assert counts.tallies == {"state:state": {"open": {"in": 1, "out": 0}}}
    assert [(one.change, one.at - NOON) for one in counts.state_changes] == [(opened, 1.0), (back, 3.0)]
    assert counts.events == 3, "two of the state, and the quality's beginning"


def test_with_no_frame_no_state_is_known() -> None:
    sums = classified([]).close(a_window()).states["state"]
    assert (sums.last, sums.kept(), dict(sums.entries)) == (None, {}, {})


moments = st.lists(
    st.tuples(st.integers(0, 59 * 64).map(lambda value: value / 64), st.sampled_from(["open", "shut"])), max_size=60
)


@settings(deadline=None)
@given(moments, st.sampled_from([1.0, 2.5, 10.0, 60.0]), st.sampled_from([0.25, 1.0]))
def test_the_seconds_in_states_are_the_observed_ones_and_entries_the_changes_whatever_the_windows(
    shots: list[tuple[float, str]], seconds: float, hold: float
) -> None:
    machine = StateMachine(GATE, StateRules(0.6, 0.4, hold, 2.0, 2.0))
    accumulator, clock, closed = classified([]), WindowClock(seconds, NOON, 0.0), []
    changes: list[StateChange] = []
    for at, answer in sorted({shot[0]: shot for shot in shots}.values()):
        change = machine.hear(answer, at)
        changes += [change] if change else []
        while clock.is_over(at):
            closed.append(accumulator.close(clock.window))
            clock.turn(NOON + at, at)
        accumulator.observe(a_moment(machine.state, *([change] if change else [])), at)
    closed.append(accumulator.close(clock.window))
    for counts in closed:
        observed = counts.coverage * seconds
        assert sum(counts.states["state"].kept().values()) == pytest.approx(observed if counts.frames_seen else 0)
    entries = sum((one.states["state"].entries for one in closed), Counter[str]())
    assert entries == Counter(change.state for change in changes if change.is_entry)
    assert [one.change for counts in closed for one in counts.state_changes] == changes
