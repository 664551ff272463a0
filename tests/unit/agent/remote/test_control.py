"""What runs, what is kept, and what is said of it: over restarts, lost brokers and full disks."""

from __future__ import annotations

import random
from typing import Any

import pytest

from agent.remote.control import MOST_STARTS, RemoteConfig, RemoteSettings
from agent.remote.refusals import DocumentRefusedError
from agent.remote.store import RemoteStore
from contracts.desired import WrongField
from contracts.errors import StorageError, WrittenError
from contracts.update import UpdateProgress, UpdateReport, UpdateState
from tests.fakes.disk import FakeDisk, PowerCut
from tests.unit.agent.remote.boxes import Box, desired, local

MOVE = {"broker": {"host": "new.example"}}
OLD, NEW = "old.example:1883", "new.example:1883"


def update(state: UpdateState, text: str, fraction: float | None) -> UpdateReport:
    return UpdateReport(attempt=1, state=state, progress=UpdateProgress(text=text, fraction=fraction))


@pytest.fixture
def box() -> Box:
    return Box()


def test_what_was_taken_runs_after_a_restart(box: Box) -> None:
    box.send(desired({"window_seconds": 5}, revision=3))
    box.boot()
    assert box.remote.config.window_seconds == 5
    assert (box.reports[-1].state, box.reports[-1].config_revision) == ("ok", 3)
    refused = box.send(desired(revision=2)).refused
    assert refused is not None
    assert refused.code == "stale_revision"


def test_what_fails_to_run_is_reported_by_its_path_and_not_taken_back(box: Box) -> None:
    box.send(desired({"camera": [{"id": "new", "source": "rtsp://192.0.2.5/"}]}))
    box.applier.problems = [WrongField(path="camera.new.source", problem="it does not open")]
    report = box.turn(10)
    assert (report.state, report.code, report.config_revision) == ("degraded", "not_running", 1)
    assert "camera.new.source" in report.reason
    assert report.errors == tuple(box.applier.problems)
    assert "new" in box.applier.cameras
    box.applier.problems = []
    assert box.turn(10).state == "ok"


def test_what_cannot_be_applied_at_all_is_reported_until_the_next_document(box: Box) -> None:
    box.applier.cannot = [WrongField(path="camera.gate.line.stop.labels", problem="the model has no label 'bus'")]
    box.send(desired({"camera": [{"id": "gate", "line": [{"name": "stop", "labels": ["bus"]}]}]}))
    assert box.turn(60).state == "degraded"
    box.applier.cannot = []
    assert box.send(desired(revision=2)).state == "ok"


@pytest.mark.parametrize("error", [WrittenError("no such model"), ValueError("a bug")])
def test_an_applier_that_fails_stops_nobody(box: Box, error: Exception) -> None:
    box.applier.fails = error
    assert box.send(desired({"window_seconds": 5})).state == "degraded"
    assert box.send(desired({"window_seconds": 6}, revision=2)).state == "ok"


def test_trouble_that_comes_and_goes_is_not_reported_at_every_turn(box: Box) -> None:
    box.turn(10)
    before = len(box.reports)
    for number in range(20):
        box.applier.problems = [WrongField(path="camera.gate.source", problem="gone")] if number % 2 else []
        box.turn(0.5)
    assert len(box.reports) - before <= 2


def test_of_a_long_download_each_tenth_is_reported_and_the_state_it_leads_to(box: Box) -> None:
    box.turn(10)
    before = len(box.reports)
    for megabytes in range(101):
        box.applier.update = update("fetch", f"{megabytes} of 100 MB", megabytes / 100)
        box.turn(10)
    fractions = [
        report.update.progress.fraction for report in box.reports[before:] if report.update and report.update.progress
    ]
    assert fractions == [number / 10 for number in range(11)]
    box.applier.update = update("verify", "checking", None)
    told = box.turn(10).update
    assert told is not None
    assert told.state == "verify"


def test_words_without_a_fraction_are_reported(box: Box) -> None:
    for text in ("looking for cars 1.1.0", "waits for 02:00"):
        box.applier.update = update("resolve", text, None)
        told = box.turn(10).update
        assert told is not None
        assert told.progress is not None
        assert told.progress.text == text


def test_reports_are_numbered_from_one_in_each_boot(box: Box) -> None:
    box.send(desired())
    box.turn(10)
    box.send(desired(revision=2))
    assert [report.seq for report in box.reports] == [1, 2, 3]
    box.boot()
    assert box.reports[-1].seq == 1


def test_a_change_of_the_connection_stays_once_the_broker_was_reached(box: Box) -> None:
    box.applier.reachable = {OLD}
    assert box.send(desired(MOVE)).state == "confirming"
    box.applier.reachable = {NEW}
    assert box.turn(0.1).state == "ok", "it is said at once"
    assert box.turn(1000).config_revision == 1
    box.boot()
    assert box.remote.config.broker.address == NEW


