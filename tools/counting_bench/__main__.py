"""``python -m tools.counting_bench``: errors against the truth, on the synthetic road and on real clips."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from runtime.console import run_program
from tools.bench.models import all_forms, default_models
from tools.counting_bench.clips import Clip, ClipCounted, clips_here, count_clip
from tools.counting_bench.scenarios import Scenario, scenarios
from tools.counting_bench.states import StateCounted, StateScenario, state_scenarios, watch_gate
from tools.counting_bench.trial import Counted, count_road
from tools.demo.prepare import current_bundle

app = typer.Typer(pretty_exceptions_enable=False)

_BOOTSTRAP = 2000
_WIDTH = 140  # where there is no terminal to ask
_PARTS = (1, 2, 3, 4, 6)  # of a clip's frames every first, second, ... is counted
_GATE_SECONDS = 300.0  # a gate opens less often than vehicles cross
Answer = tuple[Scenario, list[Counted]]
StateAnswer = tuple[StateScenario, list[StateCounted]]


@app.command()
def bench(
    roads: Annotated[int, typer.Option(min=2, help="Synthetic roads a scenario.")] = 6,
    seconds: Annotated[float, typer.Option(min=10, help="Length of each.")] = 40.0,
    clips: Annotated[bool, typer.Option(help="Count the real clips too, where data and detector are at hand.")] = True,
    work: Annotated[Path, typer.Option(help="Where the detector's bundle is kept.")] = Path("build/bench"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Count with what goes wrong at a roadside, and print how far off the counts are."""
    console = Console(stderr=as_json, width=None if Console().is_terminal else _WIDTH)
    found = list(track(_roads(roads, seconds), "counting roads", total=len(scenarios()), console=console))
    real = list(track(_clips(work), "counting clips", total=len(_tasks()), console=console)) if clips else []
    gates = [
        (scenario, [watch_gate(scenario, seed, _GATE_SECONDS) for seed in range(roads)])
        for scenario in track(state_scenarios(), "watching gates", console=console)
    ]
    if as_json:
        document = {
            "roads": [_document(*one) for one in found],
            "clips": list(map(dataclasses.asdict, real)),
            "gates": [_gate_document(*one) for one in gates],
        }
        typer.echo(json.dumps(document))
        return
    console.print(
        f"{roads} roads of {seconds:g} s each; error = wrong crossings / true ones, 95 % by bootstrap over roads"
    )
    console.print(_table(found))
    if real:
        console.print(_clip_table(real))
    console.print(_gate_table(gates))


def _roads(roads: int, seconds: float) -> Iterator[Answer]:
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        tasks = [
            (scenario, pool.map(count_road, [scenario] * roads, range(roads), [seconds] * roads))
            for scenario in scenarios()
        ]
        for scenario, answers in tasks:
            yield scenario, list(answers)


def _tasks() -> list[tuple[Clip, int]]:
    return [(clip, part) for clip in clips_here() for part in _PARTS]


def _clips(work: Path) -> Iterator[ClipCounted]:
    detectors = [model for model in default_models(work) if model.name == "yolox-nano"]
    if not detectors:
        return
    work.mkdir(parents=True, exist_ok=True)
    bundle = current_bundle(detectors[0], work, all_forms())
    for clip, part in _tasks():
        yield count_clip(clip, bundle, part)


def error_of(wrongs: Sequence[int], trues: Sequence[int], seed: int = 0) -> tuple[float, float, float]:
    """Wrong crossings, or entries, as a share of the true ones, and its 95 % interval.

    The bootstrap draws whole roads (Efron and Tibshirani 1993, 13), for crossings of one road are not independent.

    Args:
        wrongs: of each road.
        trues: of each road.
        seed: of the bootstrap.
    """
    wrong, true = np.array(wrongs, np.float64), np.array(trues, np.float64)
    drawn = np.random.default_rng(seed).integers(0, len(wrong), (_BOOTSTRAP, len(wrong)))
    shares = wrong[drawn].sum(axis=1) / np.maximum(true[drawn].sum(axis=1), 1.0)
    low, high = np.percentile(shares, [2.5, 97.5])
    return float(wrong.sum() / max(true.sum(), 1.0)), float(low), float(high)


def _error(counted: Sequence[Counted]) -> tuple[float, float, float]:
    return error_of([one.wrong for one in counted], [one.crossings for one in counted])


def _gate_error(counted: Sequence[StateCounted]) -> tuple[float, float, float]:
    return error_of([one.wrong for one in counted], [sum(one.true) for one in counted])


def _table(found: Sequence[Answer]) -> Table:
    table = Table(
        "what", "how badly", "crossings", "error", "95 %", "too many", "zone true", "zone counted", "px a frame (p90)"
    )
    axis = ""
    for scenario, counted in found:
        error, low, high = _error(counted)
        true, seen = (float(np.mean([one.present[place] for one in counted])) for place in (0, 1))
        if scenario.axis != axis:
            table.add_section()
        table.add_row(
            scenario.axis if scenario.axis != axis else "",
            scenario.value,
            str(sum(one.crossings for one in counted)),
            f"{error:.1%}",
            f"{low:.1%} to {high:.1%}",
            f"{sum(one.bias for one in counted):+d}",
            f"{true:.2f}",
            f"{seen:.2f}",
            f"{np.median([one.pixels for one in counted]):.0f}",
        )
        axis = scenario.axis
    return table


def _clip_table(found: Sequence[ClipCounted]) -> Table:
    table = Table("clip", "fps", "true", "counted", title="real clips, YOLOX-nano")
    for one in found:
        table.add_row(one.file, f"{one.fps:.1f}", str(one.true), str(one.counted))
    return table


def _gate_table(found: Sequence[StateAnswer]) -> Table:
    title = f"a gate's states, {_GATE_SECONDS:g} s each"
    table = Table("what", "how badly", "entries", "error", "95 %", "time in another state", title=title)
    for scenario, counted in found:
        error, low, high = _gate_error(counted)
        misheld = float(np.mean([one.misheld for one in counted]))
        entries = str(sum(sum(one.true) for one in counted))
        interval = f"{low:.1%} to {high:.1%}"
        table.add_row(scenario.axis, scenario.value, entries, f"{error:.1%}", interval, f"{misheld:.1%}")
    return table


def _gate_document(scenario: StateScenario, counted: Sequence[StateCounted]) -> dict[str, object]:
    error, low, high = _gate_error(counted)
    gates = [dataclasses.asdict(one) for one in counted]
    return {"axis": scenario.axis, "value": scenario.value, "error": error, "low": low, "high": high, "gates": gates}


def _document(scenario: Scenario, counted: Sequence[Counted]) -> dict[str, object]:
    error, low, high = _error(counted)
    return {
        "axis": scenario.axis,
        "value": scenario.value,
        "error": error,
        "low": low,
        "high": high,
        "roads": [dataclasses.asdict(one) for one in counted],
    }


if __name__ == "__main__":
    sys.exit(run_program(app))
