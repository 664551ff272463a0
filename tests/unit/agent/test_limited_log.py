"""A fault that repeats is said now and then, with how often it came."""

from __future__ import annotations

import logging

import pytest

from agent.limited_log import LimitedLog
from agent.timings import Timings, percentiles


def test_repeated_faults_are_counted_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    log = LimitedLog(logging.getLogger("t"), seconds=10, clock=lambda: now[0])
    for _ in range(100):
        log.error("frame %d", 1)
    now[0] = 10.0
    log.error("frame %d", 2)
    assert [record.getMessage() for record in caplog.records] == [
        "frame 1",
        "frame 2 (99 more like this were not logged)",
    ]


def test_percentiles_are_in_milliseconds_with_their_n() -> None:
    latency = percentiles([0.001] * 99 + [0.101])
    assert (latency.n, latency.p50, latency.p90, latency.p95) == (100, 1.0, 1.0, 1.0)
    assert latency.p99 == pytest.approx(2.0)


def test_timings_keep_the_last_samples_only() -> None:
    timings = Timings()
    for number in range(10_000):
        timings.add("infer", float(number))
    kept = timings.samples("infer")
    assert kept == [float(number) for number in range(10_000 - len(kept), 10_000)]
    assert 1000 < len(kept) < 10_000
    latency = timings.latency("infer")
    assert latency is not None
    assert latency.n == len(kept)
    assert timings.latency("count") is None