def test_a_change_that_loses_the_broker_is_taken_back_at_the_deadline_and_not_taken_again(box: Box) -> None:
    box.send(desired({"window_seconds": 5}))
    box.applier.reachable = {OLD}
    document = desired(MOVE | {"window_seconds": 6}, revision=2)
    box.send(document)
    assert box.turn(119).state == "confirming"
    report = box.turn(1)
    assert (report.state, report.config_revision) == ("ok", 1)
    assert report.refused is not None
    assert (report.refused.code, report.refused.config_revision) == ("reverted", 2)
    assert NEW in report.refused.reason
    assert (box.applier.config.broker.address, box.applier.config.window_seconds) == (OLD, 5)
    again = box.send(document).refused
    assert again is not None
    assert again.code == "reverted"
    box.boot()
    again = box.send(document).refused
    assert again is not None
    assert again.code == "reverted"
    box.applier.reachable = {NEW}
    assert box.send(document | {"config_revision": 3}).state == "confirming"


def test_a_restart_in_probation_gives_it_a_new_deadline_but_only_a_few_times(box: Box) -> None:
    box.reachable = {OLD}
    box.applier.reachable = {OLD}
    box.send(desired(MOVE))
    for _ in range(MOST_STARTS - 1):
        box.boot()
        assert box.remote.config.broker.address == NEW
        assert box.turn(100).state == "confirming"
    box.boot()
    assert box.remote.config.broker.address == OLD
    refused = box.reports[-1].refused
    assert refused is not None
    assert refused.code == "reverted"


def test_a_newer_document_in_probation_is_on_probation_itself(box: Box) -> None:
    box.applier.reachable = set()
    box.send(desired(MOVE))
    assert box.send(desired(MOVE | {"window_seconds": 5}, revision=2)).state == "confirming"
    report = box.turn(120)
    assert (report.state, box.applier.config) == ("local", local())


def test_a_newer_document_with_the_old_connection_ends_the_probation(box: Box) -> None:
    box.applier.reachable = set()
    box.send(desired(MOVE))
    assert box.send(desired({"window_seconds": 5}, revision=2)).state == "ok"
    assert box.turn(1000).config_revision == 2


def test_what_does_not_run_is_not_confirmed(box: Box) -> None:
    box.applier.reachable = set()
    box.send(desired(MOVE | {"camera": [{"id": "yard", "score": 0.5}]}))
    box.local = local(camera=[box.local.camera[0]])
    box.boot()
    report = box.turn(10)
    assert (report.state, report.code, report.config_revision) == ("local", "does_not_fit", None)
    assert box.remote._kept.good.document is None


def test_a_broker_that_is_down_is_no_reason_to_take_anything_back(box: Box) -> None:
    box.applier.reachable = set()
    box.send(desired({"window_seconds": 5}))
    assert box.turn(10_000).state == "ok"


def test_a_document_that_cannot_be_kept_is_refused_and_may_come_again(box: Box) -> None:
    document = desired({"window_seconds": 5})
    for operation in (0, 1, 2, 4, 5, 6):  # both files: write, flush, rename
        box.disk.fail_in, box.disk.full = operation, True
        report = box.send(document)
        assert report.refused is not None
        assert report.refused.code == "storage"
        assert "free some space" in report.refused.reason
        assert box.applier.config == local()
    assert box.send(document).state == "ok"


@pytest.mark.parametrize("operation", [3, 7])
def test_a_document_that_is_kept_but_not_safely_is_taken_as_a_restart_would_take_it(box: Box, operation: int) -> None:
    box.disk.fail_in, box.disk.full = operation, True
    assert box.send(desired({"window_seconds": 5})).state == "ok"
    box.boot()
    assert box.remote.config.window_seconds == 5


def test_what_a_start_believed_no_later_power_cut_undoes(box: Box) -> None:
    box.disk.fail_in = 7  # killed before the name of the document is flushed, while the power stays on
    with pytest.raises(PowerCut):
        box.send(desired({"window_seconds": 5}))
    box.disk.fail_in = None
    box.boot()
    assert box.remote.config.window_seconds == 5
    for seed in range(10):
        box.disk = box.disk.after_power_cut(random.Random(seed))
        box.boot()
        assert box.remote.config.window_seconds == 5


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"edgetally-record-1 0\n{}"])
def test_a_damaged_document_gives_way_to_the_last_good_one_and_that_is_said(box: Box, content: bytes) -> None:
    box.send(desired({"window_seconds": 5}))
    box.send(desired({"window_seconds": 6}, revision=2))
    box.disk.replace("current", content)
    good = box.disk.read("good")
    box.boot()
    report = box.reports[-1]
    assert (report.config_revision, report.code) == (2, "damaged")
    assert "current is damaged" in report.reason
    assert good is not None


