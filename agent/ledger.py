"""The ledger: windows become numbered reports and rising totals, committed together or not at all."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from agent.counting.clock import utc_text
from agent.counting.lines import Direction
from agent.counting.totals import LineTotals, Tally, added, definition_digest, in_all
from agent.counting.window import QualityChange, TimedCrossing, WindowCounts
from agent.limited_log import LimitedLog
from agent.store import Counter, LineDefinition, ReportDraft, Store
from contracts.config import CameraConfig
from contracts.errors import StorageError
from contracts.messages import CountReport, CrossingEvent, Crossings, QualityEvent
from contracts.topics import Channel, Topic

_log = logging.getLogger(__name__)

MOST_WAITING = 1000  # windows that are held in memory while the disk refuses them


@dataclass(frozen=True)
class Origin:
    """Who counted.

    Args:
        device: the box.
        boot_id: of this start of the agent.
    """

    device: str
    boot_id: str


class Ledger:
    """Commits windows to the store; used by one thread.

    While the disk refuses, windows wait in memory, and the totals published stay those that are on disk. Of too many
    the oldest are lost: their crossings stay in the totals, and each report and event that they would have been is a
    number left out.

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
        self._with_events = {camera.id for camera in cameras if camera.events}
        self._waiting: deque[WindowCounts] = deque()
        self._lost = _Lost()
        self._refusals = LimitedLog(_log, seconds=60.0)  # a disk may be full for weeks
        self.windows_lost = 0

    @property
    def totals(self) -> Mapping[tuple[str, str], LineTotals]:
        """Committed totals by camera and line."""
        return self._totals

    @property
    def windows_held(self) -> int:
        """Windows that wait in memory while the disk refuses them."""
        return len(self._waiting)

    def commit(self, windows: Sequence[WindowCounts]) -> bool:
        """Commit these windows and those that still wait, in one transaction.

        Returns:
            Whether the disk took them.
        """
        held = len(self._waiting)
        self._waiting.extend(windows)
        while len(self._waiting) > MOST_WAITING:
            self._lose(self._waiting.popleft())
            held -= 1
        totals = self._lost.added_to(self._totals)
        # Those that the disk refused before are late, whenever they are sent.
        drafts = [
            draft for n, window in enumerate(self._waiting) for draft in self._drafts(window, totals, late=n < held)
        ]
        try:
            by_counter = {total.counter_id: total.by_label for total in totals.values()}
            self._store.commit(drafts, by_counter, lost=self._lost.numbers)
        except StorageError as error:
            said = "%s; %d windows wait in memory, %d were lost"
            self._refusals.error(said, error, len(self._waiting), self.windows_lost)
            return False
        if held:
            _log.warning("the disk writes again; %d windows that waited are committed", held)
        self._totals, self._lost = totals, _Lost()
        self._waiting.clear()
        return True

    def _lose(self, window: WindowCounts) -> None:
        self.windows_lost += 1
        self._lost.numbers += 1
        if window.camera in self._with_events:
            self._lost.numbers += len(window.crossings) + len(window.changes)
        for name, crossed in window.lines.items():
            key = (window.camera, name)
            self._lost.crossed[key] = added(self._lost.crossed.get(key, {}), crossed)

    def _drafts(
        self, window: WindowCounts, totals: dict[tuple[str, str], LineTotals], *, late: bool
    ) -> Iterator[ReportDraft]:
        """What is published of a window: its events, where they are wanted, then its report."""
        if window.camera in self._with_events:
            topic = Topic(self._origin.device, Channel.CAMERA_EVENTS, window.camera)
            events: list[TimedCrossing | QualityChange] = [*window.crossings, *window.changes]
            for one in sorted(events, key=lambda event: event.at):
                yield ReportDraft(topic, self._event(window.camera, one, totals, late=late))
        yield self._draft(window, totals, late=late)

    def _event(
        self,
        camera: str,
        one: TimedCrossing | QualityChange,
        totals: Mapping[tuple[str, str], LineTotals],
        *,
        late: bool,
    ) -> CrossingEvent | QualityEvent:
        common = {
            "store_id": "",
            "seq": 0,
            "boot_id": self._origin.boot_id,
            "device": self._origin.device,
            "camera": camera,
            "at": utc_text(one.at),
            "clock_synced": self._synced(),
            "late": late,
        }
        if isinstance(one, QualityChange):
            return QualityEvent.model_validate({**common, "before": one.before, "quality": one.quality})
        crossing = one.crossing
        counter_id = totals[camera, crossing.line].counter_id
        what = {"line": crossing.line, "direction": crossing.direction, "label": crossing.label}
        return CrossingEvent.model_validate({**common, **what, "counter_id": counter_id, "track": crossing.track_id})

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
            artifact_digest=window.artifacts[-1] if window.artifacts else None,
            earlier_digests=window.artifacts[:-1],
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


@dataclass
class _Lost:
    """What the windows that were given up would have been.

    Args:
        numbers: reports and events.
        crossed: their crossings by camera and line; they are counted, though nobody will hear when they were.
    """

    numbers: int = 0
    crossed: dict[tuple[str, str], Tally] = field(default_factory=dict)

    def added_to(self, totals: Mapping[tuple[str, str], LineTotals]) -> dict[tuple[str, str], LineTotals]:
        """The totals with these crossings."""
        return {key: total.add(self.crossed.get(key, {})) for key, total in totals.items()}


def _totals(counter: Counter) -> LineTotals:
    return LineTotals(counter.counter_id, counter.since, counter.totals)


def _plain(counted: Tally) -> dict[str, dict[Direction, int]]:
    return {label: dict(ways) for label, ways in counted.items()}
