"""``python -m tools.drift_sim``: false warnings a camera and year, hours until a true one, and what blur looks like."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from contracts.health import DRIFT_INDICATORS, Indicator
from runtime.console import run_program
from tools.drift_sim.clips import worse_clips
from tools.drift_sim.road import Road
from tools.drift_sim.trial import FAULTS, Quiet, delays, quiet

app = typer.Typer(pretty_exceptions_enable=False)

_YEAR = 8766  # hours
_WIDTH = 140  # where there is no terminal to ask
_MIDDAY = 12 + 24  # the hour of a Tuesday at which something happens; with each camera it is 5 hours later
ROADS: Mapping[str, Road] = {
    "200 in the busiest hour": Road(200),
    "20": Road(20),
    "2000": Road(2000),
    "200, days differ by 20 %": Road(200, day_spread=0.2, hour_spread=0.2),
    "200, each seen 12 times": Road(200, looks=12),
}


@app.command()
def simulate(
    cameras: Annotated[int, typer.Option(min=2, help="Simulated cameras a road.")] = 10,
    weeks: Annotated[int, typer.Option(min=6, help="Weeks for which nothing happens to them.")] = 16,
    clips: Annotated[Path | None, typer.Option(help="Folder of real clips to blur, instead of simulating.")] = None,
) -> None:
    """Try the rules of drift on roads that do not exist, or their measures on pictures that do."""
    console = Console(width=None if Console().is_terminal else _WIDTH)
    if clips is not None:
        console.print(_clip_table(clips))
        return
    false, late = Table("road", "camera-years", *DRIFT_INDICATORS), Table("road", *FAULTS)
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for name, road in ROADS.items():
            nothing = list(pool.map(quiet, [road] * cameras, range(cameras), [weeks] * cameras))
            false.add_row(name, *_false(nothing))
            begins = [(_MIDDAY + 5 * number) % 168 for number in range(cameras)]
            late.add_row(name, *_late(list(pool.map(delays, [road] * cameras, range(cameras), begins))))
    console.print(f"{cameras} cameras a road, {weeks} weeks each: false warnings; in brackets camera-years judged")
    console.print(false)
    console.print(f"{cameras} cameras a road: how many warned within a week; hours until then, median and worst")
    console.print(late)


def _false(nothing: list[Quiet]) -> list[str]:
    years = sum(one.hours["sharpness"] for one in nothing) / _YEAR
    return [f"{years:.1f}", *(_false_of(indicator, nothing) for indicator in DRIFT_INDICATORS)]


def _false_of(indicator: Indicator, nothing: list[Quiet]) -> str:
    warnings = sum(one.warnings[indicator] for one in nothing)
    years = sum(one.hours[indicator] for one in nothing) / _YEAR
    return f"{warnings} ({years:.1f})"


def _late(found: list[dict[str, int | None]]) -> list[str]:
    return [_late_of([one[fault] for one in found]) for fault in FAULTS]


def _late_of(hours: list[int | None]) -> str:
    known = [one for one in hours if one is not None]
    return f"{len(known)}: {np.median(known):.0f}, {max(known)}" if known else "0"


def _clip_table(folder: Path) -> Table:
    table = Table("clip", "what was done", "brightness", "sharpness", "of the usual")
    usual = 1.0
    for one in worse_clips(folder):
        usual = one.sharpness if one.what == "blur 0" else usual
        sharp = f"{one.sharpness:.3f} ± {one.spread:.3f}"
        table.add_row(one.clip, one.what, f"{one.brightness:.0f}", sharp, f"{one.sharpness / usual:.2f}")
    return table


if __name__ == "__main__":
    sys.exit(run_program(app))