def test_floors_outlive_two_damaged_copies(box: Box) -> None:
    for name, other in (("current", "floors"), ("good", "floors"), ("current", "good")):
        disk = FakeDisk({})
        victim = Box(disk)
        victim.send(desired(revision=9))
        for damaged in (name, other):
            disk.replace(damaged, b"")
        victim.boot()
        refused = victim.send(desired(revision=8)).refused
        assert refused is not None
        assert refused.code == "stale_revision"


def test_an_edited_file_that_a_document_no_longer_fits_leaves_the_document_out(box: Box) -> None:
    box.send(desired({"camera": [{"id": "yard", "score": 0.5}]}))
    box.local = local(camera=[box.local.camera[0]])
    box.boot()
    report = box.reports[-1]
    assert (report.state, report.code, report.config_revision) == ("local", "does_not_fit", None)
    assert [one.path for one in report.errors] == ["config.camera.yard.source"]
    assert box.remote.config == box.local


def test_a_document_that_the_agent_fails_on_does_not_keep_it_from_starting(box: Box) -> None:
    box.send(desired({"window_seconds": 5}))

    def fail(_: object) -> list[WrongField]:
        raise RuntimeError("a bug of a newer version")

    settings = RemoteSettings("boot", box.keys, check=fail)
    assert RemoteConfig(box.local, RemoteStore(box.disk), settings).config == box.local


def test_a_box_that_was_renamed_does_not_run_the_document_of_its_old_name(box: Box) -> None:
    box.send(desired({"window_seconds": 5}))
    box.local = local(device="box-2")
    box.boot()
    assert (box.reports[-1].state, box.remote.config.window_seconds) == ("local", 10)


def test_the_page_lies_under_the_document_and_survives_a_restart(box: Box) -> None:
    box.send(desired({"window_seconds": 5}))
    box.remote.set_page({"window_seconds": 7, "state_seconds": 2})
    box.boot()
    assert (box.remote.config.window_seconds, box.remote.config.state_seconds) == (5, 2)
    box.send(desired(revision=2))
    assert box.remote.config.window_seconds == 7


@pytest.mark.parametrize(
    "keys", [{"window_seconds": 0}, {"bundle": "x"}, {"broker": {"port": 1}}, {"camera": [{"id": "x"}]}]
)
def test_the_page_cannot_set_what_does_not_fit(box: Box, keys: dict[str, object]) -> None:
    with pytest.raises(DocumentRefusedError):
        box.remote.set_page(keys)
    assert box.applier.config == local()


def test_what_was_drawn_for_a_camera_of_a_document_waits_for_it_and_stands_in_no_others_way(box: Box) -> None:
    shed = {"id": "shed", "source": "rtsp://192.0.2.1/shed"}
    box.send(desired({"camera": [shed]}))
    line = {"name": "door", "start": [0, 0.5], "end": [1, 0.5]}
    box.remote.set_page({"camera": [{"id": "shed", "line": [line]}]})
    assert [one.name for one in box.remote.config.camera[-1].line] == ["door"]
    assert box.send(desired(revision=2)).config_revision == 2
    assert {camera.id for camera in box.remote.config.camera} == {"gate", "yard"}
    box.boot()
    assert box.remote.page == {"camera": [{"id": "shed", "line": [line]}]}
    box.send(desired({"camera": [shed]}, revision=3))
    assert [one.name for one in box.remote.config.camera[-1].line] == ["door"]


def test_the_page_is_not_changed_where_it_cannot_be_kept(box: Box) -> None:
    box.disk.fail_in, box.disk.full = 0, True
    with pytest.raises(StorageError):
        box.remote.set_page({"window_seconds": 7})
    assert box.applier.config == local()


def test_the_digest_tells_configurations_apart_and_nothing_of_a_password(box: Box) -> None:
    configs: list[dict[str, Any]] = [
        {"window_seconds": 5},
        {"window_seconds": 6},
        {"broker": {"password": "a"}},
        {"broker": {"password": "b"}},
    ]
    digests = [box.send(desired(config, revision=number)).config_digest for number, config in enumerate(configs, 1)]
    assert len(set(digests)) == 3
    assert digests[2] == digests[3]


def test_a_power_cut_between_floors_and_document_lets_the_same_document_in_again(box: Box) -> None:
    document = desired({"window_seconds": 5})
    box.send(document)
    floors = box.disk.read("floors")
    assert floors is not None
    box.disk = FakeDisk({"floors": floors}).after_power_cut(random.Random(1))
    box.boot()
    assert box.remote.config == local()
    assert box.send(document).config_revision == 1
