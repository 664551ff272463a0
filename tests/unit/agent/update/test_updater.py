"""What drives an attempt: step by step, each in the journal before it is done, and nothing newer is missed."""

from __future__ import annotations

import contextlib
import errno
import random
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from agent.update.errors import UpdateError, UpdateWaitsError
from agent.update.journal import Journal
from agent.update.ports import Note, Stopped
from agent.update.recovery import recover
from agent.update.rules import BEFORE, Attempt
from agent.update.updater import Done, Step, Updater, UpdaterSettings
from contracts.errors import StorageError
from contracts.update import UpdateReport, UpdateState
from tests.fakes.disk import FakeDisk
from tests.fakes.steps import FakeSteps
from tests.unit.agent.update.attempts import wish


class Rig:
    """An updater on a disk in memory."""

    def __init__(self, disk: FakeDisk | None = None, settings: UpdaterSettings | None = None) -> None:
        self.disk = disk or FakeDisk()
        self.steps = FakeSteps()
        self.changed = threading.Condition()
        self.now = 0.0
        self.settings = replace(settings or UpdaterSettings(shadow=True), changed=self._note, clock=lambda: self.now)
        self.journal = Journal(self.disk)
        recover(self.journal)
        self.updater = Updater(self.journal, self.steps.table(), self.settings)

    def start(self) -> Rig:
        self.updater.start()
        return self

    def _note(self) -> None:
        with self.changed:
            self.changed.notify_all()

    def until(self, state: str) -> UpdateReport:
        with self.changed:
            assert self.changed.wait_for(lambda: self._is(state), 20), self.updater.report()
        report = self.updater.report()
        assert report is not None
        return report

    def until_it_waits(self) -> UpdateReport:
        def waits() -> bool:
            report = self.updater.report()
            return report is not None and report.code is not None

        with self.changed:
            assert self.changed.wait_for(waits, 20), self.updater.report()
        report = self.updater.report()
        assert report is not None
        return report

    def _is(self, state: str) -> bool:
        report = self.updater.report()
        return report is not None and report.state == state

    def kept(self) -> Attempt:
        found = Journal(self.disk).attempt
        assert found is not None
        return found


def under_way(state: UpdateState) -> Rig:
    """An agent in the midst of a state of its first attempt."""
    rig = Rig()
    rig.steps.hang(state)
    rig.start()
    rig.updater.want(wish())
    rig.steps.wait_for(state)
    return rig


@pytest.fixture
def rig() -> Iterator[Rig]:
    one = Rig()
    yield one.start()
    one.updater.stop(20)


def test_a_wish_goes_through_every_step_and_is_committed(rig: Rig) -> None:
    rig.updater.want(wish())
    report = rig.until("committed")
    assert rig.steps.done == [*BEFORE, "activate", "probation"]
    assert (report.epoch, report.model_revision, report.attempt) == (1, 1, 1)
    assert rig.kept().state == "committed"


def test_a_step_is_in_the_journal_before_it_is_done() -> None:
    rig = Rig()
    seen: list[str] = []

    def looking(state: UpdateState) -> Step:
        def step(attempt: Attempt, note: Note, stopped: Stopped) -> Done:
            seen.append(f"{state}:{rig.kept().state}")
            return steps[state](attempt, note, stopped)

        return step

    steps = rig.steps.table()
    table: dict[UpdateState, Step] = {state: looking(state) for state in steps}
    rig.updater = Updater(rig.journal, table, rig.settings)
    rig.updater.start()
    rig.updater.want(wish())
    rig.until("committed")
    rig.updater.stop(20)
    assert seen == [f"{state}:{state}" for state in (*BEFORE, "activate", "probation")]


def test_what_is_asked_for_twice_is_done_once(rig: Rig) -> None:
    rig.updater.want(wish())
    rig.until("committed")
    rig.updater.want(wish())
    rig.updater.want(wish(revision=2))
    rig.until("committed")
    rig.steps.wait_for("probation", 2)
    assert rig.steps.done.count("resolve") == 2


def test_a_refusal_ends_the_attempt_with_its_code_and_reason(rig: Rig) -> None:
    rig.steps.fail("selftest", UpdateError("golden_mismatch", "off by 0.9"))
    rig.updater.want(wish())
    report = rig.until("rejected")
    assert (report.code, report.reason) == ("golden_mismatch", "off by 0.9")
    assert "activate" not in rig.steps.done


