"""Windows become reports and totals together; while the disk refuses, nothing is published and nothing is lost."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from agent.counting.lines import Crossing
from agent.counting.state_sums import StateSums
from agent.counting.states import Question, StateChange
from agent.counting.window import QualityChange, TimedCrossing, TimedStateChange, WindowCounts
from agent.ledger import Ledger, Origin
from agent.store import ReportDraft, Store, Totals
from contracts.config import CameraConfig, LineConfig
from contracts.errors import StorageError
from contracts.messages import CountReport, CrossingEvent, Level, QualityEvent, StateEvent, Window

ORIGIN = Origin("box", "boot")


def a_camera(y: float = 0.5) -> CameraConfig:
    return CameraConfig(id="gate", source="x", line=(LineConfig(name="mid", start=(0, y), end=(1, y)),))


def a_window(number: int, *, into: int = 0, out: int = 0, frames: int = 10) -> WindowCounts:
    crossed: Mapping[str, Mapping[str, int]] = {"car": {"in": into, "out": out}} if into or out else {}
    return WindowCounts(
        camera="gate",
        window=Window(start=f"{number}", end=f"{number + 1}"),
        frames_seen=frames,
        frames_dropped={},
        coverage=1.0 if frames else 0.0,
        quality="ok" if frames else "no_camera",
        count=Level(last=1, mean=1, min=1, max=1) if frames else None,
        zones={},
        lines={"mid": crossed},  # type: ignore[dict-item]
    )


class FullDisk:
    """A store whose disk can be full."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_full = False

    def counters(self, lines: object) -> object:
        return self._store.counters(lines)  # type: ignore[arg-type]

    def commit(self, drafts: Sequence[ReportDraft], totals: Mapping[str, Totals], *, lost: int = 0) -> list[int]:
        if self.is_full:
            raise StorageError("state", OSError(28, "No space left on device"))
        return self._store.commit(drafts, totals, lost=lost)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path, max_reports=100)
    yield opened
    opened.close()


def sent(store: Store) -> list[CountReport]:
    return [CountReport.model_validate_json(row.payload) for row in store.waiting(0, 100)]


def a_ledger(store: object, camera: CameraConfig | None = None) -> Ledger:
    return Ledger(store, ORIGIN, [camera or a_camera()], lambda: True)  # type: ignore[arg-type]


def test_totals_rise_by_the_windows_and_are_those_that_were_committed(store: Store) -> None:
    ledger = a_ledger(store)
    assert ledger.commit([a_window(1, into=2)])
    assert ledger.commit([a_window(2, into=1, out=4)])
    lines = [report.lines["mid"] for report in sent(store)]
    assert [(line.in_, line.out, line.total_in, line.total_out) for line in lines] == [(2, 0, 2, 0), (1, 4, 3, 4)]
    assert ledger.totals["gate", "mid"].total_in == 3
    assert [report.seq for report in sent(store)] == [1, 2]


def test_a_report_names_what_counted_it(store: Store) -> None:
    windows = [replace(a_window(number), artifacts=digests) for number, digests in enumerate([(), ("a",), ("a", "b")])]
    a_ledger(store).commit(windows)
    named = [(report.earlier_digests, report.artifact_digest) for report in sent(store)]
    assert named == [((), None), ((), "a"), (("a",), "b")]


def test_totals_go_on_after_a_restart_of_the_same_line_and_anew_for_another(store: Store) -> None:
    first = a_ledger(store)
    first.commit([a_window(1, into=2)])
    again = a_ledger(store)
    assert again.totals["gate", "mid"].total_in == 2
    moved = a_ledger(store, a_camera(0.6))
    assert moved.totals["gate", "mid"].total_in == 0
    assert moved.totals["gate", "mid"].counter_id != first.totals["gate", "mid"].counter_id


def test_while_the_disk_is_full_totals_stand_still_and_every_window_comes_later(store: Store) -> None:
    disk = FullDisk(store)
    ledger = a_ledger(disk)
    disk.is_full = True
    assert not ledger.commit([a_window(1, into=1)])
    assert not ledger.commit([a_window(2, into=1)])
    assert ledger.totals["gate", "mid"].total_in == 0
    disk.is_full = False
    assert ledger.commit([a_window(3, into=1)])
    came = [(report.window.start, report.lines["mid"].total_in, report.late) for report in sent(store)]
    assert came == [("1", 1, True), ("2", 2, True), ("3", 3, False)]


def test_a_window_without_a_frame_reports_no_count_and_its_reason(store: Store) -> None:
    a_ledger(store).commit([a_window(1, frames=0)])
    (report,) = sent(store)
    assert report.count is None
    assert (report.quality, report.coverage, report.lines["mid"].in_) == ("no_camera", 0.0, 0)


