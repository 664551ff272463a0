"""Hours of a camera as a test wants them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import numpy as np

from agent.drift.hours import SECONDS, Hour, HourOfWeek
from agent.drift.spread import SCORES

MONDAY = dt.datetime(2026, 1, 5, tzinfo=dt.timezone.utc)
GOOD = (0, 0, 0, 20, 120, 240, 400, 440, 300, 80)
"""Scores of detections in tenths; 1600 of them."""


def an_hour(
    number: int,
    amount: float = 400.0,
    *,
    empty: float = 0.6,
    brightness: float = 100.0,
    sharpness: float = 0.6,
    spread: tuple[int, ...] = GOOD,
    synced: bool = True,
) -> Hour:
    """The hour so many hours after a Monday's midnight."""
    moment = MONDAY + dt.timedelta(hours=number)
    return Hour(
        start=moment.timestamp(),
        place=HourOfWeek.of(moment) if synced else None,
        seconds=SECONDS,
        amount=amount,
        empty=empty,
        brightness=brightness,
        sharpness=sharpness,
        spread=np.array(spread or SCORES.empty, np.int64),
    )


def usual_hours(weeks: int) -> Iterator[Hour]:
    """Weeks in which every day is the same: bright and busy by day, dark and quiet by night."""
    for number in range(weeks * 168):
        day = 6 <= number % 24 < 20
        yield an_hour(number, 400.0 if day else 40.0, brightness=110.0 if day else 50.0)
