"""What is told of a source that was counted."""

from __future__ import annotations

import pytest

from agent.count_summary import Summary
from agent.counting.frame_counts import FrameCounts
from agent.counting.states import StateChange
from contracts.config import CameraConfig
from contracts.errors import WrittenError

ZONE = {"name": "yard", "polygon": [[0, 0], [0.5, 0], [0.5, 1]]}


def a_summary(*frames: FrameCounts, zones: bool = False, **more: object) -> Summary:
    camera = CameraConfig.model_validate({"id": "count", "source": "x", "zone": [ZONE] if zones else []})
    each = [(number, frame) for number, frame in enumerate(frames)]
    return Summary(camera, "a/fp32", each=True, frames=each, **more)  # type: ignore[arg-type]


def test_the_scale_makes_the_mean_of_the_counts_the_true_one() -> None:
    found = a_summary(FrameCounts(8), FrameCounts(12), true=12.5).document()
    assert found["scale"] == 1.25
    assert "scale" not in a_summary(FrameCounts(8)).document()


def test_where_nothing_is_counted_no_scale_can_be_found() -> None:
    with pytest.raises(WrittenError, match="--true needs frames in which something is counted"):
        a_summary(FrameCounts(0), true=5.0).document()


def test_a_classifiers_states_stand_in_place_of_a_count() -> None:
    change = StateChange("eyes", "open", "shut", is_entry=True)
    first, other = FrameCounts(None, states={"eyes": "open"}), FrameCounts(None, states={"eyes": "shut"})
    entered = FrameCounts(None, states={"eyes": "shut"}, changes=(change,))
    found = a_summary(first, entered, other, other, questions=("eyes",)).document()
    assert found["states"] == {"eyes": {"last": "shut", "share": {"open": 0.25, "shut": 0.75}, "entries": {"shut": 1}}}
    assert "count" not in found
    each = found["each"]
    assert isinstance(each, list)
    assert each[0] == {"frame": 0, "states": {"eyes": "open"}}


def test_a_zone_of_boxes_tells_how_long_things_stayed_and_one_of_a_density_map_does_not() -> None:
    left = FrameCounts(2, {"yard": 2}, {"yard": 1}, stays={"yard": (3.0, 5.0)})
    empty = FrameCounts(0, {"yard": 0}, {"yard": 0})
    assert a_summary(left, empty, zones=True).zone("yard") == {
        "last": 0,
        "mean": 1,
        "max": 2,
        "visits": 1,
        "occupancy": 0.5,
        "dwell": {"n": 2, "mean": 4, "max": 5},
    }
    assert a_summary(FrameCounts(2, {"yard": 2}), zones=True).zone("yard") == {
        "last": 2,
        "mean": 2,
        "max": 2,
        "visits": None,
    }
