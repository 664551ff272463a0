"""How fast files come, what is said of it, and over which network."""

from __future__ import annotations

from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from agent.update.errors import UpdateStoppedError
from agent.update.fetch.pace import Bandwidth, Progress, Time, in_words
from agent.update.fetch.room import room_problem
from agent.update.fetch.routes import default_interface
from contracts.update_config import UpdateConfig
from tests.fakes.clock import WaitedClock


@given(
    kbit=st.floats(1, 100_000),
    chunks=st.lists(st.tuples(st.integers(1, 65_536), st.floats(0, 20)), min_size=1, max_size=40),
)
def test_over_any_time_no_more_comes_than_the_rate_and_half_a_second_of_it(
    kbit: float, chunks: list[tuple[int, float]]
) -> None:
    time = WaitedClock()
    bandwidth = Bandwidth(kbit, time.clock)
    rate = kbit * 125
    came = 0
    for amount, pause in chunks:
        time.wait(pause)
        time.wait(bandwidth.take(amount))
        came += amount
        assert came <= rate * (time.now + 0.5) * 1.000001


def test_a_link_that_is_slower_than_the_bound_is_not_slowed_further() -> None:
    time = WaitedClock()
    bandwidth = Bandwidth(80, time.clock)
    waits = []
    for _ in range(20):
        time.wait(2)
        waits.append(bandwidth.take(5_000))
    assert waits == [0] * 20


def test_a_wait_ends_when_it_should() -> None:
    time = WaitedClock()
    with pytest.raises(UpdateStoppedError):
        Time(time.clock, time.wait).wait_for(1000, lambda: time.now > 10)
    assert time.now < 11


@pytest.mark.parametrize(
    ("done", "rate", "text"),
    [
        (12_000_000, 3_100_000, "12.0 of 48.2 MB, 3.1 MB/s"),
        (12_000_000, 8_000, "12.0 of 48.2 MB, 8 kB/s"),
        (0, 0, "0.0 of 48.2 MB, 0 kB/s"),
        (0, None, "0.0 of 48.2 MB"),
    ],
)
def test_progress_in_words(done: int, rate: float | None, text: str) -> None:
    assert in_words(done, 48_200_000, None if rate is None else rate / 1e6) == text


def test_the_rate_is_that_of_the_last_seconds() -> None:
    time = WaitedClock()
    said: list[str] = []
    progress = Progress(100_000_000, lambda text, _: said.append(text), time.clock)
    done = 0
    for amount in [5_000_000] * 5 + [1_000_000] * 15:
        time.wait(1)
        done += amount
        progress.there(done, amount)
    assert said[3] == "20.0 of 100.0 MB, 5.0 MB/s"
    assert said[-1] == "40.0 of 100.0 MB, 1.0 MB/s"


def test_a_note_has_a_fraction_of_all_files() -> None:
    said: list[float | None] = []
    progress = Progress(100, lambda _, fraction: said.append(fraction), lambda: 0.0)
    progress.there(10)
    progress.finished(50)
    progress.finished(50)
    assert said == [0.1, 0.5, 1.0]


HEAD4 = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
ETH0 = "eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
WLAN0 = "wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n"
NEAR = "usb0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
DOWN = "eth1\t00000000\t0101A8C0\t0002\t0\t0\t1\t00000000\t0\t0\t0\n"
HALF = "tun0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000080\t0\t0\t0\n"
ZERO, ALL = "0" * 32, "f" * 32
WWAN6 = f"{ZERO} 00 {ZERO} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003    wwan0\n"
NONE6 = f"{ZERO} 00 {ZERO} 00 {ZERO} ffffffff 00000001 00000000 00200200       lo\n"


def tree(root: Path, route: str | None, route6: str | None = None) -> Path:
    (root / "proc/net").mkdir(parents=True, exist_ok=True)
    for name, text in (("route", route), ("ipv6_route", route6)):
        if text is not None:
            (root / "proc/net" / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("route", "route6", "interface"),
    [
        (HEAD4 + ETH0, None, "eth0"),
        (HEAD4 + NEAR + WLAN0 + ETH0, None, "eth0"),
        (HEAD4 + DOWN + WLAN0, None, "wlan0"),
        (HEAD4 + HALF + WLAN0, None, "wlan0"),
        (HEAD4 + ETH0, WWAN6, "eth0"),
        (HEAD4 + NEAR, NONE6 + WWAN6, "wwan0"),
        (HEAD4 + NEAR, NONE6, None),
        (None, None, None),
        ("", "", None),
        (HEAD4 + "garbage\nx y z\n" + ETH0[:20], "0 1 2\n", None),
    ],
)
def test_the_default_route_is_the_one_with_the_lowest_metric(
    tmp_path: Path, route: str | None, route6: str | None, interface: str | None
) -> None:
    assert default_interface(tree(tmp_path, route, route6)) == interface


@given(st.text(max_size=200), st.lists(st.text("0123456789abcdefg", max_size=33), max_size=12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_file_of_routes_is_too_strange_to_read(tmp_path: Path, text: str, fields: list[str]) -> None:
    line = f"head\n{' '.join(fields)}\n"
    default_interface(tree(tmp_path, text.replace("\ud800", "") + line, line))


def test_the_kernels_own_files_can_be_read() -> None:
    default_interface(Path("/"))


@pytest.mark.parametrize(
    ("need", "used", "free", "code"),
    [
        (100, 900, 10_000, None),
        (101, 900, 10_000, "over_quota"),
        (100, 0, 300, None),
        (100, 0, 299, "no_space"),
        (0, 1000, 200, None),
    ],
)
def test_the_bounds_are_exact(need: int, used: int, free: int, code: str | None) -> None:
    config = UpdateConfig(quota_mb=1000, keep_free_mb=200)
    problem = room_problem(config, need * 10**6, used * 10**6, free * 10**6)
    assert (problem.code if problem else None) == code
