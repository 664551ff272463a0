"""The ledger: windows become numbered reports and rising totals, committed together or not at all."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from agent.counting.clock import utc_text
from agent.counting.lines import Direction
from agent.counting.state_sums import StateSums
from agent.counting.states import Question
from agent.counting.totals import LineTotals, Tally, added, definition_digest, in_all, state_key, states_digest
from agent.counting.window import QualityChange, TimedCrossing, TimedStateChange, WindowCounts
from agent.limited_log import LimitedLog
from agent.store import Counter, LineDefinition, ReportDraft, Store
from contracts.config import CameraConfig
from contracts.errors import StorageError
from contracts.messages import CountReport, CrossingEvent, Crossings, QualityEvent, StateCounts, StateEvent
from contracts.topics import Channel, Topic

_Event = TimedCrossing | QualityChange | TimedStateChange

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


Cameras = tuple[CameraConfig, ...]
"""Whose lines have counters from here on, among the windows that wait."""


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
        questions: what a camera's model answers, where it classifies; their states have counters too.

    Raises:
        StorageError: the counters cannot be opened.
    """

    def __init__(
        self,
        store: Store,
        origin: Origin,
        cameras: Sequence[CameraConfig],
        synced: Callable[[], bool | None],
        questions: Callable[[CameraConfig], Sequence[Question]] = lambda _: (),
    ) -> None:
        self._store = store
        self._origin = origin
        self._synced = synced
        self._questions = questions
        self._totals: dict[tuple[str, str], LineTotals] = {}
        self._with_events: frozenset[str] = frozenset()
        self._waiting: deque[WindowCounts | _Lost | Cameras] = deque()
        self._refusals = LimitedLog(_log, seconds=60.0)  # a disk may be full for weeks
        self.windows_lost = 0
        self._define(tuple(cameras))

    @property
    def totals(self) -> Mapping[tuple[str, str], LineTotals]:
        """Committed totals by camera and line, or `state_key` of a question."""
        return self._totals

    @property
    def windows_held(self) -> int:
        """Windows that wait in memory while the disk refuses them."""
        return _windows(tuple(self._waiting))

    def commit(self, windows: Sequence[WindowCounts], cameras: Sequence[CameraConfig] | None = None) -> bool:
        """Commit these windows and those that still wait, in one transaction for each set of cameras.

        Args:
            windows: of the cameras as they were defined last.
            cameras: whose lines have counters from then on; None where they stay.

        Returns:
            Whether the disk took the windows.
        """
        held = self.windows_held
        self._waiting.extend(windows)
        if cameras is not None:
            self._waiting.append(tuple(cameras))
        late = max(0, held - self._lose_oldest())
        taken = False
        try:
            while self._waiting:
                run = _leading(self._waiting)
                # Those that the disk refused before are late, whenever they are sent.
                self._commit_run(run, late)
                taken, late = True, max(0, late - _windows(run))
                if self._waiting:
                    self._define_next()
        except StorageError as error:
            said = "%s; %d windows wait in memory, %d were lost"
            self._refusals.error(said, error, self.windows_held, self.windows_lost)
            return taken
        if held:
            _log.warning("the disk writes again; %d windows that waited are committed", held)
        return taken

    def _commit_run(self, run: Sequence[WindowCounts | _Lost], late: int) -> None:
        totals, numbers = dict(self._totals), 0
        windows = [one for one in run if isinstance(one, WindowCounts)]
        for lost in (one for one in run if isinstance(one, _Lost)):
            totals, numbers = lost.added_to(totals), numbers + lost.numbers
        drafts = [draft for n, window in enumerate(windows) for draft in self._drafts(window, totals, late=n < late)]
        by_counter = {total.counter_id: total.by_label for total in totals.values()}
        self._store.commit(drafts, by_counter, lost=numbers)
        self._totals = totals
        for _ in run:
            self._waiting.popleft()

    def _define_next(self) -> None:
        cameras = self._waiting[0]
        assert isinstance(cameras, tuple), "the windows before it are committed"
        self._define(cameras)
        self._waiting.popleft()

    def _define(self, cameras: Cameras) -> None:
        """Open the counters of these cameras' lines, and close all others."""
        counted = [one for camera in cameras for one in _definitions(camera, self._questions(camera))]
        self._totals = {key: _totals(counter) for key, counter in self._store.counters(counted).items()}
        self._with_events = _telling(cameras)

    def _lose_oldest(self) -> int:
        """Give up the windows that are too many; returns how many."""
        too_many = max(0, self.windows_held - MOST_WAITING)
        for _ in range(too_many):
            self._lose_one()
        self.windows_lost += too_many
        return too_many

    def _lose_one(self) -> None:
        """Give up the oldest window; what it would have been stays in its place, among the definitions around it."""
        told = self._with_events
        place = 0
        while not isinstance(window := self._waiting[place], WindowCounts):
            told = _telling(window) if isinstance(window, tuple) else told
            place += 1
        before = self._waiting[place - 1] if place else None
        if isinstance(before, _Lost):
            del self._waiting[place]
        else:
            before = self._waiting[place] = _Lost()
        before.add(window, told=window.camera in told)

    def _drafts(
        self, window: WindowCounts, totals: dict[tuple[str, str], LineTotals], *, late: bool
    ) -> Iterator[ReportDraft]:
        """What is published of a window: its events, where they are wanted, then its report."""
        if window.camera in self._with_events:
            topic = Topic(self._origin.device, Channel.CAMERA_EVENTS, window.camera)
            events: list[_Event] = [*window.crossings, *window.state_changes, *window.changes]
            for one in sorted(events, key=lambda event: event.at):
                yield ReportDraft(topic, self._event(window.camera, one, totals, late=late))
        yield self._draft(window, totals, late=late)

    def _event(
        self,
        camera: str,
        one: _Event,
        totals: Mapping[tuple[str, str], LineTotals],
        *,
        late: bool,
    ) -> CrossingEvent | QualityEvent | StateEvent:
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
        if isinstance(one, TimedStateChange):
            change = one.change
            counter_id = totals[camera, state_key(change.question)].counter_id
            said = {"question": change.question, "before": change.before, "state": change.state}
            return StateEvent.model_validate({**common, **said, "entry": change.is_entry, "counter_id": counter_id})
        crossing = one.crossing
        counter_id = totals[camera, crossing.line].counter_id
        what = {"line": crossing.line, "direction": crossing.direction, "label": crossing.label}
        return CrossingEvent.model_validate({**common, **what, "counter_id": counter_id, "track": crossing.track_id})

    def _draft(self, window: WindowCounts, totals: dict[tuple[str, str], LineTotals], *, late: bool) -> ReportDraft:
        for name, crossed in window.tallies.items():
            totals[window.camera, name] = totals[window.camera, name].add(crossed)
        total = {name: totals[window.camera, name] for name in window.tallies}
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
            lines={name: _crossings(crossed, total[name]) for name, crossed in window.lines.items()},
            states={name: _states(sums, total[state_key(name)]) for name, sums in window.states.items()},
            scale=window.scale,
        )
        return ReportDraft(Topic(self._origin.device, Channel.CAMERA_COUNTS, window.camera), report)


