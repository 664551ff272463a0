"""The store under ``kill -9``: whatever was committed is there once, and nothing else."""

from __future__ import annotations

import json
import random
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from agent.store import Counter, LineDefinition, ReportDraft, Store, Totals
from contracts.messages import CountReport, Crossings, StateCounts, Window
from contracts.topics import Channel, Topic

ROOT = Path(__file__).resolve().parents[2]
LINES = [LineDefinition(camera, "north", "digest") for camera in ("gate", "yard")]
CAMERAS = [line.camera for line in LINES]
STATES = [LineDefinition(camera, "state:eyes", "digest") for camera in CAMERAS]
COUNTED = [*LINES, *STATES]


def _report(camera: str, crossings: Crossings, states: StateCounts) -> ReportDraft:
    report = CountReport(
        store_id="",
        seq=0,
        boot_id="boot",
        device="box",
        camera=camera,
        window=Window(start="2026-01-01T00:00:00Z", end="2026-01-01T00:00:10Z"),
        clock_synced=True,
        frames_seen=1,
        frames_dropped={},
        coverage=1,
        quality="ok",
        artifact_digest=None,
        count=None,
        lines={"north": crossings},
        states={"eyes": states},
    )
    return ReportDraft(Topic("box", Channel.CAMERA_COUNTS, camera), report)


def count_until_killed(directory: Path) -> None:
    """What the killed process does: count, commit, deliver some, acknowledge those."""
    store = Store.open(directory / "state")
    counters = store.counters(COUNTED)
    committed = {key: _total(counter) for key, counter in counters.items()}
    delivered = (directory / "delivered").open("a")
    dice = random.Random()
    while True:
        drafts = []
        totals: dict[str, Totals] = {}
        for camera in CAMERAS:
            line, eyes = counters[camera, "north"], counters[camera, "state:eyes"]
            crossed, closed = dice.randrange(5), dice.randrange(3)
            committed[camera, "north"] += crossed
            committed[camera, "state:eyes"] += closed
            crossings = Crossings(
                counter_id=line.counter_id,
                since=line.since,
                in_=crossed,
                out=0,
                total_in=committed[camera, "north"],
                total_out=0,
            )
            states = StateCounts(
                counter_id=eyes.counter_id,
                since=eyes.since,
                last="closed",
                seconds={"closed": 10.0},
                entries={"closed": closed},
                total_entries={"closed": committed[camera, "state:eyes"]},
            )
            drafts.append(_report(camera, crossings, states))
            totals[line.counter_id] = {"car": {"in": committed[camera, "north"], "out": 0}}
            totals[eyes.counter_id] = {"closed": {"in": committed[camera, "state:eyes"], "out": 0}}
        seqs = store.commit(drafts, totals)
        sys.stdout.write(f"{seqs[-1]}\n")
        sys.stdout.flush()
        if dice.random() < 0.5:
            rows = store.waiting(0, 5)
            delivered.writelines(row.payload.decode() + "\n" for row in rows)
            delivered.flush()
            store.acknowledge([row.seq for row in rows])


def _total(counter: Counter) -> int:
    return sum(ways["in"] for ways in counter.totals.values())


def _kill_at_random(directory: Path, dice: random.Random) -> int:
    """Run the process until it has committed some windows, kill it at once, and return the last number it told."""
    command = [sys.executable, "-c", "import sys; from tests.integration import test_store_kill as t; "]
    command[2] += "from pathlib import Path; t.count_until_killed(Path(sys.argv[1]))"
    with subprocess.Popen([*command, str(directory)], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        last = 0
        for _ in range(dice.randrange(1, 40)):
            ready, _, _ = select.select([process.stdout], [], [], 60)
            assert ready, "the counting process should commit a window within a minute"
            last = int(process.stdout.readline())
        for _ in range(dice.randrange(20_000)):  # somewhere inside the next window's work
            pass
        process.send_signal(signal.SIGKILL)
        return max([last, *(int(line) for line in process.stdout.read().splitlines(keepends=True) if line[-1] == "\n")])


def _reports(directory: Path, store: Store) -> list[CountReport]:
    """Every report once, delivered or waiting, by number."""
    path = directory / "delivered"
    delivered = path.read_text().splitlines() if path.exists() else []
    waiting = [row.payload.decode() for row in store.waiting(0, 1_000_000)]
    found: dict[int, CountReport] = {}
    for text in (*(line for line in delivered if _is_whole(line)), *waiting):
        report = CountReport.model_validate_json(text)
        assert found.setdefault(report.seq, report) == report, "a number should always name the same report"
    return [found[seq] for seq in sorted(found)]


def _is_whole(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


Totalled = dict[tuple[str, str], int]


def _check(directory: Path, told: int, before: Totalled) -> Totalled:
    store = Store.open(directory / "state")
    counters = store.counters(COUNTED)
    reports = _reports(directory, store)
    assert [report.seq for report in reports] == list(range(1, len(reports) + 1)), "no gap, no repeat"
    assert len(reports) >= told, "what was committed should still be there"
    assert {report.store_id for report in reports} == {store.store_id}
    totals = {key: _total(counter) for key, counter in counters.items()}
    for camera in CAMERAS:
        lines = [one.lines["north"] for one in reports if one.camera == camera]
        _check_counter([(one.counter_id, one.in_, one.total_in) for one in lines], counters[camera, "north"])
        eyes = [one.states["eyes"] for one in reports if one.camera == camera]
        entries = [(one.counter_id, one.entries["closed"], one.total_entries["closed"]) for one in eyes]
        _check_counter(entries, counters[camera, "state:eyes"])
    assert all(total >= before.get(key, 0) for key, total in totals.items())
    store.close()
    return totals


def _check_counter(told: Sequence[tuple[str, int, int]], counter: Counter) -> None:
    """Counter, number of the window and total of each report."""
    assert {counter_id for counter_id, _, _ in told} <= {counter.counter_id}
    running = 0
    for _, number, total in told:
        running += number
        assert total == running, "each report's total should be the sum of the windows so far"
    assert running == _total(counter)


def _kill_many(directory: Path, times: int, seed: int) -> None:
    dice = random.Random(seed)
    totals: Totalled = {}
    for _ in range(times):
        told = _kill_at_random(directory, dice)
        totals = _check(directory, told, totals)
    assert all(total > 0 for total in totals.values())


def test_nothing_committed_is_lost_or_counted_twice_when_killed(tmp_path: Path) -> None:
    _kill_many(tmp_path, times=20, seed=1)


@pytest.mark.slow
def test_nothing_committed_is_lost_or_counted_twice_when_killed_often(tmp_path: Path) -> None:
    _kill_many(tmp_path, times=200, seed=2)
