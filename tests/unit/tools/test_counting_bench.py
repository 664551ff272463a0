"""The counting bench finds what is wrong, and nothing where nothing is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from runtime.synthetic_road import RoadSettings, SyntheticRoad
from tools.counting_bench.__main__ import error_of
from tools.counting_bench.detector import LABELS, Detector, Faults
from tools.counting_bench.scenarios import Scenario, scenarios
from tools.counting_bench.states import StateScenario, state_scenarios, watch_gate
from tools.counting_bench.trial import count_road

PERFECT = Scenario("nothing", "perfect", Faults(hidden=True), fps=10.0)


def test_perfect_detections_are_counted_without_an_error() -> None:
    counted = count_road(PERFECT, 1, 20)
    assert counted.crossings >= 10
    assert counted.wrong == 0
    assert counted.present[1] == pytest.approx(counted.present[0], rel=0.1)


def test_half_of_all_detections_missing_at_two_frames_a_second_shows() -> None:
    poor = replace(PERFECT, faults=Faults(missed=0.6), fps=2.0)
    counted = count_road(poor, 1, 30)
    assert counted.wrong > 0
    assert counted.bias < 0, "what was not seen was not counted"


def test_frames_that_never_come_are_not_counted() -> None:
    all_of_them, some = count_road(PERFECT, 1, 20), count_road(replace(PERFECT, dropped=0.5), 1, 20)
    assert all_of_them.frames == 200
    assert 60 < some.frames < 140
    assert count_road(replace(PERFECT, burst=5.0), 1, 20).frames == 100


def test_the_same_seed_gives_the_same() -> None:
    noisy = replace(PERFECT, faults=Faults(missed=0.2, jitter=0.05, invented=0.5))
    assert count_road(noisy, 3, 10) == count_road(noisy, 3, 10)


def vehicles() -> SyntheticRoad:
    return SyntheticRoad(RoadSettings(width=64, height=64, seed=1, fps=10.0, vehicles_per_minute=120))


@pytest.mark.parametrize(
    ("faults", "share"), [(Faults(missed=0.3), 0.7), (Faults(blinked=0.4), 0.6), (Faults(missed=1.0), 0.0)]
)
def test_as_many_are_missed_as_were_asked_for(faults: Faults, share: float) -> None:
    road, detector = vehicles(), Detector(replace(faults, hidden=True), 10.0, 0)
    found = sum(len(detector.detect(road.vehicles(index), index)) for index in range(300))
    assert found / sum(len(road.vehicles(index)) for index in range(300)) == pytest.approx(share, abs=0.05)


def test_a_vehicle_that_is_mostly_hidden_is_not_found_unless_asked_for() -> None:
    road = vehicles()
    hidden = [v for index in range(100) for v in road.vehicles(index) if v.visible < 0.3]
    assert hidden
    assert len(Detector(Faults(), 10.0, 0).detect(hidden, 0)) == 0
    assert len(Detector(Faults(hidden=True), 10.0, 0).detect(hidden, 0)) == len(hidden)


def test_every_label_of_the_road_is_known() -> None:
    road = vehicles()
    assert {v.label for index in range(300) for v in road.vehicles(index)} <= set(LABELS)


def test_the_interval_holds_the_share_and_is_nothing_where_all_roads_agree() -> None:
    assert error_of([1] * 5, [10] * 5) == (0.1, 0.1, 0.1)
    share, low, high = error_of([0, 4, 2], [10] * 3)
    assert share == pytest.approx(0.2)
    assert low < share < high
    assert np.isfinite([low, high]).all()


def test_each_scenario_is_named_once() -> None:
    for found in (scenarios(), state_scenarios()):
        names = [(scenario.axis, scenario.value) for scenario in found]
        assert len(set(names)) == len(names)


def test_a_gate_seen_well_is_counted_without_an_error_and_flicker_of_answers_does_not_change_that() -> None:
    for flicker in (0.0, 0.1):
        counted = watch_gate(StateScenario("a", "b", flicker=flicker, doubt=0.0, fps=10.0), 1, 120)
        assert sum(counted.true) >= 8
        assert counted.counted == counted.true
        assert counted.misheld < 0.2


def test_a_gate_seen_too_rarely_or_wrong_for_too_long_shows() -> None:
    assert watch_gate(StateScenario("a", "b", fps=0.2), 1, 300).wrong > 0
    assert watch_gate(StateScenario("a", "b", blink=1.9), 1, 120).wrong > 0
