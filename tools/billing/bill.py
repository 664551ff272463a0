"""The bill: what was counted per device, camera, line and label, how much of the time was seen, and what is missing."""

from __future__ import annotations

import datetime as dt
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from contracts.messages import CountReport, CrossingEvent, Crossings, StateCounts, StateEvent
from tools.billing.intake import Intake, seconds

Direction = Literal["in", "out"]
Span = tuple[float, float]
"""From and until, in seconds since 1970."""

_DIRECTIONS: tuple[Direction, Direction] = ("in", "out")
_STATES = "state:"  # before a question's name


@dataclass
class Item:
    """One line of the bill: a label's crossings of a line, in one direction; or entries into a state.

    Args:
        device: the box.
        camera: its camera.
        line: the camera's line; ``state:`` and the question for states, which no line can be called.
        label: what crossed, or the state.
        direction: which way; a state is entered.
        counted: the sum of the windows that came.
        recovered: crossings of windows that did not come, known from the totals before and after; when is not known.
        events: crossing events that came; 0 where the camera publishes none.
    """

    device: str
    camera: str
    line: str
    label: str
    direction: Direction
    counted: int = 0
    recovered: int = 0
    events: int = 0


@dataclass
class CameraTime:
    """How much of the bill's time a camera was seen.

    Args:
        device: the box.
        camera: its camera.
        seconds: of the bill.
        covered: seconds of them in which fresh frames were counted.
        share: ``covered`` over ``seconds``, 0 to 1.
        windows: reports that came.
        late: of them those that came late.
        unsynced: of them those whose box did not believe its clock; their borders may be wrong.
        blind: windows in which no frame was counted, by quality.
        missing: spans of which no report came, as ISO 8601.
    """

    device: str
    camera: str
    seconds: float
    covered: float
    share: float
    windows: int
    late: int
    unsynced: int
    blind: dict[str, int]
    missing: list[tuple[str, str]]


@dataclass
class StoreGaps:
    """The numbers of one store.

    Args:
        device: the box.
        store_id: its store.
        first: lowest number that came.
        last: highest number that came.
        missing: runs of numbers between them that did not come, first and last of each.
    """

    device: str
    store_id: str
    first: int
    last: int
    missing: list[tuple[int, int]]

    @property
    def count(self) -> int:
        """How many are missing."""
        return sum(last - first + 1 for first, last in self.missing)


@dataclass
class Bill:
    """What can be billed, and what is known to be missing.

    Args:
        start: from here on, ISO 8601; a window belongs to the time in which it starts.
        end: until here.
        items: what crossed.
        cameras: how much of the time was seen.
        stores: which numbers are missing, over all that came.
        repeated: deliveries that were left out, as they had come before.
        refused: messages that could not be taken.
        problems: what must not be: nobody should bill before it is explained.
    """

    start: str | None
    end: str | None
    items: list[Item] = field(default_factory=list)
    cameras: list[CameraTime] = field(default_factory=list)
    stores: list[StoreGaps] = field(default_factory=list)
    repeated: int = 0
    refused: int = 0
    problems: list[str] = field(default_factory=list)

    def document(self) -> dict[str, object]:
        """As plain data."""
        return asdict(self)


def make_bill(intake: Intake, start: float | None = None, end: float | None = None) -> Bill:
    """Add up all that came.

    Args:
        intake: what came.
        start: bill windows that start here or later (seconds since 1970); None from the first.
        end: and earlier than here; None until the end of the last.
    """
    reports = list(intake.of(CountReport))
    bill = Bill(None, None, stores=_stores(intake), repeated=intake.repeated, refused=intake.refused)
    bill.problems += [f"number {seq} of store {store} came with two contents" for store, seq in intake.conflicts]
    whole = _period(reports, start, end)
    if whole is None:
        return bill
    bill.start, bill.end = _text(whole[0]), _text(whole[1])
    items = _Items(whole)
    gaps = {store.store_id: store.missing for store in bill.stores}
    for counter, entries in _by_counter(reports).items():
        bill.problems += _problems_within(counter, entries)
        for before, after in zip([None, *entries], entries, strict=False):
            items.add(counter, after, "counted", _tally(after.crossed.by_label))
            jump = _jump(before, after)
            if not any(jump.values()):
                continue
            if min(jump.values()) < 0:
                bill.problems.append(f"{counter} report {after.seq}: a total fell")
            elif before is None:
                if seconds(after.crossed.since) >= whole[0]:  # else they are of before the bill
                    items.add(counter, after, "recovered", jump)
            elif not any(before.seq < last and first < after.seq for first, last in gaps[after.store_id]):
                bill.problems.append(f"{counter} report {after.seq}: the totals rose by more than the windows say")
            else:
                items.add(counter, after, "recovered", jump)
    items.add_events(intake.of(CrossingEvent))
    items.add_entries(intake.of(StateEvent))
    bill.items = items.sorted()
    bill.cameras = _cameras(
        [report for report in reports if whole[0] <= seconds(report.window.start) < whole[1]], whole
    )
    return bill


