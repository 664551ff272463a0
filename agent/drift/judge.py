"""One camera's hours, judged one after the other against its past, and learned from."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from agent.counting.clock import utc_text
from agent.drift.baseline import Baseline, FirstHour, PastHour
from agent.drift.counts import UsualHours, judge_counts, usual_amount, usual_hours
from agent.drift.finding import Finding, Latch
from agent.drift.hours import Hour, HourOfWeek
from agent.drift.rules import MOST_HOURS, judge_brightness, judge_empty, judge_scores, judge_sharpness
from agent.drift.spread import Bins
from agent.drift.words import sentence
from contracts.health import DRIFT_INDICATORS, CameraDrift, DriftIndicator, Indicator

_NO_CLOCK = "the clock is not known to be right"
_NO_HOUR = "no hour is over yet"


@dataclass(frozen=True)
class Learned:
    """What an hour adds to the past; to be kept.

    Args:
        number: of the hour in the first week, where it is one of it.
        first: the hour as one of the first week.
        past: the hour as one of the last weeks.
    """

    number: int
    first: FirstHour | None
    past: PastHour | None


class Judge:
    """Knows no clock, no camera and no disk; for one caller at a time.

    Args:
        baseline: the camera's past, which grows by each hour.
        bins: of what its model answers.
        crossings: whether crossings are counted, or things in the picture.
    """

    def __init__(self, baseline: Baseline, bins: Bins, *, crossings: bool) -> None:
        self._baseline = baseline
        self._bins = bins
        self._crossings = crossings
        self._hour: Hour | None = None
        self._recent: deque[Hour] = deque(maxlen=MOST_HOURS)
        self._latches = {indicator: Latch() for indicator in DRIFT_INDICATORS}
        self._findings = dict.fromkeys(DRIFT_INDICATORS, Finding(waiting=_NO_HOUR))
        self._warnings: dict[Indicator, str] = {}

    def miss(self, waiting: str) -> None:
        """An hour of which too little was seen: nothing is learned, nothing is judged, warnings stay."""
        self._hour = None
        self._findings = dict.fromkeys(DRIFT_INDICATORS, Finding(waiting=waiting))

    def take(self, hour: Hour) -> Learned:
        """Judge an hour, then learn from it."""
        self._hour, place = hour, hour.place
        self._recent.appendleft(hour)
        self._findings = self._judged(hour)
        for indicator, finding in self._findings.items():
            self._latch(indicator, finding)
        past = None if place is None else self._past(hour, place)
        if past is not None:
            self._baseline.keep(past)
        first = self._baseline.learn(hour)
        return Learned(len(self._baseline.first), first, past)

    def report(self, brightness: float | None = None, sharpness: float | None = None) -> CameraDrift:
        """How things are.

        Args:
            brightness: of the last window, where there was one.
            sharpness: the same.
        """
        hour = self._hour
        return CameraDrift(
            since=self._baseline.since,
            hour=None if hour is None else utc_text(hour.start),
            scores=self._told("scores"),
            counts=self._told("counts"),
            brightness=self._told("brightness"),
            sharpness=self._told("sharpness"),
            empty=self._told("empty"),
            warnings=tuple(self._warnings.values()),
            scores_histogram=() if hour is None else tuple(map(int, hour.spread)),
            brightness_now=_rounded(brightness),
            sharpness_now=_rounded(sharpness),
        )

    def usual(self, places: Iterable[HourOfWeek], left: float) -> UsualHours | None:
        """What the past says of these hours; see `agent.drift.counts.usual_hours`."""
        return usual_hours(self._baseline, places, left, crossings=self._crossings)

    def _judged(self, hour: Hour) -> dict[Indicator, Finding]:
        baseline, place = self._baseline, hour.place
        findings: dict[Indicator, Finding] = {
            "scores": judge_scores(self._recent, baseline, self._bins),
            "sharpness": judge_sharpness(hour, baseline),
        }
        if place is None:
            return findings | {
                "counts": Finding(value=hour.amount, waiting=_NO_CLOCK),
                "brightness": Finding(value=hour.brightness, waiting=_NO_CLOCK),
                "empty": Finding(value=hour.empty, waiting=_NO_CLOCK),
            }
        return findings | {
            "counts": judge_counts(hour, place, baseline, crossings=self._crossings),
            "brightness": judge_brightness(hour, place, baseline),
            "empty": judge_empty(hour, place, baseline),
        }

    def _latch(self, indicator: Indicator, finding: Finding) -> None:
        latch = self._latches[indicator]
        latch.take(finding)
        if latch.side is None:
            self._warnings.pop(indicator, None)
        elif latch.side == finding.side:  # its latest figures
            self._warnings[indicator] = sentence(indicator, finding, self._hour.place if self._hour else None)

    def _past(self, hour: Hour, place: HourOfWeek) -> PastHour:
        usual = usual_amount(self._baseline, place)
        return PastHour(place, hour.amount, hour.seconds, hour.empty, hour.brightness, usual)

    def _told(self, indicator: Indicator) -> DriftIndicator:
        finding = self._findings[indicator]
        return DriftIndicator(
            value=_rounded(finding.value),
            usual=_rounded(finding.usual),
            change=_rounded(finding.change),
            warn=self._latches[indicator].side is not None,
            waiting=finding.waiting,
        )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
