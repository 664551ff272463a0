"""What ``edgetally-agent update`` shows a person while it goes on."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from agent.update.rules import ACTIVE, BEFORE, Attempt

_STATES = (*BEFORE, *ACTIVE)


def followed(attempts: Iterable[Attempt], *, quiet: bool) -> Attempt:
    """Show an attempt's states as they come; returns the last.

    Raises:
        EdgetallyError: whatever keeps it from being followed.
    """
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=20), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as progress:
        task = progress.add_task("asked for", total=len(_STATES))
        for attempt in attempts:
            done = _STATES.index(attempt.state) if attempt.state in _STATES else None
            progress.update(task, description=attempt.state, completed=done)
    return attempt
