"""edgetally-convert tools: the isolated toolchains on this host."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

app = typer.Typer(
    name="tools",
    help="Installs and removes the tools that some targets need in environments of their own.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Name = Annotated[str, typer.Argument(help="A name that `edgetally-convert tools list` shows.")]


@app.command("list")
def list_tools(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False
) -> None:
    """List the toolchains, what each is for, and which are installed.

    Example: `edgetally-convert tools list --json`
    """
    from converters.toolchains.environment import installed
    from converters.toolchains.table import TOOLCHAINS

    rows = [
        {
            "name": tool.name,
            "description": tool.description,
            "pythons": list(tool.pythons),
            "megabytes": tool.megabytes,
            "installed": str(environment.folder) if environment else None,
        }
        for tool in TOOLCHAINS.values()
        for environment in [installed(tool)]
    ]
    if as_json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("toolchain", "what for", "Python", "size", "installed")
    for row in rows:
        python = " or ".join(tool for tool in TOOLCHAINS[str(row["name"])].pythons)
        installed_in = str(row["installed"] or "no")
        table.add_row(str(row["name"]), str(row["description"]), python, f"{row['megabytes']} MB", installed_in)
    Console().print(table)


@app.command()
def install(name: Name) -> None:
    """Make a toolchain's environment; does nothing where it is there.

    Example: `edgetally-convert tools install onnx2tf`
    """
    from rich.console import Console

    from converters.show import progress_bar
    from converters.toolchains.environment import ensure

    with progress_bar(quiet=False) as progress:
        environment = ensure(name, allow_install=True, progress=progress)
    Console().print(f"{name}: {environment.folder}", soft_wrap=True)


@app.command()
def remove(name: Name) -> None:
    """Remove all environments of a toolchain.

    Example: `edgetally-convert tools remove onnx2tf`
    """
    from converters.toolchains.environment import remove as remove_environments

    sys.stdout.write(f"{name}: {remove_environments(name)} removed\n")
