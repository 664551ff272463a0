"""The other rules: each holds an hour against what is usual. Thresholds and what they rest on: docs/drift.md."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

import numpy as np

from agent.drift.baseline import FIRST_HOURS, Baseline, usual_shares, usual_sharpness
from agent.drift.counts import LEAST_WEEKS
from agent.drift.finding import Finding
from agent.drift.hours import Hour, HourOfWeek
from agent.drift.spread import Bins, Shares, Spread, stability_index

SHIFTED, SHIFT_SETTLED = 0.25, 0.15  # population stability index
LEAST_ANSWERS = 1000  # that are held against the first week's: fewer, of things that stand still, differ by chance
MOST_HOURS = 168  # over which they may be spread
BLURRED, BLUR_SETTLED = 0.7, 0.8  # of the usual sharpness
DARK, BRIGHT = 0.6, 1.6  # of the darkest and of the brightest of this hour and its neighbours
DARK_SETTLED, BRIGHT_SETTLED = 0.75, 1.35
LEAST_LEVELS = 12.0  # grey levels that a night must be off as well
LEAST_DAYS = 5  # with this hour of the day, before its brightness is expected
BUSY_LOW, BUSY_SETTLED = 0.3, 0.6  # of the usual share of frames with something in them
LEAST_BUSY = 0.15  # usual share, for its fall to mean something
NEVER_EMPTY, EMPTY_AGAIN = 0.02, 0.1  # share of empty frames
LEAST_EMPTY = 0.3  # usual share, for their absence to mean something


def judge_scores(hours: Iterable[Hour], baseline: Baseline, bins: Bins) -> Finding:
    """Hold what the model answered against hours of the first week that were as bright.

    Args:
        hours: the one to judge first, then those before it; as many are taken as it takes to tell.
        baseline: with the first week.
        bins: of what the model answers.
    """
    learning = _learning(baseline)
    if learning:
        return Finding(waiting=learning)
    now, usual = bins.empty, np.zeros(len(bins.centres))
    for number, hour in enumerate(hours, 1):
        shares = usual_shares(baseline.in_light(hour.brightness))
        if shares.any():  # else the first week had nothing in this light
            now, usual = now + hour.spread, usual + shares * hour.spread.sum()
        if now.sum() >= LEAST_ANSWERS:
            return _spread_finding(now, usual / usual.sum(), bins, number)
    return Finding(waiting=f"{now.sum()} of {LEAST_ANSWERS} answers of the model are known")


def _spread_finding(now: Spread, usual: Shares, bins: Bins, hours: int) -> Finding:
    index = stability_index(usual, now)
    return Finding(
        value=bins.mean(now),
        usual=bins.mean(usual),
        change=index,
        side="high" if index >= SHIFTED else None,
        settled=index <= SHIFT_SETTLED,
        hours=hours,
    )


def judge_sharpness(hour: Hour, baseline: Baseline) -> Finding:
    """Hold the picture's sharpness against hours of the first week that were as bright; sharper is no fault."""
    learning = _learning(baseline)
    if learning:
        return Finding(value=hour.sharpness, waiting=learning)
    usual = usual_sharpness(baseline.in_light(hour.brightness))
    ratio = hour.sharpness / usual if usual > 0 else 1.0
    return Finding(
        value=hour.sharpness,
        usual=usual,
        change=ratio - 1,
        side="low" if ratio <= BLURRED else None,
        settled=ratio >= BLUR_SETTLED,
    )


def judge_brightness(hour: Hour, place: HourOfWeek, baseline: Baseline) -> Finding:
    """Hold the brightness against this hour of the day in the last weeks.

    The hours beside it count too: dusk moves with the season, and with daylight saving.
    """
    days = {beside: baseline.brightness_at(place.hour + beside, place) for beside in (-1, 0, 1)}
    if len(days[0]) < LEAST_DAYS:
        waiting = f"{len(days[0])} of {LEAST_DAYS} days with {place.hour:02}:00 are known"
        return Finding(value=hour.brightness, waiting=waiting)
    levels = [median(levels) for levels in days.values() if len(levels) >= LEAST_DAYS]
    low, high, usual = min(levels), max(levels), median(days[0])
    off = min(abs(hour.brightness - low), abs(hour.brightness - high)) >= LEAST_LEVELS
    dark, bright = hour.brightness <= DARK * low, hour.brightness >= BRIGHT * high
    return Finding(
        value=hour.brightness,
        usual=usual,
        change=hour.brightness / usual - 1 if usual > 0 else 0.0,
        side="low" if off and dark else "high" if off and bright else None,
        settled=DARK_SETTLED * low <= hour.brightness <= BRIGHT_SETTLED * high,
    )


def judge_empty(hour: Hour, place: HourOfWeek, baseline: Baseline) -> Finding:
    """Hold the share of empty frames against the same hour of the weeks before."""
    past = [before.empty for before in baseline.same_hours(place)]
    if len(past) < LEAST_WEEKS:
        waiting = f"{place.name}: {len(past)} of {LEAST_WEEKS} weeks are known"
        return Finding(value=hour.empty, waiting=waiting)
    usual = median(past)
    busy, usually_busy = 1 - hour.empty, 1 - usual
    always_empty = usually_busy >= LEAST_BUSY and busy <= BUSY_LOW * usually_busy
    never_empty = usual >= LEAST_EMPTY and hour.empty <= NEVER_EMPTY
    return Finding(
        value=hour.empty,
        usual=usual,
        change=hour.empty - usual,
        side="high" if always_empty else "low" if never_empty else None,
        settled=busy >= BUSY_SETTLED * usually_busy and (usual < LEAST_EMPTY or hour.empty >= EMPTY_AGAIN),
    )


def _learning(baseline: Baseline) -> str | None:
    """What is missing of the first week."""
    known = len(baseline.first)
    return f"{known} of {FIRST_HOURS} hours of the first week are learned" if known < FIRST_HOURS else None
