"""Whether a model that took over is kept: on what it shows, never for want of complaints. Pure.

A model is not blamed for what was no better before it: each rule holds it against a snapshot of the box that was taken
just before it took over, and what gives no evidence counts neither way.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from agent.update.continuity import Past, Piece, difference
from contracts.health import Temperature
from contracts.messages import Quality
from contracts.update import UpdateCode
from contracts.update_config import ProbationConfig

LASTING = 3
"""Samples in a row that have to find the box hot, or short of memory: while models change both are in memory."""

NOISE_CELSIUS = 3.0
"""Degrees by which a box is hotter now and then without anything being different."""

_SURE = 3.09  # standard deviations of a normal distribution: one in a thousand beyond
_LEAST_ERRORS = 10  # before its time is over; a frame or two may fail while models change
_LEAST_CAME = 10  # frames of which none was counted
_NO_FRAMES_SECONDS = 60.0
_SLACK_FRAMES = 3.0  # that are under way, or came between two samples


@dataclass(frozen=True)
class CameraBefore:
    """A camera before the model took over.

    Args:
        fps: frames that were counted a second; 0 where none were, and then nothing is expected of it.
        errors: share of its frames that the model failed on, 0 to 1.
        past: what it counted.
    """

    fps: float
    errors: float = 0.0
    past: Past = field(default_factory=Past)


@dataclass(frozen=True)
class Before:
    """The box just before a model took over.

    Args:
        at: monotonic seconds at which it did; everything in `Evidence` is since then.
        cameras: those that the model counts.
        rss_mb: resident memory of the agent, MB of 10^6 bytes; None where it is not known.
        celsius: by sensor, the most that it read in the minutes before.
        connected: whether the box had a broker.
    """

    at: float
    cameras: Mapping[str, CameraBefore]
    rss_mb: float | None = None
    celsius: Mapping[str, float] = field(default_factory=dict)
    connected: bool = False


@dataclass(frozen=True)
class CameraEvidence:
    """A camera since the model took over; all but the quality only rise.

    Args:
        came: frames that could have been counted: those that came, and those shed, less those that showed nothing
            (black, frozen) and those above the camera's own rate.
        counted: of them.
        errors: of them, that the model failed on.
        quality: of its counts now.
        amount: what was counted in the windows that ended; None of a model that classifies.
    """

    came: int
    counted: int
    errors: int
    quality: Quality
    amount: Piece | None = None


@dataclass(frozen=True)
class Evidence:
    """One look at the box.

    Args:
        at: monotonic seconds.
        cameras: those that the model counts, by their ids.
        rss_mb: resident memory of the agent, MB of 10^6 bytes.
        temperatures: by sensor.
        acknowledged: messages that the broker acknowledged since the model took over.
    """

    at: float
    cameras: Mapping[str, CameraEvidence]
    rss_mb: float | None = None
    temperatures: Mapping[str, Temperature] = field(default_factory=dict)
    acknowledged: int = 0


@dataclass(frozen=True)
class Passed:
    """It is kept: ``committed``, or ``committed_offline`` where ``offline``; with what it showed."""

    text: str
    offline: bool

    @property
    def code(self) -> UpdateCode:
        """What it ends with."""
        return "committed_offline" if self.offline else "committed"


@dataclass(frozen=True)
class Failing:
    """It is taken back, and why."""

    code: UpdateCode
    reason: str


@dataclass(frozen=True)
class NotYet:
    """It has not shown enough.

    Args:
        text: what is missing.
        fraction: of what it has to show, 0 to 1.
        code: why it is taken back where it goes on like this for longer than the box's patience.
    """

    text: str
    fraction: float
    code: UpdateCode


Verdict = Passed | Failing | NotYet


@dataclass(frozen=True)
class _Case:
    """All that a rule looks at; ``shown`` are the cameras that gave frames before and are still there."""

    before: Before
    samples: Sequence[Evidence]
    config: ProbationConfig
    elapsed: float

    @property
    def latest(self) -> Evidence:
        return self.samples[-1]

    @property
    def is_over(self) -> bool:
        return self.elapsed >= self.config.seconds

    @property
    def shown(self) -> Iterator[tuple[str, CameraBefore, CameraEvidence]]:
        for name, before in self.before.cameras.items():
            if before.fps > 0 and name in self.latest.cameras:
                yield name, before, self.latest.cameras[name]

    def steps(self, name: str) -> Iterator[tuple[Evidence, float, CameraEvidence, CameraEvidence]]:
        """From look to look: the later one, seconds between, and the camera at both; from nothing at the beginning."""
        known = [one for one in self.samples if name in one.cameras]
        ends = [(self.before.at, CameraEvidence(0, 0, 0, "stale")), *((one.at, one.cameras[name]) for one in known)]
        for later, ((began, first), (ended, then)) in zip(known, itertools.pairwise(ends), strict=True):
            yield later, ended - began, first, then


def judge(before: Before, samples: Sequence[Evidence], config: ProbationConfig, now: float) -> Verdict:
    """Whether the model is kept, taken back, or has to show more.

    Args:
        before: the box as it was.
        samples: looks at it since, in their order, some seconds apart.
        config: what it has to show.
        now: monotonic seconds.
    """
    elapsed = max(0.0, now - before.at)
    if not samples:
        return NotYet("nothing was seen of it yet", 0.0, "no_frames")
    case = _Case(before, samples, config, elapsed)
    for rule in (*_AT_ANY_TIME, *(_AT_THE_END if case.is_over else ())):
        failing = rule(case)
        if failing is not None:
            return failing
    return _missing(case) or _passed(case)


def _errors(case: _Case) -> Failing | None:
    for name, before, seen in case.shown:
        asked = seen.counted + seen.errors
        allowed = max(case.config.max_errors, before.errors)
        if seen.errors >= (1 if case.is_over else _LEAST_ERRORS) and _at_least(seen.errors, asked) > allowed:
            return Failing(
                "errors",
                f"camera {name}: the model failed on {seen.errors} of {asked} frames, {allowed:.1%} are allowed; "
                "see the agent's log",
            )
    return None


def _at_least(hits: int, of: int) -> float:
    """What a share is at the least, for sure: Wilson's lower bound (Agresti and Coull 1998)."""
    share, square = hits / of, _SURE**2
    middle = share + square / (2 * of)
    reach = _SURE * math.sqrt(share * (1 - share) / of + square / (4 * of * of))
    return (middle - reach) / (1 + square / of)


