"""What a camera counted, as a chart: lines in user units, for a template to draw; no data is a gap, never 0."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from fleet.store.counts import CameraCount

WIDTH, HEIGHT = 720, 180  # user units of the plot, without its margins
_TICKS = 4


@dataclass(frozen=True)
class Tick:
    """A mark at an axis: where, in user units, and what it says."""

    at: float
    text: str


@dataclass(frozen=True)
class Chart:
    """A camera's mean level over time.

    Args:
        camera: its id.
        lines: a path for each stretch without a gap.
        levels: ticks of the upright axis, from the bottom.
        times: of the other.
        counts: what is drawn, for the table beside.
    """

    camera: str
    lines: tuple[str, ...]
    levels: tuple[Tick, ...]
    times: tuple[Tick, ...]
    counts: tuple[CameraCount, ...]

    @property
    def observed(self) -> float:
        """Seconds that were observed."""
        return sum(count.observed_seconds for count in self.counts)

    @property
    def crossings(self) -> tuple[int, int]:
        """In and out."""
        return sum(one.crossings_in for one in self.counts), sum(one.crossings_out for one in self.counts)


def chart(camera: str, counts: Sequence[CameraCount], start_ms: int, end_ms: int, step_ms: int) -> Chart:
    """Draw the counts of one camera, which come by time; times in milliseconds since 1970."""
    drawn = [(count.start_ms, level) for count in counts if (level := count.level) is not None]
    top = _round_up(max((level for _, level in drawn), default=1.0))
    span = max(1, end_ms - start_ms)

    def place(point: tuple[int, float]) -> str:
        at, level = point
        x = min(max((at + step_ms / 2 - start_ms) / span, 0.0), 1.0) * WIDTH
        return f"{x:.1f} {HEIGHT * (1 - level / top):.1f}"

    lines = tuple(
        "M" + "L".join(map(place, stretch)) + ("h0.1" if len(stretch) == 1 else "")
        for stretch in _stretches(drawn, step_ms)
    )
    levels = tuple(Tick(HEIGHT * (1 - n / _TICKS), f"{top * n / _TICKS:g}") for n in range(_TICKS + 1))
    times = tuple(Tick(WIDTH * n / _TICKS, _clock(start_ms + span * n // _TICKS, span)) for n in range(_TICKS + 1))
    return Chart(camera, lines, levels, times, tuple(counts))


def _stretches(drawn: Sequence[tuple[int, float]], step_ms: int) -> list[list[tuple[int, float]]]:
    stretches: list[list[tuple[int, float]]] = []
    for point in drawn:
        if stretches and point[0] - stretches[-1][-1][0] <= step_ms:
            stretches[-1].append(point)
        else:
            stretches.append([point])
    return stretches


def _round_up(level: float) -> float:
    """The least of 1, 2, 4 and 10 times a power of ten that is not below."""
    if not 0 < level < math.inf:
        return 1.0
    power = 10.0 ** math.floor(math.log10(level))
    return next((n * power for n in (1, 2, 4) if n * power >= level), 10 * power)


def _clock(ms: int, span_ms: int) -> str:
    at = datetime.fromtimestamp(ms / 1000, timezone.utc)
    return f"{at:%H:%M}" if span_ms <= 86_400_000 else f"{at:%d %b %H:%M}"  # noqa: PLR2004 - a day
