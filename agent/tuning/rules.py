"""What is better than what: figures of two settings, measured in turn, and when their difference is no noise. Pure.

Nothing is compared but within one round, in which both ran one after the other, beside the same counting.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from agent.tuning.setting import Setting
from contracts.config import CameraConfig, Goal, RuntimeConfig
from contracts.documents import MachineModel

MARGIN = 1.05
"""What takes over has to be so many times as good, with `CONFIDENCE`."""

CONFIDENCE = 0.99
ROUNDS_TO_LOOK = 3
ROUNDS_TO_DECIDE = 12  # of which the second least is the bound

_HEADROOM = 1.5  # times the cameras' rate: decoding the cameras takes its share of the processor too


@dataclass(frozen=True)
class Aim:
    """What a setting is to be best at.

    Args:
        goal: ``throughput``, ``latency``, or ``frugal``: the least CPU time among those that keep up.
        need: frames a second of all cameras; None where they do not say.
    """

    goal: Goal | Literal["frugal"]
    need: float | None

    def kept_up_with(self, fps: float) -> bool:
        """Whether so many frames a second are enough; where the cameras do not say, nothing is known to be."""
        return self.need is not None and fps >= self.need * _HEADROOM


class Figures(MachineModel):
    """One short measurement of a setting.

    Attributes:
        fps: frames a second of all lanes, as if the box did nothing else (`runtime.cpu_share`).
        latency_ms: of a frame while the other lanes rest, likewise.
        cpu_ms: CPU time of the process a frame.
    """

    fps: float = Field(gt=0, allow_inf_nan=False)
    latency_ms: float = Field(gt=0, allow_inf_nan=False)
    cpu_ms: float = Field(gt=0, allow_inf_nan=False)


class Round(MachineModel):
    """Two settings, one right after the other."""

    base: Figures
    other: Figures


class Record(MachineModel):
    """What a setting was measured to give, medians over ``n`` rounds beside the one that served."""

    setting: Setting
    figures: Figures
    base: Figures
    gain: float
    n: int = Field(ge=1)


def aim_of(wanted: RuntimeConfig, cameras: Sequence[CameraConfig]) -> Aim:
    """What the configuration of a model and its cameras asks for.

    Where it names no goal and every camera says how many frames it is counted at, more of them would be worth nothing:
    then it is the least CPU, for heat, power and whatever else the box does. Else it is the most frames.
    """
    rates = [camera.fps or camera.capture_fps for camera in cameras]
    known = [rate for rate in rates if rate is not None]
    need = sum(known) if known and len(known) == len(rates) else None
    return Aim(wanted.goal or ("throughput" if need is None else "frugal"), need)


def gains(rounds: Sequence[Round], aim: Aim) -> list[float]:
    """How many times as good the other one was, round by round; 0 where it must not take over.

    What would not keep up where the one that serves does is never better, whatever else it is. Where neither does, the
    one with more frames is.
    """
    base, other = medians([one.base for one in rounds]), medians([one.other for one in rounds])
    keeps, would_keep = aim.kept_up_with(base.fps), aim.kept_up_with(other.fps)
    if keeps and not would_keep:
        return [0.0 for _ in rounds]
    if aim.goal == "throughput" or (aim.need is not None and not (keeps and would_keep)):
        return [one.other.fps / one.base.fps for one in rounds]
    if aim.goal == "latency":
        return [one.base.latency_ms / one.other.latency_ms for one in rounds]
    return [one.base.cpu_ms / one.other.cpu_ms for one in rounds]


def lower_bound(values: Sequence[float], confidence: float = CONFIDENCE) -> float:
    """What the median of what they were drawn from exceeds with that confidence; -inf where they are too few.

    The k-th smallest of n, by the binomial distribution of how many lie below the median: no matter how they are
    distributed (David and Nagaraja, Order Statistics, 7.1).
    """
    number, below, smallest = len(values), 0.0, -1
    while smallest + 1 < number:
        below += math.comb(number, smallest + 1) / 2**number
        if below > 1 - confidence:
            break
        smallest += 1
    return -math.inf if smallest < 0 else sorted(values)[smallest]


def is_better(found: Sequence[float]) -> bool:
    """Whether gains are such that the other one takes over."""
    return lower_bound(found) >= MARGIN


def record_of(setting: Setting, rounds: Sequence[Round], aim: Aim) -> Record:
    """What rounds say of a setting."""
    return Record(
        setting=setting,
        figures=medians([one.other for one in rounds]),
        base=medians([one.base for one in rounds]),
        gain=statistics.median(gains(rounds, aim)),
        n=len(rounds),
    )


def challengers(records: Mapping[Setting, Record], most: int = 3) -> list[Setting]:
    """Those that look better than what serves, best first."""
    hopeful = [record for record in records.values() if record.gain >= MARGIN]
    return [record.setting for record in sorted(hopeful, key=lambda record: -record.gain)[:most]]


def medians(figures: Sequence[Figures]) -> Figures:
    """Of each figure by itself."""
    return Figures(
        fps=statistics.median(one.fps for one in figures),
        latency_ms=statistics.median(one.latency_ms for one in figures),
        cpu_ms=statistics.median(one.cpu_ms for one in figures),
    )


def told(aim: Aim, other: Figures, base: Figures) -> str:
    """``71 fps against 48``: the figures that the aim looks at."""
    if aim.goal == "latency":
        return f"{other.latency_ms:.1f} ms a frame against {base.latency_ms:.1f}"
    if aim.goal == "throughput":
        return f"{other.fps:.0f} fps against {base.fps:.0f}"
    return f"{other.cpu_ms:.1f} ms of CPU a frame against {base.cpu_ms:.1f}, {other.fps:.0f} fps against {base.fps:.0f}"
