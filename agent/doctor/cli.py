"""edgetally-agent doctor."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from runtime.console import LogLevel, log_to_stderr


def doctor(
    config: Annotated[Path, typer.Option("--config", "-c", help="agent.toml", show_default=True)] = Path(
        "/etc/edgetally/agent.toml"
    ),
    only: Annotated[
        list[str] | None, typer.Option(help="Run this check only; may be repeated.", metavar="CHECK")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Leave the broker out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    log_level: Annotated[LogLevel, typer.Option("--log-level", help="What is said on stderr.")] = "error",
) -> None:
    """Find what is wrong with this box, and the command that mends it; the agent may run meanwhile.

    Looks at the hardware, configuration, service, permissions, disk, clock, runtimes (each multiplies two numbers),
    models, cameras (one frame each) and broker (a message on the box's own topic). Exits with 2 where something is
    wrong, with 3 where something will hurt, with 0 where neither is. Run it as root to see all.

    Example: `sudo edgetally-agent doctor`
    """
    from agent.doctor.ground import survey
    from agent.doctor.table import examine, exit_code
    from agent.doctor.view import document, lines, summary

    log_to_stderr(log_level)
    checked = []
    with progress() as note:
        for one in examine(survey(config, offline=offline), only or (), note):
            checked.append(one)
            if not as_json:
                typer.echo("\n".join(lines(one)))
    typer.echo(json.dumps(document(checked)) if as_json else summary(checked))
    if code := exit_code(checked):
        raise typer.Exit(code)


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """What is being done, on a terminal, until the next line comes."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status("looking") as status:
        yield status.update
