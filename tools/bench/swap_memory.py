"""``python -m tools.bench.swap_memory BUNDLE``: whether a model that was swapped out leaves memory behind.

Each artifact is opened, run and closed again and again beside the one that served until then, as at a hot swap, in a
process of its own; with what the agent does after it (`agent.host.give_back_memory`) and without.
"""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from agent.choose import candidates
from agent.facts import device_facts
from agent.host import give_back_memory, resident_mb
from contracts.config import RuntimeConfig
from runtime.artifact_lanes import open_artifact_lanes
from runtime.backends.base import Lane
from runtime.bundle import Bundle, open_bundle
from runtime.console import run_program
from runtime.environment import host_name

app = typer.Typer(pretty_exceptions_enable=False)

_RUNS = 5  # of each lane, so that what a runtime allocates late is there


@app.command()
def measure(
    bundle: Annotated[Path, typer.Argument(help="Whose artifacts are swapped.")],
    swaps: Annotated[int, typer.Option(min=2, help="How often.")] = 30,
    one: Annotated[str | None, typer.Option(help="Only this artifact, in this process; prints MB after each.")] = None,
    give_back: Annotated[bool, typer.Option(help="With --one: do after each what the agent does.")] = True,
) -> None:
    """Resident memory after the first swap and after the last, for every artifact that runs here without an engine."""
    opened = open_bundle(bundle)
    if one is not None:
        typer.echo(" ".join(f"{mb:.1f}" for mb in _swapped(opened, one, swaps, give_back=give_back)))
        return
    found, _ = candidates(opened.manifest, device_facts(), RuntimeConfig())
    names = list(dict.fromkeys(candidate.artifact.id for candidate in found))
    table = Table("artifact", "given back", "MB after 1", f"MB after {swaps}", title=f"{host_name()}, {swaps} swaps")
    jobs = [(name, flag) for name in names for flag in ("--no-give-back", "--give-back")]
    for name, flag in track(jobs, console=Console(stderr=True), description="swapping"):
        command = [sys.executable, "-m", "tools.bench.swap_memory", str(bundle), "--swaps", str(swaps), "--one", name]
        told = subprocess.run([*command, flag], check=True, capture_output=True, text=True).stdout.split()
        table.add_row(name, "no" if flag.startswith("--no") else "yes", told[0], told[-1])
    Console().print(table)


def _swapped(bundle: Bundle, name: str, swaps: int, *, give_back: bool) -> list[float]:
    serving = _open(bundle, name)
    series = []
    for _ in range(swaps):
        following = _open(bundle, name)
        for lane in serving:
            lane.close()
        serving = following
        gc.collect()
        if give_back:
            give_back_memory()
        series.append(resident_mb() or 0.0)
    return series


def _open(bundle: Bundle, name: str) -> list[Lane]:
    artifact = bundle.artifact(name)
    lanes = open_artifact_lanes(bundle, artifact, execution_precision="f32", lanes=2)
    tensors = {tensor.name: np.zeros(tensor.shape, np.dtype(tensor.dtype)) for tensor in artifact.inputs}
    for lane in lanes:
        for _ in range(_RUNS):
            lane.infer(tensors)
    return lanes


if __name__ == "__main__":
    sys.exit(run_program(app))