@dataclass(frozen=True)
class _Counter:
    """A counter, which is one line's, or one question's, for as long as that does not change."""

    device: str
    camera: str
    line: str
    counter_id: str

    @property
    def directions(self) -> Sequence[Direction]:
        """What it counts: states are only entered."""
        return ("in",) if self.line.startswith(_STATES) else _DIRECTIONS

    def __str__(self) -> str:
        return f"{self.device}/{self.camera}/{self.line}, counter {self.counter_id},"


@dataclass(frozen=True)
class _Entry:
    """What one report says of one counter."""

    store_id: str
    seq: int
    start: float
    crossed: Crossings


class _Items:
    """Crossings added up.

    Args:
        whole: the time that is billed.
    """

    def __init__(self, whole: Span) -> None:
        self._whole = whole
        self._items: dict[tuple[str, str, str, str, Direction], Item] = {}

    def sorted(self) -> list[Item]:
        """All items; a line that nothing crossed has two without a label."""
        return [self._items[key] for key in sorted(self._items)]

    def add(self, counter: _Counter, entry: _Entry, what: Literal["counted", "recovered"], crossed: _Tally) -> None:
        """Add what one report tells, where its window is billed."""
        if not self._whole[0] <= entry.start < self._whole[1]:
            return
        of_line = (counter.device, counter.camera, counter.line)
        for (label, direction), number in crossed.items():
            if direction not in counter.directions:
                continue
            item = self._item(*of_line, label, direction)
            setattr(item, what, getattr(item, what) + number)
        if not any(key[:3] == of_line for key in self._items):
            for direction in counter.directions:
                self._item(*of_line, "", direction)

    def add_events(self, events: Iterable[CrossingEvent]) -> None:
        """Count the events beside the windows."""
        for event in events:
            if self._whole[0] <= seconds(event.at) < self._whole[1]:
                self._item(event.device, event.camera, event.line, event.label, event.direction).events += 1

    def add_entries(self, events: Iterable[StateEvent]) -> None:
        """The same of states: changes that count as entries."""
        for event in events:
            if event.entry and self._whole[0] <= seconds(event.at) < self._whole[1]:
                self._item(event.device, event.camera, f"{_STATES}{event.question}", event.state, "in").events += 1

    def _item(self, device: str, camera: str, line: str, label: str, direction: Direction) -> Item:
        if label:
            for way in _DIRECTIONS:
                self._items.pop((device, camera, line, "", way), None)
        key = (device, camera, line, label, direction)
        return self._items.setdefault(key, Item(*key))


_Tally = Counter[tuple[str, Direction]]


def _tally(by_label: Mapping[str, Mapping[Direction, int]]) -> _Tally:
    return Counter({(label, way): ways.get(way, 0) for label, ways in by_label.items() for way in _DIRECTIONS})


def _jump(before: _Entry | None, after: _Entry) -> _Tally:
    """What the totals rose by since a report, or since the counter began, beyond what the window says."""
    old = _tally(before.crossed.total_by_label if before else {})
    new, within = _tally(after.crossed.total_by_label), _tally(after.crossed.by_label)
    return Counter({key: new[key] - old[key] - within[key] for key in {*old, *new, *within}})


