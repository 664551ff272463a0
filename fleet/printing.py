"""Tables on the terminal, or in a file or pipe, which nobody can widen."""

from __future__ import annotations

from rich.console import Console, RenderableType

_FILE_WIDTH = 200  # characters of a line


def print_out(what: RenderableType, console: Console | None = None) -> None:
    """Print on standard output, or on another console."""
    console = console or Console()
    if not console.is_terminal:
        console.width = _FILE_WIDTH
    console.print(what)
