"""What the demo shows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from contracts.health import CameraHealth
from contracts.messages import CameraState
from tools.demo.truth import Truth
from tools.demo.watch import Seen

_QUALITY_STYLE: Mapping[str, str] = {"ok": "green", "stale": "yellow", "obscured": "yellow"}


def opening_lines(seen: Seen, broker: str) -> list[str]:
    """Where the broker is and which artifact was taken; empty until the agent has told."""
    if seen.facts is None:
        return []
    lines = [f"broker listens on {broker}; try: mosquitto_sub -p {broker.rpartition(':')[2]} -t 'edgetally/v1/#' -v"]
    for considered in seen.facts.artifacts:
        if considered.refused is None:
            lines.append(f"[green]took[/]    {considered.artifact}")
        else:
            lines.append(f"[dim]refused {considered.artifact}: {considered.refused}[/]")
    return lines


def live_table(seen: Seen, truth: Truth | None) -> RenderableType:
    """A row per camera, as it is now."""
    table = Table("camera", "fps", "latency p50 / p99", "count", "true", "quality", title="edgetally, live")
    if not seen.states:
        return Text("waiting for the agent")
    for camera, state in sorted(seen.states.items()):
        health = seen.health.cameras.get(camera) if seen.health else None
        table.add_row(
            camera,
            "" if health is None else f"{health.fps:.1f}",
            _latency(health),
            "no data" if state.count is None else f"{state.count:.1f}",
            _true(state, truth),
            Text(state.quality, style=_QUALITY_STYLE.get(state.quality, "red")),
        )
    problem = next((h.problem for h in seen.health.cameras.values() if h.problem), None) if seen.health else None
    return Group(table, Text(problem, style="red")) if problem else table


def summary_table(seen: Seen, truth: Truth | None) -> RenderableType:
    """What was counted in all."""
    reports = sorted(seen.reports.values(), key=lambda report: report.seq)
    table = Table("", "", title="summary", show_header=False)
    table.add_row("windows reported", f"{len(reports)} ({_gaps([report.seq for report in reports])})")
    table.add_row("frames counted", str(sum(report.frames_seen for report in reports)))
    dropped = sum(sum(report.frames_dropped.values()) for report in reports)
    table.add_row("frames dropped", str(dropped))
    levels = [report.count for report in reports if report.count is not None]
    if levels:
        table.add_row(
            "count, mean and most", f"{np.mean([x.mean for x in levels]):.1f}, {max(x.max for x in levels):.1f}"
        )
    else:
        table.add_row("count", "no data")
    if seen.health:
        for camera, health in seen.health.cameras.items():
            table.add_row(f"{camera}: latency p50 / p99", _latency(health))
    if truth is not None:
        table.add_row("against the truth", _against(seen, truth))
    return table


def _against(seen: Seen, truth: Truth) -> str:
    """Error of the counts that were published, frame by frame."""
    pairs = [(count, truth(frame)) for counted in seen.counted.values() for frame, count in counted.items()]
    if not pairs:
        return "no count was published"
    measured, true = np.array(pairs, np.float64).T
    off = measured - true
    return (
        f"mean {measured.mean():.1f} counted, {true.mean():.1f} true; "
        f"off by {np.abs(off).mean():.1f} a frame (bias {off.mean():+.1f}, n={len(off)})"
    )


def _gaps(seqs: list[int]) -> str:
    missing = seqs[-1] - seqs[0] + 1 - len(seqs) if seqs else 0
    return "no gap" if not missing else f"{missing} missing"


def _latency(health: CameraHealth | None) -> str:
    latency = health.latency_ms if health else None
    return "" if latency is None else f"{latency.p50:.0f} / {latency.p99:.0f} ms"


def _true(state: CameraState, truth: Truth | None) -> str:
    return "" if truth is None or state.frame is None else str(truth(state.frame))
