"""The rules of drift on simulated roads: few false warnings, and true ones in time. The figures: docs/drift.md."""

from __future__ import annotations

import pytest

from tools.drift_sim.road import Road
from tools.drift_sim.trial import FAULTS, delays, quiet

BUSY = Road(2000)


def test_every_fault_is_warned_of_within_a_day() -> None:
    found = delays(BUSY, seed=0, hour_of_week=36)
    assert set(found) == set(FAULTS)
    assert all(hours is not None and 2 <= hours <= 24 for hours in found.values()), found


def test_weeks_in_which_nothing_happens_warn_of_nothing() -> None:
    found = quiet(BUSY, seed=0, weeks=5)
    assert set(found.warnings.values()) == {0}
    assert all(hours >= 2 * 168 for hours in found.hours.values()), found.hours


@pytest.mark.slow
@pytest.mark.parametrize("busiest", [20, 200, 2000])
def test_false_warnings_are_rarer_than_four_a_camera_and_year(busiest: float) -> None:
    found = [quiet(Road(busiest), seed, weeks=16) for seed in range(6)]
    years = sum(one.hours["sharpness"] for one in found) / 8766
    assert sum(sum(one.warnings.values()) for one in found) <= 4 * years
