"""``python -m tools.bench.profile BUNDLE``: where the time of a 1080p clip goes, in all threads, by function."""

from __future__ import annotations

import cProfile
import pstats
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from agent.camera_unit import CameraUnit
from agent.engines.supply import EngineSupply
from agent.facts import device_facts
from agent.lanes import LanePool
from agent.model import load_model
from contracts.config import CameraConfig, RuntimeConfig
from runtime.bundle import open_bundle
from runtime.console import run_program
from tools.bench.clip import road_clip

app = typer.Typer(pretty_exceptions_enable=False)


@app.command()
def profile(
    bundle: Annotated[Path, typer.Argument(help="What is counted with.")],
    frames: Annotated[int, typer.Option(min=60, help="Length of the clip.")] = 300,
    lines: Annotated[int, typer.Option(min=1, help="How many functions are shown.")] = 25,
    work: Annotated[Path, typer.Option(help="Where the clip is kept.")] = Path("build/bench"),
) -> None:
    """Count a clip once and show where each thread's CPU time went."""
    work.mkdir(parents=True, exist_ok=True)
    clip = road_clip(work, frames)
    opened, facts = open_bundle(bundle), device_facts()
    model = load_model(opened, facts, RuntimeConfig(), EngineSupply(work / "engines", facts)).model
    if model is None:
        raise typer.BadParameter("nothing of it runs without an engine")
    profiles: list[cProfile.Profile] = []
    threading.Thread.run = _profiled(threading.Thread.run, profiles)  # type: ignore[method-assign, assignment]
    ready = threading.Condition()
    unit = CameraUnit(CameraConfig(id="clip", source=str(clip), realtime=False), opened.manifest.model, ready, "bench")
    pool = LanePool([unit.stream], ready)
    pool.switch(model)
    unit.start()
    while not unit.ended:
        time.sleep(0.05)
    unit.close()
    pool.stop()
    model.close()
    stats = pstats.Stats(profiles[0])
    for other in profiles[1:]:
        stats.add(other)
    typer.echo(f"{unit.counted} frames counted with {model.setting}; CPU seconds of all threads, profiling included")
    stats.sort_stats("tottime").print_stats(lines)


def _profiled(
    run: Callable[[threading.Thread], None], profiles: list[cProfile.Profile]
) -> Callable[[threading.Thread], None]:
    def profiled(thread: threading.Thread) -> None:
        mine = cProfile.Profile(time.thread_time)  # what waits for a lock or another process costs nothing
        profiles.append(mine)
        mine.runcall(run, thread)

    return profiled


if __name__ == "__main__":
    sys.exit(run_program(app))
