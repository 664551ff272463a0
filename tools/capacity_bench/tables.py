"""The tables that are printed; every figure is a median over the rounds, every ratio one of figures of one round."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence

from rich.table import Table

from contracts.health import StageLatency
from tools.bench.job import Measured
from tools.capacity_bench.cpu import DECODE, INFERENCE, around
from tools.capacity_bench.job import Carried
from tools.capacity_bench.run import Pair


def throughput(found: Mapping[int, Sequence[Pair]]) -> Table:
    """What came, what was counted, what was not, by the number of cameras."""
    table = Table(
        "cameras", "came fps", "counted fps", "bare fps", "ours ÷ bare", "dropped", "coverage", "reports", "CPU cores",
        title="1080p H.264 cameras in real time",
    )  # fmt: skip
    for cameras, pairs in found.items():
        ours = [pair.ours for pair in pairs]
        covered = [pair.delivered.coverage for pair in pairs if pair.delivered.coverage is not None]
        table.add_row(
            str(cameras),
            f"{statistics.median(one.came / one.seconds for one in ours):.1f}",
            f"{statistics.median(one.fps for one in ours):.1f}",
            f"{statistics.median(pair.bare.fps for pair in pairs):.1f}",
            f"{ratio(pairs):.2f}",
            _dropped(ours),
            f"{statistics.median(covered):.3f}" if covered else "-",
            f"{sum(pair.delivered.arrived for pair in pairs)} of {sum(pair.delivered.expected for pair in pairs)}",
            f"{statistics.median(one.cpu_seconds / one.seconds for one in ours):.2f}",
        )
    return table


def latency(found: Mapping[int, Sequence[Pair]]) -> Table:
    """How old frames and reports were; of the last round, for percentiles of several rounds have no median."""
    table = Table(
        "cameras", "what", "n", "p50 ms", "p95 ms", "p99 ms", "source behind, p95 ms", title="latency of the last round"
    )
    for cameras, pairs in found.items():
        ours, bare = pairs[-1].ours, pairs[-1].bare
        behind = f"{ours.behind_ms:.0f}"
        _add(table, str(cameras), "capture to counted", ours.stages.get("total"), behind)
        _add(table, "", "capture to published", ours.stages.get("published"), "")
        _add(table, "", "bare: capture to inferred", bare.stages.get("total"), "")
        table.add_section()
    return table


def efficiency(found: Mapping[str, Sequence[Pair]]) -> Table:
    """One camera as fast as it goes, by artifact: what the agent costs beside the floor."""
    table = Table(
        "artifact", "n", "fps", "bare fps", "ours ÷ bare", "worst to best", "overhead ms CPU a frame", "peak MB",
        "bare MB", "more MB", title="one camera as fast as it goes",
    )  # fmt: skip
    for artifact, pairs in found.items():
        ratios = [pair.ours.fps / pair.bare.fps for pair in pairs]
        table.add_row(
            artifact,
            str(len(pairs)),
            f"{statistics.median(pair.ours.fps for pair in pairs):.1f}",
            f"{statistics.median(pair.bare.fps for pair in pairs):.1f}",
            f"{ratio(pairs):.3f}",
            f"{min(ratios):.3f} to {max(ratios):.3f}",
            f"{statistics.median(pair.ours.cpu_ms - pair.bare.cpu_ms for pair in pairs):.2f}",
            f"{statistics.median(pair.ours.rss_mb for pair in pairs):.0f}",
            f"{statistics.median(pair.bare.rss_mb for pair in pairs):.0f}",
            f"{statistics.median(pair.ours.rss_mb - pair.bare.rss_mb for pair in pairs):.0f}",
        )
    return table


def idle(one: Carried, fps: float) -> Table:
    """Who spends the processor's time while little is to be done, in parts of one core."""
    table = Table("who", "% of a core", title=f"one camera at {fps:g} fps, {one.seconds:.0f} s, {one.frames} frames")
    inside = {DECODE, INFERENCE}
    for who in sorted(one.cpu, key=lambda name: (name not in inside, -one.cpu[name])):
        table.add_row(who, f"{100 * one.cpu[who] / one.seconds:.2f}", end_section=who == INFERENCE)
    table.add_section()
    table.add_row("all but decode and inference", f"{100 * around(one.cpu) / one.seconds:.2f}")
    return table


def ratio(pairs: Sequence[Pair]) -> float:
    """Median over the rounds of ours to the floor, each pair measured one after the other."""
    return statistics.median(pair.ours.fps / pair.bare.fps for pair in pairs)


def _dropped(ours: Sequence[Measured]) -> str:
    """Frames that were not counted, in all rounds, by cause."""
    causes: Counter[str] = Counter()
    for one in ours:
        causes.update(one.dropped)
    return ", ".join(f"{cause} {number}" for cause, number in sorted(causes.items()) if number) or "none"


def _add(table: Table, cameras: str, what: str, found: StageLatency | None, behind: str) -> None:
    if found is None:
        table.add_row(cameras, what, "0", "-", "-", "-", behind)
        return
    table.add_row(cameras, what, str(found.n), f"{found.p50:.1f}", f"{found.p95:.1f}", f"{found.p99:.1f}", behind)
