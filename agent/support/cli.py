"""edgetally-agent support-bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from agent.doctor.cli import progress


def support_bundle(
    config: Annotated[Path, typer.Option("--config", "-c", help="agent.toml", show_default=True)] = Path(
        "/etc/edgetally/agent.toml"
    ),
    out: Annotated[Path | None, typer.Option(help="The file to write; default: a name of its own, here.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Have the doctor leave the broker out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a sentence.")] = False,
) -> None:
    """Pack what somebody afar needs to find what is wrong: facts, the doctor's report, configuration, logs; no secret.

    Passwords, keys, and paths and credentials of cameras' addresses are taken out; names of hosts, addresses and the
    box's id are in it. Run it as root to have the log. The agent may run meanwhile.

    Example: `sudo edgetally-agent support-bundle`
    """
    from agent.doctor.ground import survey
    from agent.support.bundle import file_name, pack

    ground = survey(config, offline=offline)
    with progress() as note:
        packed = pack(ground, out or Path(file_name(ground)), note)
    if as_json:
        typer.echo(json.dumps({"path": str(packed.path.resolve()), "bytes": packed.size, "parts": packed.parts}))
        return
    size = f"{packed.size / 1e6:.1f} MB, {len(packed.parts)} files"
    typer.echo(f"{packed.path.resolve()} ({size}); look through it before you send it")
