"""``python -m tools.bench``: measure the agent beside the bare runtime, in turn, and print the ratios."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from agent.facts import device_facts
from contracts.errors import EdgetallyError
from runtime.bundle import open_bundle
from runtime.console import run_program
from tools.bench.clip import road_clip
from tools.bench.device import device_line
from tools.bench.floor import floor_of
from tools.bench.job import Job, Measured
from tools.bench.models import all_forms, default_models
from tools.bench.process import measured_by
from tools.demo.broker import EmbeddedBroker
from tools.demo.prepare import current_bundle

app = typer.Typer(pretty_exceptions_enable=False)

_KINDS = ("ours", "bare", "alone")
Rounds = list[dict[str, Measured]]


@app.command()
def bench(
    model: Annotated[
        list[Path] | None, typer.Option(help="Model directories; by default the shipped one, and yolox-nano if here.")
    ] = None,
    frames: Annotated[int, typer.Option(min=60, help="Length of the clip.")] = 600,
    rounds: Annotated[int, typer.Option(min=1, help="How often each is measured, in turn.")] = 3,
    work: Annotated[Path, typer.Option(help="Where clip and bundles are kept.")] = Path("build/bench"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Count a 1080p clip with every artifact that runs here, beside the bare runtime on the same artifact."""
    work.mkdir(parents=True, exist_ok=True)
    console = Console(stderr=as_json)
    clip = road_clip(work, frames)
    models = model or default_models(work)
    bundles = {directory.name: current_bundle(directory, work, all_forms()) for directory in models}
    forms = {name: _forms(bundle, as_json=as_json) for name, bundle in bundles.items()}
    results: dict[str, Rounds] = {}
    with EmbeddedBroker(0) as broker, Progress(console=console, transient=True) as progress:
        for name, bundle in bundles.items():
            for artifact in _runnable(bundle):
                task = progress.add_task(f"{name} {artifact}", total=rounds)
                results[f"{name} {artifact}"] = measured = []
                for _ in range(rounds):
                    measured.append(_round(bundle, artifact, clip, broker.port))
                    progress.advance(task)
    if as_json:
        typer.echo(
            json.dumps({"device": device_line(), "frames": frames, "forms": forms, "results": _documents(results)})
        )
    else:
        console.print(f"{device_line()}; clip of {frames} frames 1920x1080 H.264; {rounds} rounds; medians")
        console.print(_throughput(results))
        console.print(_stages(results))


def _forms(bundle: Path, *, as_json: bool) -> object:
    """What ``edgetally-convert bench`` says of it: every form beside FP32 and beside the runtime's own choice."""
    command = [sys.executable, "-m", "converters.cli", "bench", str(bundle), *(["--json"] if as_json else [])]
    run = subprocess.run(command, check=False, text=True, stdout=subprocess.PIPE if as_json else None)
    if run.returncode:
        raise EdgetallyError(f"{bundle} could not be measured; the reason stands above")
    return json.loads(run.stdout) if as_json else None


def _runnable(bundle: Path) -> Iterator[str]:
    facts = device_facts()
    for artifact in open_bundle(bundle).manifest.artifacts:
        if not any(requirement.refusal(facts) for requirement in artifact.requires):
            yield artifact.id


def _round(bundle: Path, artifact: str, clip: Path, port: int) -> dict[str, Measured]:
    lanes = len(os.sched_getaffinity(0))
    return {kind: _measure(kind, bundle, artifact, clip, port, lanes) for kind in _KINDS}


def _measure(kind: str, bundle: Path, artifact: str, clip: Path, port: int, lanes: int) -> Measured:
    with tempfile.TemporaryDirectory() as state:
        job = Job(
            bundle=str(bundle),
            artifact=artifact,
            clip=str(clip),
            lanes=lanes,
            broker_port=port,
            state_dir=state,
            started=time.monotonic(),
        )
        if kind == "ours":
            return measured_by("tools.bench.ours", job.model_dump_json(), Measured)
    floor = floor_of(open_bundle(bundle), artifact, str(clip), lanes, time.monotonic())
    return measured_by(
        "tools.bench.bare", floor.model_copy(update={"alone": kind == "alone"}).model_dump_json(), Measured
    )


def _throughput(results: dict[str, Rounds]) -> Table:
    table = Table(
        "artifact", "fps", "bare fps", "ours ÷ bare", "runtime alone", "ours ÷ alone",
        "overhead ms CPU", "load s", "first count s", "peak MB", "bare MB",
    )  # fmt: skip
    for name, rounds in results.items():
        table.add_row(
            name,
            f"{_median(rounds, 'ours', 'fps'):.1f}",
            f"{_median(rounds, 'bare', 'fps'):.1f}",
            f"{_ratio(rounds, 'bare'):.2f}",
            f"{_median(rounds, 'alone', 'fps'):.1f}",
            f"{_ratio(rounds, 'alone'):.2f}",
            f"{statistics.median(r['ours'].cpu_ms - r['bare'].cpu_ms for r in rounds):.2f}",
            f"{_median(rounds, 'ours', 'load'):.2f}",
            f"{_median(rounds, 'ours', 'first'):.2f}",
            f"{_median(rounds, 'ours', 'rss_mb'):.0f}",
            f"{_median(rounds, 'bare', 'rss_mb'):.0f}",
        )
    return table


def _stages(results: dict[str, Rounds]) -> Table:
    table = Table("artifact", "stage", "n", "p50 ms", "p90 ms", "p95 ms", "p99 ms", title="stages of the last round")
    for name, rounds in results.items():
        for stage, latency in rounds[-1]["ours"].stages.items():
            table.add_row(
                name, stage, str(latency.n), f"{latency.p50}", f"{latency.p90}", f"{latency.p95}", f"{latency.p99}"
            )
    return table


def _median(rounds: Rounds, kind: str, figure: str) -> float:
    return float(statistics.median(getattr(r[kind], figure) for r in rounds))


def _ratio(rounds: Rounds, floor: str) -> float:
    """Median over the rounds of ours to the floor, each pair measured one after the other."""
    return statistics.median(r["ours"].fps / r[floor].fps for r in rounds)


def _documents(results: dict[str, Rounds]) -> dict[str, list[dict[str, object]]]:
    return {
        name: [{kind: measured.model_dump() | {"fps": measured.fps} for kind, measured in r.items()} for r in rounds]
        for name, rounds in results.items()
    }


if __name__ == "__main__":
    sys.exit(run_program(app))
