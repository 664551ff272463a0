"""``python -m tools.bench.tuning_cost BUNDLE``: what measuring beside it costs a box whose lanes are all busy."""

from __future__ import annotations

import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from agent.camera_unit import CameraUnit
from agent.engines.supply import EngineSupply
from agent.facts import device_facts
from agent.lanes import LanePool
from agent.model import LoadedModel, load_model
from agent.tuning.child import PairJob
from agent.tuning.pair import MeasuringStoppedError, Pair
from contracts.config import CameraConfig, RuntimeConfig
from runtime.bundle import Bundle, open_bundle
from runtime.console import run_program
from runtime.environment import host_name

app = typer.Typer(pretty_exceptions_enable=False)


@app.command()
def cost(
    bundle: Annotated[Path, typer.Argument(help="What is counted with, and measured.")],
    rounds: Annotated[int, typer.Option(min=1, help="How often each is measured, in turn.")] = 9,
    seconds: Annotated[float, typer.Option(min=0.5, help="Of each measurement.")] = 3.0,
) -> None:
    """Count as fast as it goes, with and without a process that measures all the time, niced more and more."""
    opened, facts = open_bundle(bundle), device_facts()
    with tempfile.TemporaryDirectory() as folder:
        model = load_model(opened, facts, RuntimeConfig(), EngineSupply(Path(folder), facts)).model
    if model is None:
        raise typer.BadParameter("nothing of it runs without an engine")
    with _counting(opened, model) as unit, ExitStack() as closing:
        gates = {nice: _measured_beside(opened, model, nice, closing) for nice in (0, 10, 19)}
        shares: dict[int, list[float]] = {nice: [] for nice in gates}
        for _ in range(rounds):
            for nice, gate in gates.items():
                alone = _rate(unit, seconds)
                gate.set()
                shares[nice].append(_rate(unit, seconds) / alone)
                gate.clear()
    typer.echo(f"{host_name()}; {model.setting}; {rounds} rounds of {seconds} s without and with, in turn")
    for nice, found in shares.items():
        typer.echo(
            f"nice {nice:2}: {statistics.median(found):.2f} of the frames ({min(found):.2f} to {max(found):.2f})"
        )


@contextmanager
def _counting(bundle: Bundle, model: LoadedModel) -> Iterator[CameraUnit]:
    ready = threading.Condition()
    camera = CameraConfig(id="road", source="synthetic", realtime=False)
    unit = CameraUnit(camera, bundle.manifest.model, ready, "bench")
    pool = LanePool([unit.stream], ready)
    pool.switch(model)
    unit.start()
    try:
        yield unit
    finally:
        unit.close()
        pool.stop()
        model.close()


def _measured_beside(bundle: Bundle, model: LoadedModel, nice: int, closing: ExitStack) -> threading.Event:
    """A process that measures while the event is set; it is open and warm when this returns."""
    gate, ended = threading.Event(), threading.Event()
    job = PairJob(bundle=bundle.path.resolve(), settings=(model.setting, model.setting), nice=nice)
    pair = closing.enter_context(Pair(job, ended.is_set))
    pair.round()

    def work() -> None:
        try:
            while gate.wait() and not ended.is_set():
                pair.round()
        except MeasuringStoppedError:
            pass

    thread = threading.Thread(target=work)
    thread.start()

    def end() -> None:
        ended.set()
        gate.set()
        thread.join()

    closing.callback(end)
    return gate


def _rate(unit: CameraUnit, seconds: float) -> float:
    begun, counted = time.monotonic(), unit.counted
    time.sleep(seconds)
    return (unit.counted - counted) / (time.monotonic() - begun)


if __name__ == "__main__":
    sys.exit(run_program(app))
