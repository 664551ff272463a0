"""What a consumer got of a measured time: its reports, off the broker."""

from __future__ import annotations

import datetime as dt
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

from typing_extensions import Self

from contracts.messages import CountReport
from tools.capacity_bench.job import Carried
from tools.capacity_bench.ours import DEVICE, WINDOW
from tools.demo.watch import Watcher

_PATIENCE = 10.0  # seconds that the last reports get to arrive


@dataclass(frozen=True)
class Delivered:
    """Reports of the windows that lie within the measured time.

    Args:
        expected: how many there should be, of all cameras.
        arrived: how many came, each once.
        coverage: mean over them, 0 to 1; None where none came.
        quality: how many of each quality.
    """

    expected: int
    arrived: int
    coverage: float | None
    quality: dict[str, int]


class Consumer:
    """Takes the reports of one measurement off the broker.

    Args:
        port: of the broker, on loopback.
    """

    def __init__(self, port: int) -> None:
        self._watcher = Watcher("127.0.0.1", port, DEVICE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._watcher.close()

    def delivered(self, carried: Carried, cameras: int) -> Delivered:
        """What came of a measurement that is over; waits a moment for what is on its way."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            reports = self._watcher.read(lambda seen: list(seen.reports.values()))
            delivered = delivered_of(reports, carried.began, carried.ended, cameras)
            if delivered.arrived >= delivered.expected or time.monotonic() > deadline:
                return delivered
            time.sleep(0.1)


def delivered_of(reports: Sequence[CountReport], began: float, ended: float, cameras: int) -> Delivered:
    """The reports of whole windows between two moments.

    Args:
        reports: each once.
        began: seconds since 1970.
        ended: the same.
        cameras: how many reported.
    """
    within = [one for one in reports if began <= _seconds(one.window.start) and _seconds(one.window.end) <= ended]
    qualities = [one.quality for one in within]
    windows = max(0, math.floor(ended / WINDOW) - math.ceil(began / WINDOW))
    return Delivered(
        expected=windows * cameras,
        arrived=len(within),
        coverage=round(sum(one.coverage for one in within) / len(within), 4) if within else None,
        quality={quality: qualities.count(quality) for quality in sorted(set(qualities))},
    )


def _seconds(text: str) -> float:
    return dt.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
