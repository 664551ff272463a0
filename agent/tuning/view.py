"""What ``edgetally-agent tune`` shows a person."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from agent.tuning.cache import Tuned
from agent.tuning.findings import why
from agent.tuning.rules import Aim, Record


@contextmanager
def tuning_progress() -> Iterator[Callable[[str, float], None]]:
    """A line on stderr that tells how far it is."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=20), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("opening", total=1.0)

        def note(what: str, share: float) -> None:
            progress.update(task, description=what, completed=share)

        yield note


def print_tuned(tuned: Tuned, aim: Aim) -> None:
    """The settings, best first, and what follows."""
    need = "" if aim.need is None else f" for {aim.need:g} frames a second"
    names = ("artifact", "in", "lanes x threads", "fps", "ms", "CPU ms", "against", "n")
    table = Table(*names, title=f"measured for {aim.goal}{need}")
    for record in sorted(tuned.records, key=lambda record: -record.gain):
        table.add_row(*_row(record, is_best=record.setting == tuned.best))
    console = Console()
    console.print(table)
    for setting, problem in tuned.failed.items():
        console.print(f"not measured: {setting}: {problem}")
    console.print(f"against: {tuned.base}, which serves where nothing was measured; 2.00 is twice as good")
    console.print(f"takes {tuned.best}: {why(tuned, aim)}")


def _row(record: Record, *, is_best: bool) -> tuple[str, ...]:
    setting, figures = record.setting, record.figures
    return (
        f"{'* ' * is_best}{setting.artifact}",
        setting.execution_precision,
        f"{setting.lanes} x {setting.threads}",
        f"{figures.fps:.1f}",
        f"{figures.latency_ms:.1f}",
        f"{figures.cpu_ms:.1f}",
        f"{record.gain:.2f}",
        str(record.n),
    )
