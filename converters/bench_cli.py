"""``edgetally-convert bench``: measure the artifacts of a bundle on this host, and compare them."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from converters.report.rows import Row
    from converters.speed import Speed
    from runtime.bundle import Bundle


_WIDTH = 160  # where there is no terminal to ask: a log, CI


def bench(
    bundle: Annotated[Path, typer.Argument(help="A bundle that `edgetally-convert build` wrote.")],
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="30 runs and 1 s each instead of 200 and 10 s; the figures say so.")
    ] = False,
    artifact: Annotated[
        list[str] | None, typer.Option("--artifact", "-a", help="Only this one, an id; may be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table, and no progress.")] = False,
) -> None:
    """Measure every artifact of a bundle that runs on this host: latency by stage, frames a second, memory.

    Each is measured in a process of its own, with one lane of all threads and with a lane a core. What does not fit
    this host stays in the table with the reason.

    Example: `edgetally-convert bench vehicles.bundle --quick`
    """
    from contracts.errors import DeviceError
    from converters.bench import bench as measure_bundle
    from converters.show import progress_bar
    from runtime.bundle import open_bundle
    from runtime.measure import FULL, QUICK

    opened = open_bundle(bundle)
    with progress_bar(quiet=as_json) as progress:
        rows = measure_bundle(opened, effort=QUICK if quick else FULL, only=artifact or (), progress=progress)
    if as_json:
        sys.stdout.write(json.dumps(_document(opened, rows), indent=2) + "\n")
    else:
        _print(opened, rows)
    failed = [row for row in rows if row.status == "failed"]
    if failed:
        raise DeviceError(f"{len(failed)} of {len(rows)} could not be measured; the first: {failed[0].reason}")


def _document(bundle: Bundle, rows: tuple[Row, ...]) -> dict[str, object]:
    from converters.speed import speed_of
    from runtime.environment import host_name

    measured = [row.model_dump(mode="json") | {"speed": asdict(speed_of(row, rows))} for row in rows]
    model = bundle.manifest.model
    return {
        "bundle": str(bundle.path),
        "digest": bundle.manifest.digest,
        "model": f"{model.name} {model.version}",
        "device": host_name(),
        "rows": measured,
    }


def _print(bundle: Bundle, rows: tuple[Row, ...]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from converters.speed import speed_of
    from runtime.environment import host_name

    console = Console(width=None if Console().is_terminal else _WIDTH)
    console.print(Text(f"{bundle.manifest.model.name} {bundle.manifest.model.version} on {host_name()}"))
    table = Table("artifact", "in", "lanes x threads")
    for heading in ("p50 ms", "p90", "p99", "n", "fps", "x fp32", "x default", "model MB", "peak MB", "load ms"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(Text(row.artifact or ""), *_cells(row, speed_of(row, rows)), style="bold" if row.chosen else None)
    console.print(table)
    for row in rows:
        if row.reason:
            console.print(Text(f"{row.artifact}: {row.status}: {row.reason}", style="yellow"))
    console.print(Text(_legend(rows)))
    before = next((row.benchmark.environment.load_average for row in rows if row.benchmark), None)
    if before is not None:
        console.print(Text(f"load average before the first: {before:.1f}; well above 0, other programs took part"))


def _cells(row: Row, speed: Speed) -> list[str]:
    benchmark = row.benchmark
    if benchmark is None:
        return [row.execution_precision or "", row.status]
    total = benchmark.stages["total"]
    figures = [
        *(f"{value:.2f}" for value in (total.p50, total.p90, total.p99)),
        str(total.n),
        f"{benchmark.fps:.1f}",
        _times(speed.against_fp32),
        f"{_times(speed.against_default)} ({row.default_precision})",
        *(f"{value:.0f}" for value in (benchmark.model_mb, benchmark.peak_mb, benchmark.load_ms)),
    ]
    return [benchmark.execution_precision, f"{benchmark.lanes} x {benchmark.threads}", *figures]


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}"


def _legend(rows: tuple[Row, ...]) -> str:
    legend = (
        "milliseconds of a whole frame (resize, infer, decode), one lane; fps: all lanes together; "
        "x: frames a second against the target's fp32 file computed in f32, and in what the runtime takes by itself"
    )
    if any(row.benchmark and row.benchmark.quick for row in rows):
        legend += "; quick: too few runs for p99, and no figure to quote"
    return legend