def test_a_failure_after_it_took_over_brings_back_what_was_before(rig: Rig) -> None:
    rig.steps.fail("probation", UpdateError("fps_low", "3 of 30 fps"))
    rig.updater.want(wish())
    report = rig.until("rolled_back")
    assert (report.code, report.reason) == ("fps_low", "3 of 30 fps")
    assert rig.steps.done[-1] == "rolling_back"


def test_a_server_that_is_away_is_waited_for_and_the_wait_is_told(rig: Rig) -> None:
    rig.steps.fail("fetch", UpdateWaitsError("nobody answers", 3600, "server_unreachable"))
    rig.updater.want(wish())
    report = rig.until_it_waits()
    assert (report.state, report.code, report.reason) == ("fetch", "server_unreachable", "nobody answers")
    assert rig.kept().code is None, "a wait is no end"


def test_a_newer_wish_takes_the_place_of_one_that_waits(rig: Rig) -> None:
    rig.steps.fail("fetch", UpdateWaitsError("nobody answers", 3600, "server_unreachable"))
    rig.updater.want(wish())
    rig.until_it_waits()
    rig.updater.want(wish(revision=2))
    assert rig.until("committed").model_revision == 2


def test_a_newer_wish_cuts_a_step_short_where_nothing_was_touched(rig: Rig) -> None:
    rig.steps.hang("prepare")
    rig.updater.want(wish())
    rig.steps.wait_for("prepare")
    rig.updater.want(wish(revision=2))
    assert rig.until("committed").model_revision == 2


def test_a_newer_wish_waits_for_the_end_of_one_that_took_over() -> None:
    rig = Rig()
    table = rig.steps.table()
    go_on, entered = threading.Event(), threading.Event()
    first = table["probation"]

    def watched(attempt: Attempt, note: Note, stopped: Stopped) -> Done:
        if attempt.wish.model_revision == 1:
            entered.set()
            assert go_on.wait(20)
            assert not stopped(), "it may not be cut short"
        return first(attempt, note, stopped)

    table["probation"] = watched
    rig.updater = Updater(rig.journal, table, rig.settings)
    rig.start()
    rig.updater.want(wish())
    assert entered.wait(20)
    rig.updater.want(wish(revision=2))
    report = rig.updater.report()
    assert report is not None
    assert (report.state, report.model_revision) == ("probation", 1)
    go_on.set()
    rig.steps.wait_for("probation", 2)
    assert rig.until("committed").attempt == 2
    rig.updater.stop(20)


def test_patience_ends_and_says_what_it_waited_for() -> None:
    rig = Rig(settings=UpdaterSettings(patience=100.0))
    rig.steps.fail("fetch", *(UpdateWaitsError("nobody answers", 0.01, "server_unreachable") for _ in range(9999)))
    rig.start()
    rig.updater.want(wish())
    rig.until_it_waits()
    rig.now = 101.0
    report = rig.until("failed")
    rig.updater.stop(20)
    assert report.code == "server_unreachable"
    assert "nobody answers" in report.reason
    assert "patience_hours" in report.reason


def test_nothing_takes_over_while_the_gate_is_closed_and_the_step_before_it_is_done_once() -> None:
    closed = threading.Event()
    closed.set()

    def gate() -> None:
        if closed.is_set():
            raise UpdateWaitsError("held by the technician", 0.01)

    rig = Rig(settings=UpdaterSettings(gate=gate)).start()
    rig.updater.want(wish())
    report = rig.until_it_waits()
    assert (report.state, report.reason) == ("selftest", "held by the technician")
    assert "activate" not in rig.steps.done
    closed.clear()
    rig.until("committed")
    rig.updater.stop(20)
    assert rig.steps.done.count("selftest") == 1


def test_a_bug_in_a_step_ends_nothing_but_the_attempt_after_its_patience() -> None:
    rig = Rig(settings=UpdaterSettings(patience=0.0))
    rig.steps.fail("verify", ZeroDivisionError("oops"))
    rig.start()
    rig.updater.want(wish())
    assert rig.until("failed").code == "internal"
    rig.updater.want(wish(revision=2))
    rig.until("committed")
    rig.updater.stop(20)


def test_a_disk_that_takes_nothing_more_holds_no_bad_model_in_place(rig: Rig) -> None:
    rig.steps.hang("probation")
    rig.updater.want(wish())
    rig.steps.wait_for("probation")
    rig.updater.stop(20)
    full = Rig(rig.disk)
    full.steps.fail("probation", UpdateError("fps_low", "3 of 30 fps"))
    full.disk.full, full.disk.fail_in = True, 0
    full.start()
    full.steps.wait_for("rolling_back")
    full.until("rolled_back")
    full.updater.stop(20)


def full_disk() -> StorageError:
    return StorageError("/state/update/active", OSError(errno.ENOSPC, "No space left on device"))