def _no_frames(case: _Case) -> Failing | None:
    if case.elapsed < min(case.config.seconds, _NO_FRAMES_SECONDS):
        return None
    for name, before, seen in case.shown:
        if seen.came >= _LEAST_CAME and seen.counted + seen.errors == 0:
            return Failing(
                "no_frames",
                f"camera {name}: {seen.came} frames came in {case.elapsed:.0f} s and none was counted, before it were "
                f"{before.fps:.1f} a second; see the agent's log",
            )
    return None


def _memory(case: _Case) -> Failing | None:
    before, most = case.before.rss_mb, case.config.max_memory_mb
    lasting = [one.rss_mb for one in case.samples[-LASTING:] if one.rss_mb is not None]
    if before is None or len(lasting) < LASTING or min(lasting) - before <= most:
        return None
    return Failing(
        "memory",
        f"the agent takes {lasting[-1]:.0f} MB, {before:.0f} before it, at most {most:.0f} more are allowed; release a "
        "smaller model, or raise `max_memory_mb`",
    )


def _temperature(case: _Case) -> Failing | None:
    lasting = case.samples[-LASTING:]
    for name, before in case.before.celsius.items():
        reads = [one.temperatures[name] for one in lasting if name in one.temperatures]
        limits = [case.config.max_celsius or one.hot for one in reads]
        if len(reads) == LASTING and all(
            limit is not None and one.celsius > max(limit, before + NOISE_CELSIUS)
            for one, limit in zip(reads, limits, strict=True)
        ):
            return Failing(
                "temperature",
                f"{name} is at {reads[-1].celsius:.1f} degrees, {before:.1f} before it, at most {limits[-1]:.1f} are "
                "allowed; cool the box, or release a smaller model",
            )
    return None


