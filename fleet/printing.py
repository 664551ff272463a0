"""Tables on the terminal, or in a file or pipe, which nobody can widen."""

from __future__ import annotations

from rich.console import Console, RenderableType

_FILE_WIDTH = 200  # characters of a line


def terminal() -> Console:
    """Standard output; what stands in brackets or between colons is text, whoever wrote it."""
    return Console(markup=False, emoji=False)


def print_out(what: RenderableType, console: Console | None = None) -> None:
    """Print on standard output, or on another console."""
    console = console or terminal()
    if not console.is_terminal:
        console.width = _FILE_WIDTH
    console.print(what)
