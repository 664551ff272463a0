"""What a warning says: what is off, by how much, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agent.drift.baseline import WEEKS
from agent.drift.finding import Finding, Side
from agent.drift.hours import HourOfWeek
from contracts.health import Indicator

_LOOK = "look at the live picture"


def sentence(indicator: Indicator, finding: Finding, place: HourOfWeek | None) -> str:
    """The warning that a finding beyond its threshold gives.

    Args:
        indicator: what it is about.
        finding: with a ``side``, and so with value and change.
        place: of the hour in the week.
    """
    if finding.side is None:
        raise ValueError(f"{indicator} is within its threshold: there is nothing to warn of")
    return _SENTENCES[indicator, finding.side](finding, place)


def _shifted(finding: Finding, _place: HourOfWeek | None) -> str:
    return (
        f"the model's scores have shifted (index {finding.change:.2f}; mean {finding.value:.2f}, in the first week "
        f"{finding.usual:.2f}): {_LOOK} for a view, a kind of traffic or a season that the model does not know"
    )


def _blurred(finding: Finding, _place: HourOfWeek | None) -> str:
    return (
        f"the picture is blurred (sharpness {finding.value:.2f}, in the first week {finding.usual:.2f}): "
        "clean the lens, then check its focus"
    )


def _dark(finding: Finding, place: HourOfWeek | None) -> str:
    return (
        f"the picture is dark (brightness {finding.value:.0f}, {_at(place)} usually {finding.usual:.0f}): "
        "check the lighting, the lens and the exposure"
    )


def _bright(finding: Finding, place: HourOfWeek | None) -> str:
    return (
        f"the picture is bright (brightness {finding.value:.0f}, {_at(place)} usually {finding.usual:.0f}): "
        "check the exposure, and for a lamp or the sun in the view"
    )


def _fewer(finding: Finding, place: HourOfWeek | None) -> str:
    return f"{_counts(finding, place, 'below')}: {_LOOK}; has the camera moved, or is the road closed?"


def _more(finding: Finding, place: HourOfWeek | None) -> str:
    return f"{_counts(finding, place, 'above')}: {_LOOK}; has the camera moved, or is traffic diverted here?"


def _counts(finding: Finding, place: HourOfWeek | None, way: str) -> str:
    when = place.name if place is not None else "this hour"
    if finding.hours > 1:
        when = f"the {finding.hours} hours to {when}"
    return f"counts are {abs(finding.change or 0.0):.0%} {way} {when} of the last {WEEKS} weeks"


def _always_empty(finding: Finding, place: HourOfWeek | None) -> str:
    return (
        f"{finding.value:.0%} of the frames are empty, {_at(place)} usually {finding.usual:.0%}: "
        f"{_LOOK}; the model may not see what is there"
    )


def _never_empty(finding: Finding, place: HourOfWeek | None) -> str:
    return (
        f"{finding.value:.0%} of the frames are empty, {_at(place)} usually {finding.usual:.0%}: "
        f"{_LOOK} for something that stands still and is counted"
    )


def _at(place: HourOfWeek | None) -> str:
    return f"at {place.hour:02}:00" if place is not None else "at this hour"


_SENTENCES: Mapping[tuple[Indicator, Side], Callable[[Finding, HourOfWeek | None], str]] = {
    ("scores", "high"): _shifted,
    ("sharpness", "low"): _blurred,
    ("brightness", "low"): _dark,
    ("brightness", "high"): _bright,
    ("counts", "low"): _fewer,
    ("counts", "high"): _more,
    ("empty", "high"): _always_empty,
    ("empty", "low"): _never_empty,
}
