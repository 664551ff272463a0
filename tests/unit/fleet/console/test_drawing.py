"""The fleet as squares and the counts as lines: every box is there once, and no data is a gap."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from fleet.console.chart import HEIGHT, WIDTH, chart
from fleet.console.grid import CELL, MOST_SQUARES, SINGLE, ClassGrid, grid
from fleet.inventory.box_state import BOX_STATES, BoxState, box_state
from fleet.inventory.device import Device
from fleet.store.count_reports import BUCKET_MS
from fleet.store.counts import CameraCount, merged
from fleet.store.devices import StoredDevice

MAKES: dict[BoxState, tuple[dict[str, object], int | None]] = {
    "never": ({}, None),
    "offline": ({"online": False, "drift_warnings": ("look",)}, 1),
    "failed": ({"online": True, "update": {"attempt": 1, "state": "rolled_back"}}, 1),
    "updating": ({"online": True, "update": {"attempt": 1, "state": "fetch"}, "state": "degraded"}, 1),
    "warning": ({"online": True, "state": "degraded"}, 1),
    "ok": ({"online": True, "update": {"attempt": 1, "state": "committed"}, "state": "ok"}, 1),
}


def box(name: str, state: BoxState, hardware_class: str = "a") -> StoredDevice:
    fields, seen = MAKES[state]
    return StoredDevice(Device.model_validate({"device": name, "hardware_class": hardware_class, **fields}), 1, seen)


def dashes(drawn: ClassGrid, state: BoxState) -> int:
    path = dict(drawn.dashes).get(state, "")
    return sum((int(length) + 2) // CELL for length in re.findall(r"h(\d+)", path))


def test_a_box_is_in_the_state_that_matters_most() -> None:
    for state in BOX_STATES:
        one = box("x", state)
        assert box_state(one.device, one.last_seen_ms) == state
    assert box_state(Device(device="x", drift_warnings=("look",), online=True), None) == "warning"
    assert box_state(Device(device="x"), 5) == "ok", "a box that speaks is there, whatever its status"


@given(st.lists(st.tuples(st.sampled_from(BOX_STATES), st.sampled_from("ab")), max_size=60))
def test_few_boxes_are_a_square_each(boxes: list[tuple[BoxState, str]]) -> None:
    stored = [box(f"box-{n}", state, of) for n, (state, of) in enumerate(boxes)]
    drawn = grid(stored)
    squares = [(of.name, one.device, one.state) for of in drawn.classes for one in of.squares]
    assert sorted(squares) == sorted((of, f"box-{n}", state) for n, (state, of) in enumerate(boxes))
    for of in drawn.classes:
        places = {(one.x, one.y) for one in of.squares}
        assert len(places) == len(of.squares) == of.total
        assert all(x + 10 <= of.width and y + 10 <= of.height for x, y in places)


def test_many_boxes_are_a_dash_each_and_few_bytes() -> None:
    counts: dict[BoxState, int] = {"ok": 9_000, "failed": 7, "offline": SINGLE + 200}
    drawn = grid([box(f"{state}-{n}", state) for state, count in counts.items() for n in range(count)])
    (of,) = drawn.classes
    assert (drawn.each, of.squares) == (1, ())
    assert {state: dashes(of, state) for state in counts} == counts
    assert sum(len(path) for _, path in of.dashes) < 5_000


def test_of_very_many_a_dash_is_several_and_no_state_vanishes() -> None:
    counts: dict[BoxState, int] = {"ok": 2 * MOST_SQUARES, "failed": 1, "never": 7}
    drawn = grid([box(f"{state}-{n}", state) for state, count in counts.items() for n in range(count)])
    (of,) = drawn.classes
    assert drawn.each == 3
    assert {state: dashes(of, state) for state in counts} == {"ok": -(-2 * MOST_SQUARES // 3), "failed": 1, "never": 3}
    assert dict(of.counts) == counts


def counted(start: int, level: float | None) -> CameraCount:
    observed = 0.0 if level is None else 300.0
    return CameraCount("gate", start, observed, (level or 0.0) * observed, 1, 0)


@given(
    st.lists(st.none() | st.floats(0, 1e9, allow_nan=False, allow_subnormal=False), max_size=50),
)
def test_every_count_is_drawn_within_the_chart_and_no_data_is_a_gap(levels: list[float | None]) -> None:
    counts = [counted(n * BUCKET_MS, level) for n, level in enumerate(levels)]
    drawn = chart("gate", counts, 0, 50 * BUCKET_MS, BUCKET_MS)
    points = [tuple(map(float, point.split())) for line in drawn.lines for point in re.findall(r"[ML]([\d. -]+)", line)]
    assert len(points) == sum(level is not None for level in levels)
    assert all(0 <= x <= WIDTH and -0.1 <= y <= HEIGHT for x, y in points)
    stretches = sum(level is not None and (n == 0 or levels[n - 1] is None) for n, level in enumerate(levels))
    assert len(drawn.lines) == stretches


@given(st.lists(st.integers(0, 500), unique=True, max_size=60), st.integers(1, 12))
def test_counts_by_longer_times_lose_nothing(slots: list[int], steps: int) -> None:
    counts = [counted(slot * BUCKET_MS, float(slot % 7)) for slot in sorted(slots)]
    longer = merged(counts, steps * BUCKET_MS)
    assert sum(one.crossings_in for one in longer) == len(slots)
    assert sum(one.level_seconds for one in longer) == sum(one.level_seconds for one in counts)
    assert all(one.start_ms % (steps * BUCKET_MS) == 0 for one in longer)
    assert [one.start_ms for one in longer] == sorted({one.start_ms for one in longer})