def _fps(case: _Case) -> Failing | None:
    for name, before, seen in case.shown:
        # Of what came, as much as was counted before: a camera that gives less is not the model's fault.
        could = sum(
            min(before.fps * seconds, max(0, then.came - first.came)) for _, seconds, first, then in case.steps(name)
        )
        if seen.counted < case.config.min_fps_share * could - _SLACK_FRAMES:
            return Failing(
                "fps_low",
                f"camera {name}: {seen.counted} frames were counted where {could:.0f} were before it "
                f"({seen.counted / could:.0%}, at least {case.config.min_fps_share:.0%} are asked); release a smaller "
                "model",
            )
    return None


def _counts(case: _Case) -> Failing | None:
    for name, before, _ in case.shown:
        observed = [
            (later.at - case.before.at, piece)
            for later, _, first, then in case.steps(name)
            if (piece := _between(first, then)) is not None
        ]
        problem = difference(before.past, observed, case.config.max_difference) if observed else None
        if problem is not None:
            return Failing("counts_differ", f"camera {name} {problem}; look at its picture and at the model")
    return None


def _between(first: CameraEvidence, then: CameraEvidence) -> Piece | None:
    if then.amount is None:
        return None
    began = first.amount or Piece(0.0, 0.0)
    seconds = then.amount.seconds - began.seconds
    return Piece(then.amount.counted - began.counted, seconds) if seconds > 0 else None


_AT_ANY_TIME: Sequence[Callable[[_Case], Failing | None]] = (_errors, _no_frames, _memory, _temperature)
_AT_THE_END: Sequence[Callable[[_Case], Failing | None]] = (_fps, _counts)


def _missing(case: _Case) -> NotYet | None:
    """What it has not shown yet."""
    wanted, seconds = case.config.frames, case.config.seconds
    shown = {name: seen for name, _, seen in case.shown} or dict(case.latest.cameras)
    enough = [name for name, seen in shown.items() if seen.counted >= wanted]
    waits = {name: seen for name, seen in shown.items() if name not in enough and seen.quality in {"ok", "model_error"}}
    least = min((seen.counted for seen in waits.values()), default=wanted if enough else 0)
    done = min(case.elapsed / seconds, least / wanted, 1.0)
    if not enough and not waits:
        return NotYet("no camera gives frames that can be counted", done, "no_frames")
    if not enough or (waits and any(before.fps > 0 for before in case.before.cameras.values())):
        name = min(waits, key=lambda one: waits[one].counted)
        return NotYet(f"{waits[name].counted} of {wanted} frames of camera {name} were counted", done, "no_frames")
    if not case.is_over:
        return NotYet(f"{case.elapsed:.0f} of {seconds:.0f} s", done, "held_too_long")
    if not case.latest.acknowledged and (case.before.connected or not case.config.offline):
        return NotYet("the broker has acknowledged nothing since it took over", done, "no_broker")
    return None


def _passed(case: _Case) -> Passed:
    cameras = {name: seen for name, seen in case.latest.cameras.items() if seen.counted >= case.config.frames}
    frames = sum(seen.counted for seen in cameras.values())
    silent = sorted(case.latest.cameras.keys() - cameras.keys())
    text = f"{frames} frames of {', '.join(sorted(cameras))} were counted in {case.elapsed:.0f} s"
    if silent:
        text += f"; {', '.join(silent)} gave too few to tell"
    offline = case.latest.acknowledged == 0
    return Passed(f"{text}; kept without a broker, which the box had none of before" if offline else text, offline)