def test_a_full_disk_is_waited_for_before_a_model_takes_over_and_the_gate_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agent.update.updater._FIRST_PAUSE", 0.01)
    gates: list[str] = []
    one = Rig()
    one.settings = replace(one.settings, patience=0.0, gate=lambda: gates.append(one.kept().state))
    one.updater = Updater(one.journal, one.steps.table(), one.settings)
    one.steps.fail("activate", full_disk(), full_disk())
    one.start()
    one.updater.want(wish())
    one.until("committed")
    one.updater.stop(20)
    assert one.steps.done[-4:] == ["activate", "activate", "activate", "probation"]
    assert gates == ["shadow", "activate", "activate"]


def test_what_it_waits_for_on_a_full_disk_is_told_with_what_to_do(rig: Rig) -> None:
    rig.steps.fail("activate", full_disk())
    rig.updater.want(wish())
    report = rig.until_it_waits()
    assert (report.state, report.code) == ("activate", "no_space")
    assert "free some space" in report.reason


def test_somebody_on_site_can_end_what_touched_nothing(rig: Rig) -> None:
    rig.steps.hang("prepare")
    rig.updater.want(wish())
    rig.steps.wait_for("prepare")
    rig.updater.cancel()
    assert rig.until("failed").code == "cancelled"


@pytest.mark.parametrize("state", [*BEFORE, "activate", "probation"])
def test_an_agent_that_was_stopped_goes_on_in_the_same_state(state: UpdateState) -> None:
    rig = under_way(state)
    rig.updater.stop(20)
    again = Rig(rig.disk).start()
    again.until("committed")
    again.updater.stop(20)
    assert again.steps.done[0] == state


def test_an_agent_that_is_stopped_in_order_again_and_again_loses_no_model() -> None:
    rig = under_way("probation")
    rig.updater.stop(20)
    for _ in range(9):
        rig = Rig(rig.disk)
        rig.steps.hang("probation")
        rig.start()
        rig.steps.wait_for("probation")
        rig.updater.stop(20)
    last = Rig(rig.disk).start()
    assert last.until("committed").attempt == 1
    last.updater.stop(20)


def test_an_agent_that_dies_in_probation_again_and_again_has_the_old_models_back() -> None:
    rig = under_way("probation")
    disk = rig.disk.after_power_cut(random.Random(0))
    rig.updater.stop(20)
    for _ in range(3):
        assert Rig(disk).journal.attempt.state == "probation"  # type: ignore[union-attr]
    last = Rig(disk)
    assert last.kept().state == "rolling_back"
    assert last.kept().code == "does_not_start"


def test_a_start_that_cannot_be_counted_takes_the_new_models_back_and_never_commits_them() -> None:
    rig = under_way("probation")
    rig.updater.stop(20)
    rig.disk.full, rig.disk.fail_in = True, 1
    again = Rig(rig.disk)
    assert again.journal.attempt is not None
    assert (again.journal.attempt.state, again.journal.attempt.code) == ("rolling_back", "storage")
    again.start()
    again.until("rolled_back")
    again.updater.stop(20)
    assert again.steps.done == ["rolling_back"]


def test_what_fails_while_the_agent_ends_says_nothing_of_a_model() -> None:
    rig = Rig()
    table = rig.steps.table()
    entered = threading.Event()

    def ends(attempt: Attempt, note: Note, stopped: Stopped) -> Done:
        entered.set()
        while not stopped():
            threading.Event().wait(0.005)
        raise UpdateError("did_not_load", "the agent ends")

    table["activate"] = ends
    rig.updater = Updater(rig.journal, table, rig.settings)
    rig.start()
    rig.updater.want(wish())
    assert entered.wait(20)
    rig.updater.stop(20)
    assert rig.kept().state == "activate"


def test_a_wish_that_could_not_be_written_down_is_still_wanted() -> None:
    rig = Rig()
    rig.disk.full, rig.disk.fail_in = True, 0
    rig.updater.want(wish())
    with contextlib.suppress(StorageError):
        rig.updater._go_on()
    assert rig.journal.attempt is None
    rig.start()
    rig.until("committed")
    rig.updater.stop(20)


def test_a_wish_that_asks_for_nothing_new_takes_no_other_one_away(rig: Rig) -> None:
    rig.updater.want(wish())
    rig.until("committed")
    with rig.updater._news:
        rig.updater._wishes += [wish(revision=2), wish()]
        rig.updater._news.notify_all()
    rig.steps.wait_for("probation", 2)
    assert rig.until("committed").attempt <= 2
