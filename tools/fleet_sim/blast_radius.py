"""``python -m tools.fleet_sim.blast_radius``: how many boxes a bad model reaches until it is stopped, and the cost."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from contracts.errors import WrittenError
from runtime.console import run_program
from runtime.documents import read_toml
from tools.fleet_sim.run import Result, Run, Stage
from tools.fleet_sim.scenario import Scenario
from tools.fleet_sim.scenarios import find_scenario, scenarios
from tools.fleet_sim.servers import Cost, cost, mosquitto, own_cost, postgres

app = typer.Typer(pretty_exceptions_enable=False)

_WIDTH = 150  # where there is no terminal to ask


@app.command()
def measure(
    devices: Annotated[str, typer.Option(help="Numbers of boxes, with commas.")] = "1000,2000,5000,10000",
    names: Annotated[str, typer.Option("--scenarios", help="With commas; all where empty.")] = "",
    file: Annotated[Path | None, typer.Option(help="TOML file of a scenario, instead.")] = None,
    out: Annotated[Path | None, typer.Option(help="JSON file for the results.")] = None,
    controllers: Annotated[int, typer.Option(min=1, max=8, help="That work at once.")] = 2,
    patience: Annotated[float, typer.Option(min=1, help="Seconds that a run may take.")] = 600.0,
    logs: Annotated[Path | None, typer.Option(help="Folder for the controllers' logs.")] = None,
    profile: Annotated[Path | None, typer.Option(help="Folder for profiles of the controllers.")] = None,
) -> None:
    """Run scenarios on a broker, a database and controllers of their own; one of these is killed in each run."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what was started ends with it
    chosen = [read_toml(Scenario, file)] if file is not None else _chosen(names)
    results: list[Result] = []
    for scenario in chosen:
        for boxes in _numbers(devices):
            result = run_alone(scenario, boxes, controllers, patience, logs, profile)
            results.append(result)
            _say(result)
            if out is not None:
                out.write_text(json.dumps([each.document() for each in results], indent=2) + "\n")
    Console(width=None if Console().is_terminal else _WIDTH).print(_table(results))
    if any(result.problems for result in results):
        raise WrittenError("something happened that must never; see 'problems'")


def run_alone(
    scenario: Scenario,
    boxes: int,
    controllers: int = 2,
    patience: float = 600.0,
    logs: Path | None = None,
    profile: Path | None = None,
) -> Result:
    """One run, on a broker and a database of its own."""
    with tempfile.TemporaryDirectory() as folder, mosquitto(Path(folder)) as (port, broker), postgres() as (at, server):

        def costs() -> dict[str, Cost]:
            return {"mosquitto": cost(broker), "postgresql": cost(server), "boxes": own_cost()}

        if logs is not None:
            logs.mkdir(parents=True, exist_ok=True)
        stage = Stage(port, at, logs or Path(folder), costs, controllers, patience, profile)
        return asyncio.run(Run(stage, scenario, boxes).go())


def _chosen(names: str) -> list[Scenario]:
    return [find_scenario(name) for name in (names.split(",") if names else scenarios())]


def _numbers(text: str) -> Sequence[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise WrittenError(f"--devices should be numbers with commas, got {text!r}") from error


def _say(result: Result) -> None:
    line = f"{result.scenario} with {result.boxes} boxes: {result.state} after {result.converged:.1f} s"
    print(line, *result.classes.items(), *result.problems[:5], sep="\n  ", file=sys.stderr)


def _table(results: Iterable[Result]) -> Table:
    table = Table(
        "scenario", "boxes", "state", "enrolled s", "converged s", "harmed before halt", "harmed", "exposed",
        "halt after s", "messages", "controllers CPU s", "RSS MB", "PostgreSQL CPU s", "Mosquitto CPU s", "boxes CPU s",
    )  # fmt: skip
    for one in results:
        table.add_row(
            one.scenario,
            str(one.boxes),
            one.state,
            f"{one.enrolled:.1f}",
            f"{one.converged:.1f}",
            str(one.harmed_before_halt),
            str(one.harmed),
            str(one.exposed),
            "" if one.to_halt is None else f"{one.to_halt:.1f}",
            str(one.sent + one.got),
            f"{one.costs['controllers'].cpu_seconds:.1f}",
            f"{one.costs['controllers'].peak_mb:.0f}",
            *(f"{one.costs[name].cpu_seconds:.1f}" for name in ("postgresql", "mosquitto", "boxes")),
        )
    return table


if __name__ == "__main__":
    sys.exit(run_program(app))
