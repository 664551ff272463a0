"""One simulated camera through the agent's own judge."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from agent.drift.baseline import Baseline
from agent.drift.judge import Judge
from agent.drift.spread import SCORES
from contracts.health import DRIFT_INDICATORS, Indicator
from tools.drift_sim.road import Fault, Road, hours_of

TRAINED = 6  # weeks before something happens to a camera
_WATCHED = 168  # hours for which a warning is waited for

FAULTS: Mapping[str, tuple[Indicator, Fault]] = {
    "counts - 50 %": ("counts", Fault(rate=0.5)),
    "counts + 100 %": ("counts", Fault(rate=2.0)),
    "nothing counted": ("counts", Fault(rate=0.0)),
    "sharpness - 50 %": ("sharpness", Fault(sharpness=0.5)),
    "brightness - 50 %": ("brightness", Fault(brightness=0.5)),
    "scores - 15 %": ("scores", Fault(scores=0.85)),
    "never empty": ("empty", Fault(ghosts=True)),
}
"""What happens to cameras, and which indicator should say so."""


@dataclass(frozen=True)
class Quiet:
    """A camera to which nothing happened.

    Args:
        hours: that were judged, by indicator.
        warnings: that began, by indicator: all of them false.
    """

    hours: Mapping[Indicator, int]
    warnings: Mapping[Indicator, int]


def quiet(road: Road, seed: int, weeks: int) -> Quiet:
    """Count the warnings of a camera to which nothing happens."""
    judge = Judge(Baseline(), SCORES, crossings=road.crossings)
    hours: dict[Indicator, int] = dict.fromkeys(DRIFT_INDICATORS, 0)
    warnings: dict[Indicator, int] = dict.fromkeys(DRIFT_INDICATORS, 0)
    warned = dict.fromkeys(DRIFT_INDICATORS, False)
    for hour in hours_of(road, seed, weeks):
        judge.take(hour)
        drift = judge.report()
        for indicator in DRIFT_INDICATORS:
            told = getattr(drift, indicator)
            hours[indicator] += told.change is not None
            warnings[indicator] += told.warn and not warned[indicator]
            warned[indicator] = told.warn
    return Quiet(hours, warnings)


def delays(
    road: Road, seed: int, hour_of_week: int, faults: Mapping[str, tuple[Indicator, Fault]] = FAULTS
) -> dict[str, int | None]:
    """Hours until the right indicator warns of each fault; None where it does not within a week.

    Args:
        road: what the camera looks at.
        seed: of its randomness.
        hour_of_week: in which it happens, after some weeks without.
        faults: what happens, each to a camera of its own.
    """
    at = TRAINED * 168 + hour_of_week
    judge = Judge(Baseline(), SCORES, crossings=road.crossings)
    for hour in islice(hours_of(road, seed, TRAINED + 1), at):
        judge.take(hour)
    return {name: _delay(copy.deepcopy(judge), road, seed, at, *fault) for name, fault in faults.items()}


def _delay(judge: Judge, road: Road, seed: int, at: int, indicator: Indicator, fault: Fault) -> int | None:
    hours = hours_of(road, seed, TRAINED + 3, fault, at)
    for number, hour in enumerate(islice(hours, at, at + _WATCHED), 1):
        judge.take(hour)
        if getattr(judge.report(), indicator).warn:
            return number
    return None
