"""A wall clock that is wrong, jumps, and is set right: windows follow it, and nothing is counted twice or left out."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from contracts.messages import CountReport
from tests.e2e.agents import Agent
from tests.integration.boxes import check_road, intake_of, missing, reports, road, wait_until_stopped
from tests.integration.brokers import Mosquitto, Watcher, mosquitto
from tools.billing.bill import make_bill

__all__ = ["mosquitto"]

DAY = 86_400.0
ADJTIMEX = Path(__file__).parents[1] / "fakes" / "adjtimex.c"
OK, ERROR = "0", "5"  # adjtimex(2): synchronised, or not


class WallClock:
    """The clock that a process sees: it can be set, and held to be synchronised; the monotonic one stays as it is.

    Args:
        folder: for its files.
    """

    def __init__(self, folder: Path) -> None:
        self._offset, self._state = folder / "clock-offset", folder / "clock-state"
        self.set(0.0, ERROR)
        compiler, library = shutil.which("cc"), folder / "adjtimex.so"
        faketime = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        if compiler is None or not faketime:
            reason = "no libfaketime or C compiler here; run: apt-get install libfaketime gcc libc6-dev"
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, ADJTIMEX], check=True)
        self.environment = {
            "LD_PRELOAD": f"{library}:{faketime[0]}",
            "FAKETIME_TIMESTAMP_FILE": str(self._offset),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "ADJTIMEX_FILE": str(self._state),
            "TZ": "Asia/Kathmandu",  # whatever the box's zone, what is published is UTC
        }

    def set(self, offset: float, state: str) -> None:
        """Set it, to so many seconds beside the true time."""
        self._state.write_text(state)
        self._offset.write_text(f"{offset:+.0f}")


def at(report: CountReport) -> float:
    """When its window begins, seconds since 1970."""
    return dt.datetime.fromisoformat(report.window.start.replace("Z", "+00:00")).timestamp()


def days(found: Sequence[CountReport]) -> list[int]:
    """How many days beside today each report's window is."""
    return [round((at(report) - time.time()) / DAY) for report in found]


def test_a_box_that_starts_in_1970_and_whose_clock_jumps_by_a_day_counts_on(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    clock = WallClock(tmp_path)
    decades = -int(time.time())
    clock.set(decades, ERROR)
    settings = road(tmp_path, mosquitto.port, events=True)
    agent = Agent(tmp_path, settings, environment=clock.environment, until_end=False)
    with Watcher(mosquitto.port) as watcher, agent:
        watcher.wait_for(lambda: len(reports(watcher)) >= 2)
        assert all(at(report) < DAY and report.clock_synced is False for report in reports(watcher))
        for day in (0, 1, 0, -1):
            clock.set(day * DAY, OK)
            watcher.wait_for(lambda day=day: days(reports(watcher))[-1] == day)  # type: ignore[misc]
        clock.set(decades, OK)
        watcher.wait_for(lambda: at(reports(watcher)[-1]) < DAY)
        assert agent.stop() == 0
        wait_until_stopped(watcher)
        intake = intake_of(watcher)
    assert missing(check_road(intake)) == []
    found = reports(watcher)
    assert all(at(report) % 1 == 0 for report in found), "windows of a second are aligned to UTC's"
    assert found[-1].clock_synced is True
    (camera,) = make_bill(intake).cameras
    assert 0 < camera.unsynced < camera.windows
    log = agent.log.read_text()
    assert log.count("the wall clock jumped by") == 5
