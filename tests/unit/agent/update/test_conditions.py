"""A model takes over in its window by the clock on the wall, and not on a box that is hot, throttled or held."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.drift.hours import LocalTime
from agent.update.conditions import LONGEST_SECONDS, Now, Wait, is_open, wait_of
from contracts.health import Telemetry, Throttling
from contracts.update_config import UpdateConfig

ZONES = [
    ZoneInfo(name)
    for name in (
        "UTC",
        "Europe/Berlin",
        "America/St_Johns",
        "Australia/Lord_Howe",
        "Asia/Kathmandu",
        "Africa/Casablanca",
    )
]
BERLIN = ZONES[1]
TIMES = st.builds(lambda hour, minute: f"{hour:02}:{minute:02}", st.integers(0, 23), st.integers(0, 59))
WINDOWS = st.tuples(TIMES, TIMES).filter(lambda ends: ends[0] != ends[1]).map("-".join)
# Hours around changes of time are as likely as all others together.
CHANGES = [dt.datetime(2026, 3, 29, 1, tzinfo=dt.timezone.utc), dt.datetime(2026, 10, 25, 1, tzinfo=dt.timezone.utc)]
MOMENTS = st.floats(1.6e9, 2.0e9) | st.builds(
    lambda change, off: change.timestamp() + off, st.sampled_from(CHANGES), st.floats(-90_000, 90_000)
)


def local(zone: ZoneInfo) -> LocalTime:
    return lambda seconds: dt.datetime.fromtimestamp(seconds, zone)


def at(text: str, zone: ZoneInfo = BERLIN) -> float:
    return dt.datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def wait(now: Now, zone: ZoneInfo = BERLIN, **config: Any) -> Wait | None:
    return wait_of(UpdateConfig(**config), now, local(zone))


@given(st.floats(0, 4e9), st.sampled_from([True, False, None]))
def test_without_window_and_trouble_it_takes_over_at_any_hour_by_any_clock(wall: float, synced: bool | None) -> None:
    assert wait(Now(wall, synced)) is None


@given(WINDOWS, MOMENTS, st.sampled_from(ZONES))
def test_the_clock_on_the_wall_says_whether_the_window_is_open(window: str, wall: float, zone: ZoneInfo) -> None:
    shown = local(zone)(wall).strftime("%H:%M")
    begin, end = window.split("-")
    inside = begin <= shown < end if begin < end else shown >= begin or shown < end
    assert is_open(window, wall, local(zone)) == inside
    assert (wait(Now(wall, synced=True), zone, window=window) is None) == inside


@given(WINDOWS, MOMENTS, st.sampled_from(ZONES), st.data())
def test_the_next_look_is_no_later_than_the_window_s_beginning(
    window: str, wall: float, zone: ZoneInfo, data: st.DataObject
) -> None:
    found = wait(Now(wall, synced=True), zone, window=window)
    if found is None:
        return
    assert 0 < found.seconds <= LONGEST_SECONDS
    before = data.draw(st.floats(0, found.seconds, exclude_max=True))
    if wall + before < wall + found.seconds:
        assert not is_open(window, wall + before, local(zone))
    assert found.seconds == LONGEST_SECONDS or wait(Now(wall + found.seconds, synced=True), zone, window=window) is None


@pytest.mark.parametrize(
    ("moment", "seconds"),
    [
        ("2026-06-01 01:58:30", 90.0),
        ("2026-06-01 01:00", LONGEST_SECONDS),
        ("2026-06-01 02:00", None),
        ("2026-06-01 04:59:59", None),
        ("2026-06-01 05:00", LONGEST_SECONDS),
        ("2026-03-29 01:59", 60.0),  # an hour is skipped: 03:00 comes next
        ("2026-10-25 02:30", None),
    ],
)
def test_two_to_five_in_the_morning(moment: str, seconds: float | None) -> None:
    found = wait(Now(at(moment), synced=True), window="02:00-05:00")
    assert (found and found.seconds) == seconds


def test_a_window_in_the_hour_that_is_skipped_does_not_come_that_night() -> None:
    night = [at("2026-03-29 00:00") + minutes * 60 for minutes in range(600)]
    assert not any(is_open("02:10-02:50", moment, local(BERLIN)) for moment in night)


def test_a_window_over_midnight_is_one() -> None:
    for moment, is_inside in (("23:00", True), ("00:00", True), ("01:59", True), ("02:00", False), ("22:59", False)):
        assert is_open("23:00-02:00", at(f"2026-06-01 {moment}"), local(BERLIN)) == is_inside


@pytest.mark.parametrize(
    ("synced", "says"),
    [(False, "the clock is not synchronised"), (None, "does not say that its clock is synchronised")],
)
def test_by_a_clock_that_may_be_wrong_no_window_is_open(synced: bool | None, says: str) -> None:
    found = wait(Now(at("2026-06-01 03:00"), synced), window="02:00-05:00")
    assert found is not None
    assert says in found.reason
    assert "02:00-05:00" in found.reason


@pytest.mark.parametrize(
    ("celsius", "most", "waits"), [(80.1, 80.0, True), (80.0, 80.0, False), (95.0, None, False), (None, 80.0, False)]
)
def test_a_hotter_box_waits(celsius: float | None, most: float | None, waits: bool) -> None:
    found = wait(Now(0.0, synced=True, telemetry=Telemetry(celsius=celsius, hottest="cpu")), max_celsius=most)
    assert (found is not None) == waits
    assert found is None or "cpu is at 80.1 degrees, above 80.0" in found.reason


def test_a_throttled_box_waits_and_says_what_throttles_it() -> None:
    telemetry = Telemetry(throttling=Throttling(now=True, reasons=("under-voltage",)))
    found = wait(Now(0.0, synced=True, telemetry=telemetry))
    assert found is not None
    assert found.reason == "the box is throttled (under-voltage)"
    calm = Telemetry(throttling=Throttling(now=False, caps=("power",), spells=3))
    assert wait(Now(0.0, synced=True, telemetry=calm)) is None


def test_every_reason_is_told_and_the_last_to_pass_says_when_to_look() -> None:
    hot = Telemetry(celsius=90.0, hottest="gpu", throttling=Throttling(now=True, reasons=("heat",)))
    now = Now(at("2026-06-01 12:00"), synced=True, telemetry=hot, hold="Ada: audit until noon")
    found = wait(now, window="02:00-05:00", max_celsius=80.0)
    assert found is not None
    for part in ("held on site: Ada: audit until noon", "02:00-05:00", "throttled (heat)", "gpu is at 90.0"):
        assert part in found.reason
    assert found.seconds == LONGEST_SECONDS
