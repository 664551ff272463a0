"""``python -m tools.fleet_sim.controller``: a controller whose clock goes faster, or that tells where its time goes."""

from __future__ import annotations

import cProfile
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from contracts.config import BrokerConfig
from fleet import inventory_options
from fleet.controller import ControllerSettings
from fleet.serving import Served, serve
from fleet.store.database import Database
from fleet.wanted.signing import unsigned
from runtime.console import log_to_stderr, run_program
from tools.fleet_sim.clock import FastClock

app = typer.Typer(pretty_exceptions_enable=False)

_LIFETIME_MS = 60 * 86_400_000
_MOST_DEVICES = 100_000


@app.command()
def control(
    port: Annotated[int, typer.Option(help="Of the broker, on loopback.")],
    database: Annotated[str, typer.Option(help="Its address.")],
    began_ms: Annotated[int, typer.Option(help="When the clock began, milliseconds since 1970.")],
    speed: Annotated[float, typer.Option(min=1, help="Of its seconds go by in one of the machine's.")] = 1.0,
    takeover: Annotated[float, typer.Option(min=1, help="As of `edgetally-fleet serve`.")] = 2.0,
    profile: Annotated[Path | None, typer.Option(help="Folder that profiles of both threads are written to.")] = None,
) -> None:
    """Run as `edgetally-fleet serve` does."""
    log_to_stderr("info")
    stopping = inventory_options.until_told()
    served = Served(BrokerConfig(host="127.0.0.1", port=port), "edgetally-fleet", _MOST_DEVICES, unsigned, _LIFETIME_MS)
    settings = ControllerSettings(lease=takeover)
    if profile is not None:
        _profile_threads(profile)
    profiler = cProfile.Profile()
    if profile is not None:
        profiler.enable()
    serve(Database(database), served, stopping, settings, FastClock(began_ms, speed))
    if profile is not None:
        profiler.disable()
        profiler.dump_stats(profile / "network.prof")


def _profile_threads(folder: Path) -> None:
    """Profile every thread that is started from now on; each writes a file of its name."""
    run = threading.Thread.run

    def profiled(self: threading.Thread) -> None:
        profiler = cProfile.Profile()
        profiler.runcall(run, self)
        profiler.dump_stats(folder / f"{self.name}.prof")

    threading.Thread.run = profiled  # type: ignore[method-assign]


if __name__ == "__main__":
    sys.exit(run_program(app))
