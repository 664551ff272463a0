"""What ``edgetally-agent count`` shows a person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from agent.count import Watching
from agent.count_summary import Summary
from runtime.tensorrt.build import BuildProgress


@contextmanager
def counting_progress(source: str) -> Iterator[Watching]:
    """A line on stderr that tells how far it is: the engine that is built first where there is one, then the frames."""
    console = Console(stderr=True)
    bar = BarColumn(bar_width=20)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), bar, TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(f"opening {source}", total=None)

        def building(artifact: str, build: BuildProgress) -> None:
            phase = f": {build.phase}" if build.phase else ""
            text = f"building the engine of {artifact}, once{phase}"
            progress.update(task, description=text, total=1.0 if build.fraction is not None else None)
            progress.update(task, completed=build.fraction or 0.0)

        def counted(frames: int) -> None:
            progress.update(task, description=f"{frames} frames counted", total=None)

        yield Watching(counted, building)


def print_summary(summary: Summary) -> None:
    """The summary as a table."""
    console = Console()
    console.print(f"{len(summary.frames)} frames counted with {summary.artifact}")
    if summary.camera.line:
        _print_lines(console, summary)
    if summary.camera.zone:
        _print_levels(console, "zone", {zone.name: summary.zone(zone.name) for zone in summary.camera.zone})
    if summary.questions:
        _print_states(console, summary)
    elif not summary.camera.line and not summary.camera.zone:
        _print_levels(console, "count", {"whole picture": dict(summary.count())})
    if summary.true is not None:
        console.print(f"scale = {summary.scale():g} in the camera's table makes the mean {summary.true:g}")
    if summary.each:
        for number, counts in summary.frames:
            shown = ", ".join(counts.states.values()) if counts.count is None else f"{counts.count:.2f}"
            console.print(f"frame {number}: {shown}")


def _print_lines(console: Console, summary: Summary) -> None:
    table = Table("line", "label", "in", "out")
    for line in summary.camera.line:
        crossed = summary.line(line.name)
        table.add_row(line.name, "all", str(crossed["in"]), str(crossed["out"]))
        by_label = crossed["by_label"]
        assert isinstance(by_label, dict)
        for label, ways in sorted(by_label.items()):
            table.add_row("", label, str(ways["in"]), str(ways["out"]))
    console.print(table)


def _print_states(console: Console, summary: Summary) -> None:
    table = Table("question", "state", "share of frames", "entries")
    for name in summary.questions:
        states = summary.states(name)
        share, entries = states["share"], states["entries"]
        assert isinstance(share, dict)
        assert isinstance(entries, dict)
        for state in sorted({*share, *entries}):
            table.add_row(name, state, f"{share.get(state, 0):.1%}", str(entries.get(state, 0)))
    console.print(table)


def _print_levels(console: Console, kind: str, levels: dict[str, dict[str, object]]) -> None:
    keys = ("last", "mean", "max", "visits", "occupancy")
    table = Table(kind, *keys, "mean stay")
    for name, level in levels.items():
        dwell = level.get("dwell")
        stay = dwell["mean"] if isinstance(dwell, dict) else None
        table.add_row(name, *("" if cell is None else str(cell) for cell in (*map(level.get, keys), stay)))
    console.print(table)
