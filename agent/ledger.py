"""The ledger: windows become numbered reports and rising totals, committed together or not at all."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agent.counting.lines import Direction
from agent.counting.totals import LineTotals, Tally, definition_digest, in_all
from agent.counting.window import WindowCounts
from agent.store import Counter, LineDefinition, ReportDraft, Store
from contracts.config import CameraConfig
from contracts.errors import StorageError
from contracts.messages import CountReport, Crossings
from contracts.topics import Channel, Topic

_log = logging.getLogger(__name__)

MOST_WAITING = 1000  # windows that are held in memory while the disk refuses them


@dataclass(frozen=True)
class Origin:
    """Who counted.

    Args:
        device: the box.
        boot_id: of this start of the agent.
        artifact_digest: what counted.
    """

    device: str
    boot_id: str
    artifact_digest: str


class Ledger:
    """Commits windows to the store; used by one thread.

    While the disk refuses, windows wait in memory, and the totals published stay those that are on disk.

    Args:
        store: where they go.
        origin: what every report says of who counted.
        cameras: whose lines have counters.
        synced: whether the wall clock can be believed.

    Raises:
        StorageError: the counters cannot be opened.
    """

    def __init__(
        self, store: Store, origin: Origin, cameras: Sequence[CameraConfig], synced: Callable[[], bool | None]
    ) -> None:
        self._store = store
        self._origin = origin
        self._synced = synced
        lines = [
            LineDefinition(camera.id, line.name, definition_digest(camera.id, line))
            for camera in cameras
            for line in camera.line
        ]
        self._totals = {key: _totals(counter) for key, counter in store.counters(lines).items()}
        self._waiting: deque[WindowCounts] = deque()
        self._lost = 0

    @property
    def totals(self) -> Mapping[tuple[str, str], LineTotals]:
        """Committed totals by camera and line."""
        return self._totals

    def commit(self, windows: Sequence[WindowCounts]) -> bool:
        """Commit these windows and those that still wait, in one transaction.

        Returns:
            Whether the disk took them.
        """
        held = len(self._waiting)
        self._waiting.extend(windows)
        while len(self._waiting) > MOST_WAITING:
            self._waiting.popleft()
            self._lost += 1
            held -= 1
        totals = dict(self._totals)
        # Those that the disk refused before are late, whenever they are sent.
        drafts = [self._draft(window, totals, late=n < held) for n, window in enumerate(self._waiting)]
        try:
            self._store.commit(drafts, {total.counter_id: total.by_label for total in totals.values()})
        except StorageError as error:
            _log.error("%s; %d windows wait in memory, %d were lost", error, len(self._waiting), self._lost)
            return False
        self._totals = totals
        self._waiting.clear()
        return True

    def _draft(self, window: WindowCounts, totals: dict[tuple[str, str], LineTotals], *, late: bool) -> ReportDraft:
        lines = {name: self._cross(window, name, crossed, totals) for name, crossed in window.lines.items()}
        report = CountReport(
            store_id="",
            seq=0,
            boot_id=self._origin.boot_id,
            device=self._origin.device,
            camera=window.camera,
            window=window.window,
            clock_synced=self._synced(),
            late=late,
            frames_seen=window.frames_seen,
            frames_dropped=dict(window.frames_dropped),
            coverage=window.coverage,
            quality=window.quality,
            artifact_digest=self._origin.artifact_digest,
            count=window.count,
            zones=dict(window.zones),
            lines=lines,
        )
        return ReportDraft(Topic(self._origin.device, Channel.CAMERA_COUNTS, window.camera), report)

    @staticmethod
    def _cross(window: WindowCounts, name: str, crossed: Tally, totals: dict[tuple[str, str], LineTotals]) -> Crossings:
        key = (window.camera, name)
        total = totals[key] = totals[key].add(crossed)
        return Crossings(
            counter_id=total.counter_id,
            since=total.since,
            in_=in_all(crossed, "in"),
            out=in_all(crossed, "out"),
            by_label=_plain(crossed),
            total_in=total.total_in,
            total_out=total.total_out,
            total_by_label=_plain(total.by_label),
        )


def _totals(counter: Counter) -> LineTotals:
    return LineTotals(counter.counter_id, counter.since, counter.totals)


def _plain(counted: Tally) -> dict[str, dict[Direction, int]]:
    return {label: dict(ways) for label, ways in counted.items()}
