"""A camera's hours as they might have been: traffic, light and what a model answers, without a single picture."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from agent.drift.hours import SECONDS, Hour, HourOfWeek
from agent.drift.spread import SCORES, Spread

_START = dt.datetime(2026, 1, 5, tzinfo=dt.timezone.utc)  # a Monday
_DWELL = 4.0  # seconds that a vehicle stays in the picture
_WEEKEND = 5  # Saturday
_DAY, _NIGHT = 110.0, 45.0  # grey levels
_DAYLIGHT = (8.0, 4.0)  # half of the mean day's hours between dusk and dawn, and how far the season moves it, doubled


@dataclass(frozen=True)
class Road:
    """What a simulated camera looks at.

    Args:
        busiest: vehicles in the busiest hour.
        crossings: whether a line counts them, or they are counted while in the picture.
        day_spread: by which one day differs from another of its kind (standard deviation of the logarithm).
        hour_spread: by which an hour differs besides, beyond Poisson.
        looks: at each vehicle while it is there; more where it stands still.
        holidays: share of working days with a Sunday's traffic.
        rain: share of hours with rain.
    """

    busiest: float
    crossings: bool = True
    day_spread: float = 0.08
    hour_spread: float = 0.08
    looks: int = 1
    holidays: float = 0.0
    rain: float = 0.06


@dataclass(frozen=True)
class Fault:
    """What happens to it, as factors.

    Args:
        rate: of the traffic.
        sharpness: of the picture.
        brightness: of the picture.
        scores: of the model's score.
        ghosts: whether something that stands still is seen for ever.
    """

    rate: float = 1.0
    sharpness: float = 1.0
    brightness: float = 1.0
    scores: float = 1.0
    ghosts: bool = False


def hours_of(road: Road, seed: int, weeks: int, fault: Fault | None = None, from_hour: int = 0) -> Iterator[Hour]:
    """A camera's hours, one after the other.

    Args:
        road: what it looks at.
        seed: of its randomness: which is the same with and without a fault.
        weeks: how many.
        fault: what happens to it.
        from_hour: when that begins.
    """
    dice = np.random.default_rng(seed)
    first_day = dt.timedelta(days=int(dice.integers(0, 52)) * 7)
    day_factor, sunday = 1.0, False
    for number in range(weeks * 168):
        moment = _START + first_day + dt.timedelta(hours=number)
        if moment.hour == 0:
            day_factor = math.exp(dice.normal(0, road.day_spread))
            sunday = moment.weekday() > _WEEKEND or dice.random() < road.holidays
        now = fault if fault is not None and number >= from_hour else Fault()
        rate = road.busiest * _curve(moment, sunday=sunday) * day_factor * math.exp(dice.normal(0, road.hour_spread))
        yield _hour(road, moment, rate, now, dice)


def _curve(moment: dt.datetime, *, sunday: bool) -> float:
    """Share of the busiest hour: two peaks on working days, one at weekends, little at night."""
    hour = moment.hour
    if sunday or moment.weekday() == _WEEKEND:
        return 0.02 + 0.55 * math.exp(-(((hour - 15) / 4.5) ** 2))
    return 0.02 + 0.95 * math.exp(-(((hour - 8) / 2) ** 2)) + 0.9 * math.exp(-(((hour - 17) / 3) ** 2))


def _hour(road: Road, moment: dt.datetime, rate: float, fault: Fault, dice: np.random.Generator) -> Hour:
    light, rain = _daylight(moment), dice.random() < road.rain
    vehicles = int(dice.poisson(rate * fault.rate))
    present = vehicles * _DWELL / SECONDS
    level = (_NIGHT + (_DAY - _NIGHT) * light) * math.exp(dice.normal(0, 0.08)) * (0.85 if rain else 1.0)
    sharp = (0.6 - 0.08 * (1 - light)) * math.exp(dice.normal(0, 0.05)) * (0.88 if rain else 1.0)
    empty = 0.0 if fault.ghosts else math.exp(-present)
    return Hour(
        start=moment.timestamp(),
        place=HourOfWeek.of(moment),
        seconds=SECONDS,
        amount=float(vehicles) if road.crossings else present,
        empty=empty,
        brightness=level * fault.brightness,
        sharpness=sharp * fault.sharpness,
        spread=_spread(vehicles, (0.66 + 0.06 * light - 0.05 * rain) * fault.scores, road.looks, dice),
    )


def _daylight(moment: dt.datetime) -> float:
    """0 at night to 1 by day; at 50 degrees north, dusk takes an hour."""
    season = math.cos(2 * math.pi * (moment.timetuple().tm_yday - 172) / 365)
    half_day = (_DAYLIGHT[0] * 1.5 + _DAYLIGHT[1] * season) / 2
    return min(1.0, max(0.0, half_day + 0.5 - abs(moment.hour + 0.5 - 12.5)))


def _spread(vehicles: int, mean: float, looks: int, dice: np.random.Generator) -> Spread:
    """Scores of each vehicle's detections: vehicles differ, looks at one of them do less."""
    own = np.clip(dice.normal(mean * math.exp(dice.normal(0, 0.02)), 0.14, vehicles), 0.1, 0.97)
    scores = own.repeat(looks) + dice.normal(0, 0.05, vehicles * looks)
    return SCORES.of(scores.clip(0.1, 0.99).astype(np.float32))
