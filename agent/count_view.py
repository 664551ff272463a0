"""What ``edgetally-agent count`` shows a person."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from agent.count import Summary


@contextmanager
def counting_progress(source: str) -> Iterator[Callable[[int], None]]:
    """A line on stderr that tells how many frames are counted."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"opening {source}")

        def show(frames: int) -> None:
            progress.update(task, description=f"{frames} frames counted")

        yield show


def print_summary(summary: Summary) -> None:
    """The summary as a table."""
    console = Console()
    console.print(f"{len(summary.frames)} frames counted with {summary.artifact}")
    if summary.camera.line:
        _print_lines(console, summary)
    if summary.camera.zone:
        _print_levels(console, "zone", {zone.name: summary.zone(zone.name) for zone in summary.camera.zone})
    if not summary.camera.line and not summary.camera.zone:
        _print_levels(console, "count", {"whole picture": dict(summary.count())})
    if summary.each:
        for number, counts in summary.frames:
            console.print(f"frame {number}: {counts.count:.2f}")


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


def _print_levels(console: Console, kind: str, levels: dict[str, dict[str, object]]) -> None:
    table = Table(kind, "last", "mean", "max", "visits")
    for name, level in levels.items():
        cells = (level.get(key) for key in ("last", "mean", "max", "visits"))
        table.add_row(name, *("" if cell is None else str(cell) for cell in cells))
    console.print(table)
