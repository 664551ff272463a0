"""Whether a camera goes on counting about as much as it did, and when a difference is no chance. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.counting.totals import in_all
from agent.counting.window import WindowCounts
from agent.drift.counts import UsualHours
from agent.drift.hours import SECONDS
from agent.update.series import Series

SIGMAS = 4.0
"""By which counts have to be off: what is looked at again and again is off by three now and then."""

NEXT_TO = 0.2
"""By how much, as a share, traffic may change from a few minutes to the next without anything being wrong. Chosen, not
measured: with `SIGMAS` only what loses nearly everything is found without the camera's own weeks."""

LEAST_PIECES = 6
LONGEST_AFTER = 3600.0  # seconds that the minutes before say something for: then it is another time of the day
LEAST_SECONDS = 60.0  # that were observed before, for them to be held against


@dataclass(frozen=True)
class Piece:
    """What was counted over some time.

    Args:
        counted: crossings, or where there are no lines things in the picture times seconds.
        seconds: that were observed.
    """

    counted: float
    seconds: float


@dataclass(frozen=True)
class Past:
    """What a camera counted before.

    Args:
        pieces: its last windows, in their order; those without counts left out.
        usual: what its own weeks say of the hours to come; None where they are not known.
        crossings: whether crossings are counted, or things in the picture.
    """

    pieces: tuple[Piece, ...] = ()
    usual: UsualHours | None = None
    crossings: bool = False


@dataclass(frozen=True)
class Expectation:
    """What should have been counted.

    Args:
        amount: as `Piece.counted`.
        noise: variance that chance gives it, over the amount; 1 for a Poisson process of crossings.
        spread: share by which it may be another amount without anything being wrong.
        of: what says so, in words.
    """

    amount: float
    noise: float
    spread: float
    of: str

    def sigmas(self, counted: float) -> float:
        """How far off that is, by what is left to chance of the larger of the two; below 0 where it is fewer."""
        most = max(counted, self.amount)
        return (counted - self.amount) / math.sqrt(self.noise * most + (self.spread * most) ** 2) if most > 0 else 0.0


def piece_of(counts: WindowCounts, window_seconds: float, *, crossings: bool) -> Piece | None:
    """What a window adds; None where its counts cannot be believed, or there are none.

    Args:
        counts: of the window.
        window_seconds: how long it was.
        crossings: whether the camera has lines, and so crossings are what is counted.
    """
    seconds = counts.coverage * window_seconds
    if counts.quality != "ok" or counts.count is None or seconds <= 0 or not math.isfinite(counts.count.mean):
        return None
    if crossings:
        return Piece(float(sum(in_all(line, way) for line in counts.lines.values() for way in ("in", "out"))), seconds)
    return Piece(counts.count.mean * seconds, seconds)


def expectation(past: Past, observed: Iterable[tuple[float, float]]) -> Expectation | None:
    """What should have been counted since; by the camera's own weeks, else by the minutes before.

    Args:
        past: what is known of it.
        observed: for each piece of time since: how many seconds after the end of the past it ended, and how many
            seconds of it were observed.

    Returns:
        None where neither says enough.
    """
    parts = list(observed)
    is_near = bool(parts) and parts[-1][0] <= LONGEST_AFTER
    minutes = _by_minutes(past, sum(seconds for _, seconds in parts)) if is_near else None
    return _by_weeks(past.usual, parts) or minutes


def _by_weeks(usual: UsualHours | None, observed: Sequence[tuple[float, float]]) -> Expectation | None:
    if usual is None:
        return None
    unit = SECONDS if usual.crossings else 1.0  # an hour's crossings, or a level
    amount = 0.0
    for ended, seconds in observed:
        hour = max(0, math.ceil((ended - usual.left) / SECONDS))
        level = usual.amounts[hour] if hour < len(usual.amounts) else None
        if level is None:
            return None
        amount += level * seconds / unit
    noise = usual.scatter.hourly * (1.0 if usual.crossings else SECONDS)
    return Expectation(amount, noise, usual.scatter.daily, "this hour of the weeks before")


def _by_minutes(past: Past, seconds: float) -> Expectation | None:
    known = sum(piece.seconds for piece in past.pieces)
    if len(past.pieces) < LEAST_PIECES or known < LEAST_SECONDS:
        return None
    rate = sum(piece.counted for piece in past.pieces) / known
    noise = (_noise_of_crossings if past.crossings else _noise_of_levels)(past.pieces)
    of = f"the {known / 60:.0f} minutes before"
    return Expectation(rate * seconds, noise * (1 + seconds / known), NEXT_TO, of)


def _noise_of_crossings(pieces: Sequence[Piece]) -> float:
    """Of crossings, each of which is one event: at least a Poisson process's; more where they come in platoons."""
    series = Series()
    for piece in pieces:
        series.add(piece.counted)
    return max(1.0, series.variance / series.mean * series.stretch) if series.mean > 0 else 1.0


def _noise_of_levels(pieces: Sequence[Piece]) -> float:
    """Of things times seconds: a thing is there for a while, and is one thing however many pictures it is in.

    Where things come by chance and stay for about s seconds, the variance of their seconds is s times the amount.
    """
    series = Series()
    for piece in pieces:
        series.add(piece.counted / piece.seconds)
    stay = series.stretch * sum(piece.seconds for piece in pieces) / len(pieces)
    return stay * max(1.0, series.variance / series.mean if series.mean > 0 else 1.0)


def difference(past: Past, observed: Sequence[tuple[float, Piece]], most: float) -> str | None:
    """How far off a camera's counts are, where that is too far and no chance; None where it is not.

    Half as much is as far off as twice as much.

    Args:
        past: what it counted before.
        observed: what it counted since: seconds after the end of the past, and the piece that ended then.
        most: share of what was expected that may be missing, above 0 to 1.
    """
    expected = expectation(past, ((ended, piece.seconds) for ended, piece in observed))
    if expected is None or expected.amount <= 0:
        return None
    counted = sum(piece.counted for _, piece in observed)
    seconds = sum(piece.seconds for _, piece in observed)
    least = expected.amount * (1 - most)
    too_many = most < 1 and counted > expected.amount / (1 - most)
    if not (counted < least or too_many) or abs(expected.sigmas(counted)) < SIGMAS:
        return None
    unit, what = (1.0, "crossings") if past.crossings else (seconds, "things in the picture at once")
    return (
        f"counted {counted / unit:.4g} {what} in {seconds:.0f} s, by {expected.of} about {expected.amount / unit:.4g} "
        f"were expected ({counted / expected.amount - 1:+.0%}, {abs(expected.sigmas(counted)):.1f} standard deviations)"
    )
