"""``python -m tools.sibling_sim``: how often updated boxes are taken for drifted, where they are and are not."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from fleet.rollout.siblings import compare
from runtime.console import run_program
from tools.sibling_sim.fleets import Roads, Trial, fleet

app = typer.Typer(pretty_exceptions_enable=False)

_WIDTH = 140  # where there is no terminal to ask
ROADS: Mapping[str, Roads] = {
    "20 an hour": Roads(20),
    "200": Roads(200),
    "200, restless": Roads(200, restless=0.4),
    "200, 5 % outliers": Roads(200, outliers=0.05),
}
SIZES = ((4, 20), (10, 50), (50, 200))
FACTORS = (1.0, 1.2, 0.7, 0.5, 0.0, 1.5)


@app.command()
def simulate(
    fleets: Annotated[int, typer.Option(min=1, help="Simulated fleets a figure.")] = 2000,
    max_drift: Annotated[float, typer.Option(min=0.01, help="As a share.")] = 0.2,
    hours: Annotated[float, typer.Option(min=0.25, help="Observed after; before it are four times as many.")] = 1.0,
) -> None:
    """Compare fleets that do not exist."""
    console = Console(width=None if Console().is_terminal else _WIDTH)
    table = Table("roads", "updated", "siblings", *(f"counts by {factor:g}" for factor in FACTORS), "too few")
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for name, roads in ROADS.items():
            for updated, siblings in SIZES:
                trials = [Trial(roads, updated, siblings, factor, hours) for factor in FACTORS]
                found = list(pool.map(partial(_judged, fleets=fleets, max_drift=max_drift), trials))
                few = sum(one["too_few"] for one in found) / (fleets * len(FACTORS))
                shares = (f"{one['drifted'] / fleets:.2%}" for one in found)
                table.add_row(name, str(updated), str(siblings), *shares, f"{few:.2%}")
    console.print(f"{fleets} fleets a figure, {hours:g} h after, {max_drift:.0%} allowed: share taken for drifted")
    console.print(table)


def _judged(trial: Trial, fleets: int, max_drift: float) -> Counter[str]:
    return Counter(compare(fleet(trial, seed), max_drift).verdict for seed in range(fleets))


if __name__ == "__main__":
    sys.exit(run_program(app))
