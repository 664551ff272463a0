"""What cameras counted, by five minutes.

Where a camera was not observed there is no row, or one with few observed seconds: no data is never 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sqlalchemy import select

from fleet.store.database import Database
from fleet.store.tables import CAMERA_COUNT


@dataclass(frozen=True)
class CameraCount:
    """What a camera counted in some time.

    Args:
        camera: its id.
        start_ms: when the time began, milliseconds since 1970.
        observed_seconds: how much of it was observed.
        level_seconds: the mean level times the observed seconds.
        crossings_in: of all lines of the camera.
        crossings_out: likewise.
    """

    camera: str
    start_ms: int
    observed_seconds: float
    level_seconds: float
    crossings_in: int
    crossings_out: int

    @property
    def level(self) -> float | None:
        """The mean level; None where nothing was observed."""
        return self.level_seconds / self.observed_seconds if self.observed_seconds > 0 else None


class CountStore:
    """The counts of a database, read.

    Args:
        database: that holds them.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, device: str, start_ms: int, end_ms: int, camera: str | None = None) -> list[CameraCount]:
        """What a box counted, by camera and then by time.

        Args:
            device: the box.
            start_ms: from when on, milliseconds since 1970.
            end_ms: until before when.
            camera: only of this one.

        Raises:
            DatabaseError: it cannot be read.
        """
        table = CAMERA_COUNT.c
        query = select(CAMERA_COUNT).where(table.device == device, table.start_ms >= start_ms, table.start_ms < end_ms)
        if camera is not None:
            query = query.where(table.camera == camera)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(table.camera, table.start_ms)).all()
        return [CameraCount(*row[1:]) for row in rows]


def merged(counts: Iterable[CameraCount], step_ms: int) -> list[CameraCount]:
    """The same counts by longer times.

    Args:
        counts: by camera and then by time.
        step_ms: a multiple of `BUCKET_MS`; times begin at multiples of it since 1970.
    """
    sums: dict[tuple[str, int], CameraCount] = {}
    for one in counts:
        key = (one.camera, one.start_ms - one.start_ms % step_ms)
        sums[key] = _sum(sums.get(key, CameraCount(*key, 0.0, 0.0, 0, 0)), one)
    return list(sums.values())


def _sum(first: CameraCount, second: CameraCount) -> CameraCount:
    return replace(
        first,
        observed_seconds=first.observed_seconds + second.observed_seconds,
        level_seconds=first.level_seconds + second.level_seconds,
        crossings_in=first.crossings_in + second.crossings_in,
        crossings_out=first.crossings_out + second.crossings_out,
    )