def test_windows_that_had_to_be_given_up_are_left_out_numbers_and_their_crossings_stay_in_the_totals(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.ledger.MOST_WAITING", 3)
    disk = FullDisk(store)
    ledger = a_ledger(disk)
    assert ledger.commit([a_window(0, into=1)])
    disk.is_full = True
    for number in range(1, 6):
        ledger.commit([a_window(number, into=10)])
    assert (ledger.windows_held, ledger.windows_lost) == (3, 2)
    disk.is_full = False
    assert ledger.commit([a_window(6, into=100)])
    came = [(report.seq, report.window.start, report.lines["mid"].total_in, report.late) for report in sent(store)]
    # Three are held: 3 had to go for 6.
    assert came == [(1, "0", 1, False), (5, "4", 41, True), (6, "5", 51, True), (7, "6", 151, False)]
    assert (ledger.windows_held, ledger.windows_lost, store.status().dropped) == (0, 3, 3)
    assert ledger.commit([a_window(7)])
    assert (sent(store)[-1].seq, store.status().dropped) == (8, 3)


def with_events(number: int) -> WindowCounts:
    crossing = Crossing("mid", "in", "car", 7, 3.0)
    return dataclasses.replace(
        a_window(number, into=1),
        crossings=(TimedCrossing(crossing, 1_767_268_803.25),),
        changes=(QualityChange("no_camera", "ok", 1_767_268_801.0),),
    )


def test_events_are_numbered_with_the_reports_and_come_before_the_one_that_sums_them_up(store: Store) -> None:
    camera = a_camera().model_copy(update={"events": True})
    a_ledger(store, camera).commit([with_events(0)])
    change, crossing, report = store.waiting(0, 10)
    assert [row.topic.rsplit("/", 1)[1] for row in (change, crossing, report)] == ["events", "events", "counts"]
    event = CrossingEvent.model_validate_json(crossing.payload)
    assert (event.seq, event.at, event.line, event.direction) == (2, "2026-01-01T12:00:03.250Z", "mid", "in")
    assert (event.label, event.track, event.boot_id, event.late) == ("car", 7, "boot", False)
    assert event.counter_id == CountReport.model_validate_json(report.payload).lines["mid"].counter_id
    told = QualityEvent.model_validate_json(change.payload)
    assert (told.seq, told.before, told.quality) == (1, "no_camera", "ok")


def test_events_are_not_published_unless_they_are_wanted(store: Store) -> None:
    a_ledger(store).commit([with_events(0)])
    assert [row.topic.rsplit("/", 1)[1] for row in store.waiting(0, 10)] == ["counts"]


def test_lost_windows_leave_out_the_numbers_of_their_events_too(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.ledger.MOST_WAITING", 1)
    disk = FullDisk(store)
    ledger = a_ledger(disk, a_camera().model_copy(update={"events": True}))
    disk.is_full = True
    ledger.commit([with_events(0)])
    disk.is_full = False
    ledger.commit([a_window(1)])
    (report,) = sent(store)
    assert (report.seq, report.lines["mid"].total_in, store.status().dropped) == (4, 1, 3)


def test_a_line_that_is_moved_while_the_agent_runs_begins_a_new_counter_after_the_windows_before(store: Store) -> None:
    ledger = a_ledger(store)
    before = ledger.totals["gate", "mid"].counter_id
    assert ledger.commit([a_window(1, into=2)], [a_camera(0.6)])
    assert ledger.commit([a_window(2, into=1)])
    lines = [report.lines["mid"] for report in sent(store)]
    assert [(line.counter_id == before, line.total_in) for line in lines] == [(True, 2), (False, 1)]


def test_a_camera_that_goes_closes_its_counters_and_one_that_stays_keeps_them(store: Store) -> None:
    ledger = a_ledger(store)
    before = ledger.totals["gate", "mid"]
    yard = a_camera().model_copy(update={"id": "yard"})
    ledger.commit([a_window(1, into=2)], [a_camera(), yard])
    assert set(ledger.totals) == {("gate", "mid"), ("yard", "mid")}
    assert ledger.totals["gate", "mid"].counter_id == before.counter_id
    ledger.commit([], [yard])
    assert set(ledger.totals) == {("yard", "mid")}
    ledger.commit([], [a_camera(), yard])
    assert ledger.totals["gate", "mid"].total_in == 0
    assert ledger.totals["gate", "mid"].counter_id != before.counter_id


def test_a_line_that_is_moved_while_the_disk_is_full_waits_behind_the_windows_of_before(store: Store) -> None:
    disk = FullDisk(store)
    ledger = a_ledger(disk)
    disk.is_full = True
    assert not ledger.commit([a_window(1, into=1)], [a_camera(0.6)])
    assert not ledger.commit([a_window(2, into=10)])
    disk.is_full = False
    assert ledger.commit([a_window(3, into=100)])
    came = [(report.window.start, report.lines["mid"].total_in, report.late) for report in sent(store)]
    assert came == [("1", 1, True), ("2", 10, True), ("3", 110, False)]
    assert len({report.lines["mid"].counter_id for report in sent(store)}) == 2


def test_crossings_of_windows_that_are_given_up_stay_with_the_line_as_it_was_then(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.ledger.MOST_WAITING", 3)
    disk = FullDisk(store)
    ledger = a_ledger(disk)
    before = ledger.totals["gate", "mid"].counter_id
    disk.is_full = True
    ledger.commit([a_window(1, into=1), a_window(2, into=1)], [a_camera(0.6)])
    for number in range(3, 9):
        ledger.commit([a_window(number, into=10)])
    assert (ledger.windows_held, ledger.windows_lost) == (3, 5)
    disk.is_full = False
    assert ledger.commit([a_window(9, into=100)])
    closed = store._connection.execute("SELECT totals FROM counters WHERE counter_id = ?", (before,)).fetchone()
    assert json.loads(closed[0]) == {"car": {"in": 2, "out": 0}}
    assert ledger.totals["gate", "mid"].total_in == 160
    assert [report.seq for report in sent(store)] == [7, 8, 9]
    assert store.status().dropped == 6


EYES = Question("eyes", ("open", "shut"))
SHUT = StateChange("eyes", "open", "shut", is_entry=True)


def a_moment(number: int, *, entries: int = 0, **seconds: float) -> WindowCounts:
    """A window of a classifier's camera, ended in the state that is named last."""
    sums = StateSums(next(reversed(seconds), None), seconds, Counter({"shut": entries} if entries else {}))
    plain = dataclasses.replace(a_window(number, frames=bool(seconds)), lines={}, count=None, states={"eyes": sums})
    return dataclasses.replace(plain, state_changes=(TimedStateChange(SHUT, 1_767_268_801.5),) * entries)


def a_watcher(store: object, *, events: bool = False, **states: float) -> Ledger:
    camera = CameraConfig.model_validate({"id": "gate", "source": "x", "events": events, "states": states or None})
    return Ledger(store, ORIGIN, [camera], lambda: True, lambda _: [EYES])  # type: ignore[arg-type]


def test_entries_into_states_have_totals_that_go_on_after_a_restart(store: Store) -> None:
    a_watcher(store).commit([a_moment(0, entries=2, open=6.0, shut=4.0)])
    a_watcher(store).commit([a_moment(1, entries=1, shut=1.5, open=8.5), a_moment(2)])
    first, second, blind = (report.states["eyes"] for report in sent(store))
    assert (first.last, first.seconds, first.entries) == ("shut", {"open": 6.0, "shut": 4.0}, {"shut": 2})
    assert (second.last, second.entries, second.total_entries) == ("open", {"shut": 1}, {"shut": 3})
    assert (blind.last, blind.seconds, blind.entries, blind.total_entries) == (None, None, {}, {"shut": 3})
    assert {first.counter_id, first.since} == {second.counter_id, second.since}
    assert a_watcher(store).totals["gate", "state:eyes"].entries == {"shut": 3}


def test_other_rules_for_a_state_begin_another_counter_and_those_by_default_do_not(store: Store) -> None:
    a_watcher(store).commit([a_moment(0, entries=2, shut=10.0)])
    assert a_watcher(store, hold_seconds=1.0).totals["gate", "state:eyes"].entries == {"shut": 2}
    assert a_watcher(store, hold_seconds=2.0).totals["gate", "state:eyes"].entries == {}


def test_changes_of_a_state_are_events_where_they_are_wanted(store: Store) -> None:
    a_watcher(store, events=True).commit([a_moment(0, entries=1, open=1.5, shut=8.5)])
    told, report = store.waiting(0, 10)
    event = StateEvent.model_validate_json(told.payload)
    assert (event.seq, event.at, event.kind, event.question) == (1, "2026-01-01T12:00:01.500Z", "state", "eyes")
    assert (event.before, event.state, event.entry) == ("open", "shut", True)
    assert event.counter_id == CountReport.model_validate_json(report.payload).states["eyes"].counter_id
    a_watcher(store).commit([a_moment(1, entries=1, shut=10.0)])
    assert len(store.waiting(2, 10)) == 1


def test_entries_of_windows_that_had_to_be_given_up_stay_in_the_totals(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.ledger.MOST_WAITING", 1)
    disk = FullDisk(store)
    ledger = a_watcher(disk, events=True)
    disk.is_full = True
    ledger.commit([a_moment(0, entries=2, shut=10.0)])
    disk.is_full = False
    ledger.commit([a_moment(1, shut=10.0)])
    (report,) = sent(store)
    assert (report.seq, report.states["eyes"].total_entries, store.status().dropped) == (4, {"shut": 2}, 3)


def test_a_report_says_what_the_models_counts_were_multiplied_with(store: Store) -> None:
    a_ledger(store).commit([a_window(0), replace(a_window(1), scale=1.25)])
    assert [report.scale for report in sent(store)] == [None, 1.25]