def _problems_within(counter: _Counter, entries: Iterable[_Entry]) -> Iterator[str]:
    """Reports whose labels do not add up to what they say in all."""
    for entry in entries:
        crossed = entry.crossed
        for by_label, ins, outs in (
            (crossed.by_label, crossed.in_, crossed.out),
            (crossed.total_by_label, crossed.total_in, crossed.total_out),
        ):
            if [sum(ways.get(way, 0) for ways in by_label.values()) for way in _DIRECTIONS] != [ins, outs]:
                yield f"{counter} report {entry.seq}: its labels do not add up"


def _by_counter(reports: Iterable[CountReport]) -> dict[_Counter, list[_Entry]]:
    """What is said of each counter, in the order of the numbers."""
    found: dict[_Counter, list[_Entry]] = {}
    for report in reports:
        states = {f"{_STATES}{name}": _as_crossings(states) for name, states in report.states.items()}
        for name, crossed in {**report.lines, **states}.items():
            counter = _Counter(report.device, report.camera, name, crossed.counter_id)
            entry = _Entry(report.store_id, report.seq, seconds(report.window.start), crossed)
            found.setdefault(counter, []).append(entry)
    return found


def _as_crossings(states: StateCounts) -> Crossings:
    """Entries into states as crossings one way, which add up likewise."""
    return Crossings(
        counter_id=states.counter_id,
        since=states.since,
        in_=sum(states.entries.values()),
        out=0,
        by_label={state: {"in": number} for state, number in states.entries.items()},
        total_in=sum(states.total_entries.values()),
        total_out=0,
        total_by_label={state: {"in": number} for state, number in states.total_entries.items()},
    )


def _cameras(reports: Iterable[CountReport], whole: Span) -> list[CameraTime]:
    by_camera: dict[tuple[str, str], list[CountReport]] = {}
    for report in reports:
        by_camera.setdefault((report.device, report.camera), []).append(report)
    return [_camera_time(key, by_camera[key], whole) for key in sorted(by_camera)]


def _camera_time(key: tuple[str, str], reports: Sequence[CountReport], whole: Span) -> CameraTime:
    shares: dict[Span, float] = {}
    for report in reports:  # a window that a restart cut in two is reported twice, each time with its own part
        span = (seconds(report.window.start), seconds(report.window.end))
        shares[span] = min(1.0, shares.get(span, 0.0) + report.coverage)
    covered = sum(share * (end - start) for (start, end), share in shares.items())
    length = whole[1] - whole[0]
    return CameraTime(
        *key,
        seconds=round(length, 3),
        covered=round(covered, 3),
        share=round(min(1.0, covered / length), 4),
        windows=len(reports),
        late=sum(report.late for report in reports),
        unsynced=sum(report.clock_synced is False for report in reports),
        blind=dict(Counter(report.quality for report in reports if not report.frames_seen)),
        missing=[(_text(start), _text(end)) for start, end in _uncovered(sorted(shares), whole)],
    )


def _uncovered(spans: Iterable[Span], whole: Span) -> Iterator[Span]:
    """What is left of the whole without the spans, which come in order."""
    at = whole[0]
    for start, end in spans:
        if start > at:
            yield at, start
        at = max(at, end)
    if at < whole[1]:
        yield at, whole[1]


def _stores(intake: Intake) -> list[StoreGaps]:
    numbers: dict[tuple[str, str], list[int]] = {}
    for (store_id, seq), message in sorted(intake.messages.items()):
        numbers.setdefault((message.device, store_id), []).append(seq)
    return [
        StoreGaps(
            device,
            store_id,
            seqs[0],
            seqs[-1],
            [(one + 1, other - 1) for one, other in itertools.pairwise(seqs) if other > one + 1],
        )
        for (device, store_id), seqs in sorted(numbers.items())
    ]


def _period(reports: Sequence[CountReport], start: float | None, end: float | None) -> Span | None:
    if not reports and None in {start, end}:
        return None
    first = min(seconds(report.window.start) for report in reports) if start is None else start
    last = max(seconds(report.window.end) for report in reports) if end is None else end
    return (first, last) if last > first else None


def _text(seconds: float) -> str:
    moment = dt.datetime.fromtimestamp(seconds, dt.timezone.utc)
    precision = "milliseconds" if moment.microsecond else "seconds"
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")