@dataclass
class _Lost:
    """What the windows that were given up would have been.

    Args:
        numbers: reports and events.
        crossed: their crossings by camera and line; they are counted, though nobody will hear when they were.
    """

    numbers: int = 0
    crossed: dict[tuple[str, str], Tally] = field(default_factory=dict)

    def add(self, window: WindowCounts, *, told: bool) -> None:
        """Take a window in.

        Args:
            window: that is given up.
            told: whether its events would have been published.
        """
        self.numbers += 1 + (window.events if told else 0)
        for name, crossed in window.tallies.items():
            key = (window.camera, name)
            self.crossed[key] = added(self.crossed.get(key, {}), crossed)

    def added_to(self, totals: Mapping[tuple[str, str], LineTotals]) -> dict[tuple[str, str], LineTotals]:
        """The totals with these crossings."""
        return {key: total.add(self.crossed.get(key, {})) for key, total in totals.items()}


def _leading(waiting: Iterable[WindowCounts | _Lost | Cameras]) -> list[WindowCounts | _Lost]:
    """What waits before the next set of cameras."""
    run: list[WindowCounts | _Lost] = []
    for one in waiting:
        if isinstance(one, tuple):
            break
        run.append(one)
    return run


def _windows(waiting: Iterable[object]) -> int:
    return sum(isinstance(one, WindowCounts) for one in waiting)


def _telling(cameras: Cameras) -> frozenset[str]:
    """Those whose events are published."""
    return frozenset(camera.id for camera in cameras if camera.events)


def _definitions(camera: CameraConfig, questions: Sequence[Question]) -> Iterator[LineDefinition]:
    """All of a camera that has a counter."""
    for line in camera.line:
        yield LineDefinition(camera.id, line.name, definition_digest(camera.id, line))
    for question in questions:
        yield LineDefinition(camera.id, state_key(question.name), states_digest(camera.id, question, camera.states))


def _crossings(crossed: Tally, total: LineTotals) -> Crossings:
    """What a report says of a line."""
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


def _states(sums: StateSums, total: LineTotals) -> StateCounts:
    """What a report says of a question's states."""
    return StateCounts(
        counter_id=total.counter_id,
        since=total.since,
        last=sums.last,
        seconds=None if sums.last is None else dict(sums.kept()),
        entries=dict(sums.entries),
        total_entries=total.entries,
    )


def _totals(counter: Counter) -> LineTotals:
    return LineTotals(counter.counter_id, counter.since, counter.totals)


def _plain(counted: Tally) -> dict[str, dict[Direction, int]]:
    return {label: dict(ways) for label, ways in counted.items()}
