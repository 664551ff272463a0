"""What cameras counted, by five minutes: for charts and for comparing boxes. Bills are made of the reports."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, delete, select

from contracts.messages import CountReport
from fleet.store.database import Database
from fleet.store.tables import CAMERA_COUNT, CAMERA_COUNT_SEQ, DEVICE
from fleet.store.upsert import insert_into

BUCKET_MS = 300_000
KEPT_MS = 35 * 86_400_000  # the same hour of five weeks
MOST_CAMERAS = 64
"""Of a box; what further ones count is not kept here."""

_AHEAD_MS = 300_000  # that a box's clock may be ahead of ours


@dataclass(frozen=True)
class ArrivedReport:
    """A report, and when it came, in milliseconds since 1970."""

    report: CountReport
    at_ms: int


class _Bucket(NamedTuple):
    device: str
    camera: str
    start_ms: int


@dataclass
class _Sums:
    observed_seconds: float = 0.0
    level_seconds: float = 0.0
    crossings_in: int = 0
    crossings_out: int = 0

    def add(self, report: CountReport, seconds: float) -> None:
        observed = seconds * report.coverage
        self.observed_seconds += observed
        self.level_seconds += observed * report.count.mean if report.count is not None else 0.0
        self.crossings_in += sum(line.in_ for line in report.lines.values())
        self.crossings_out += sum(line.out for line in report.lines.values())


class CountLog:
    """The counts of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._cameras: dict[str, set[str]] = {}

    def add(self, reports: Sequence[ArrivedReport]) -> None:
        """Add what reports say; of one that comes again, or of a box that is not known, nothing is added.

        Raises:
            DatabaseError: it cannot be written; nothing was.
        """
        taken = [each for each in reports if self._has_room(each.report)]
        if not taken:
            return
        with self._database.writing() as connection:
            _add(connection, taken)

    def _has_room(self, report: CountReport) -> bool:
        """Whether a box may have that camera: one that invents names fills no disk."""
        cameras = self._cameras.setdefault(report.device, set())
        if len(cameras) < MOST_CAMERAS:
            cameras.add(report.camera)
        return report.camera in cameras

    def forget(self, now_ms: int) -> None:
        """Remove what is older than `KEPT_MS`.

        Raises:
            DatabaseError: it cannot be written.
        """
        with self._database.writing() as connection:
            connection.execute(delete(CAMERA_COUNT).where(CAMERA_COUNT.c.start_ms < now_ms - KEPT_MS))


def _add(connection: Connection, reports: Sequence[ArrivedReport]) -> None:
    ids = sorted({each.report.device for each in reports})
    rows = connection.execute(
        select(DEVICE.c.device).where(DEVICE.c.device.in_(ids)).order_by(DEVICE.c.device).with_for_update()
    )
    known = {row.device for row in rows}
    newest = {
        row.device: (row.store_id, row.seq)
        for row in connection.execute(select(CAMERA_COUNT_SEQ).where(CAMERA_COUNT_SEQ.c.device.in_(sorted(known))))
    }
    sums: dict[_Bucket, _Sums] = {}
    for each in reports:
        report = each.report
        store_id, seq = newest.get(report.device, ("", 0))
        if report.device not in known or (report.store_id == store_id and report.seq <= seq):
            continue
        newest[report.device] = (report.store_id, report.seq)
        start_ms, seconds = _window(each)
        bucket = _Bucket(report.device, report.camera, start_ms - start_ms % BUCKET_MS)
        sums.setdefault(bucket, _Sums()).add(report, seconds)
    _write(connection, sums, newest)


def _write(connection: Connection, sums: dict[_Bucket, _Sums], newest: dict[str, tuple[str, int]]) -> None:
    if not sums:
        return
    added = insert_into(connection, CAMERA_COUNT)
    names = _Sums.__dataclass_fields__
    more = {name: CAMERA_COUNT.c[name] + added.excluded[name] for name in names}
    keys = ["device", "camera", "start_ms"]
    rows = [{**bucket._asdict(), **vars(each)} for bucket, each in sorted(sums.items())]
    connection.execute(added.on_conflict_do_update(index_elements=keys, set_=more), rows)
    seen = insert_into(connection, CAMERA_COUNT_SEQ)
    now = {"store_id": seen.excluded.store_id, "seq": seen.excluded.seq}
    connection.execute(seen.on_conflict_do_update(index_elements=["device"], set_=now), list(_seqs(sums, newest)))


def _seqs(buckets: Iterable[_Bucket], newest: dict[str, tuple[str, int]]) -> Iterable[dict[str, object]]:
    for device in sorted({bucket.device for bucket in buckets}):
        store_id, seq = newest[device]
        yield {"device": device, "store_id": store_id, "seq": seq}


def _window(each: ArrivedReport) -> tuple[int, float]:
    """When its window began, and its length in seconds; by the time of its arrival where its own cannot be believed."""
    start, end = _ms(each.report.window.start), _ms(each.report.window.end)
    if start is None or end is None or not 0 < end - start <= BUCKET_MS * 12:
        return each.at_ms, 0.0
    believed = each.at_ms - KEPT_MS < start < each.at_ms + _AHEAD_MS
    return (start if believed else each.at_ms), (end - start) / 1000


def _ms(text: str) -> int | None:
    try:
        at = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))  # Python 3.10 knows no Z
    except ValueError:
        return None
    return None if at.tzinfo is None else int(at.timestamp() * 1000)
