"""``python -m tools.fleet_sim``: simulated boxes on a broker, and what they cost."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import signal
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from agent.remote.signing import load_keys
from contracts.errors import WrittenError
from fleet.clock import wall_ms
from runtime.console import run_program
from tools.fleet_sim.box import World
from tools.fleet_sim.clock import FastClock
from tools.fleet_sim.measuring import Measured, measure
from tools.fleet_sim.scenarios import find_scenario
from tools.fleet_sim.swarm import Swarm
from tools.fleet_sim.truth import harm, problems

app = typer.Typer(pretty_exceptions_enable=False)

_WIDTH = 150  # where there is no terminal to ask
_SETTLE_SECONDS = 60.0


@app.command()
def run(
    scenario: Annotated[str, typer.Argument(help="A TOML file, or the name of a scenario.")],
    broker: Annotated[str, typer.Option(help="host:port of the broker.")] = "127.0.0.1:1883",
    devices: Annotated[int, typer.Option(min=1, help="How many boxes.")] = 1000,
    seconds: Annotated[float | None, typer.Option(min=0, help="Until it ends; else with Ctrl-C.")] = None,
    keys: Annotated[Path | None, typer.Option(help="operator-keys.json, whose signatures boxes ask for.")] = None,
    report: Annotated[Path | None, typer.Option(help="JSON file for what really happened.")] = None,
) -> None:
    """Have boxes do what a scenario says, on a broker and with a controller that run already.

    Example: python -m tools.fleet_sim run fails-20 --broker 127.0.0.1:1883 --devices 5000 --report out.json
    """
    host, _, port = broker.rpartition(":")
    if not host or not port.isdecimal():
        raise WrittenError(f"--broker should be host:port, got {broker!r}")
    clock, chosen = FastClock(wall_ms()), find_scenario(scenario)
    clock = dataclasses.replace(clock, speed=chosen.speed)
    world = World(int(port), clock, chosen, host, None if keys is None else load_keys(keys))
    found = asyncio.run(_run(Swarm(world, devices), seconds))
    if report is not None:
        report.write_text(json.dumps(found, indent=1) + "\n")
    wrong = found["problems"]
    assert isinstance(wrong, list)
    print(json.dumps({name: value for name, value in found.items() if name != "boxes"}, indent=2))
    if wrong:
        raise WrittenError(f"{len(wrong)} times something happened that must never, first: {wrong[0]}")


@app.command("measure")
def measure_(
    devices: Annotated[str, typer.Option(help="Numbers of boxes, with commas.")] = "1000,5000,10000",
    scenario: Annotated[str, typer.Option(help="A TOML file, or the name of a scenario.")] = "good",
    idle: Annotated[float, typer.Option(min=0, help="Seconds of being idle.")] = 30.0,
    out: Annotated[Path | None, typer.Option(help="JSON file for the results.")] = None,
) -> None:
    """Measure what boxes and a broker cost by themselves: connecting, idle, and while every box takes a model."""
    results = [measure(find_scenario(scenario), int(count), idle) for count in devices.split(",")]
    Console(width=None if Console().is_terminal else _WIDTH).print(_table(results))
    if out is not None:
        out.write_text(json.dumps([dataclasses.asdict(one) for one in results], indent=2) + "\n")
    if wrong := [problem for one in results for problem in one.problems]:
        raise WrittenError(f"{len(wrong)} times something happened that must never, first: {wrong[0]}")


async def _run(swarm: Swarm, seconds: float | None) -> dict[str, object]:
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, stopped.set)
    began = time.monotonic()
    try:
        await swarm.connect()
        connected = time.monotonic() - began
        away = swarm.leavers()
        for box in away:
            box.cut()
        back = asyncio.create_task(swarm.bring_back(away)) if away else None
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(stopped.wait(), seconds)
        if back is not None:
            back.cancel()
        settled = await swarm.settle(_SETTLE_SECONDS)
        return _found(swarm, connected, settled=settled)
    finally:
        await swarm.close()


def _found(swarm: Swarm, connected: float, *, settled: bool) -> dict[str, object]:
    truths = [box.truth for box in swarm.boxes.values()]
    sent, got = swarm.messages
    unsettled = [] if settled else [f"boxes still moved after {_SETTLE_SECONDS:.0f} s"]
    return {
        "devices": len(truths),
        "connected_seconds": round(connected, 2),
        "sent": sent,
        "got": got,
        "online": sum(truth.online for truth in truths),
        "harm": dataclasses.asdict(harm(truths, None)),
        "problems": unsettled + problems(truths),
        "boxes": [truth.document() for truth in truths],
    }


def _table(results: list[Measured]) -> Table:
    table = Table(
        "boxes", "phase", "seconds", "messages sent", "boxes CPU s", "Mosquitto CPU s", "boxes MB", "Mosquitto MB"
    )
    for one in results:
        for phase, seconds in one.seconds.items():
            table.add_row(
                str(one.boxes),
                phase,
                f"{seconds:.1f}",
                str(one.sent[phase]),
                f"{one.boxes_cpu[phase]:.2f}",
                f"{one.broker_cpu[phase]:.2f}",
                f"{one.boxes_mb:.0f}",
                f"{one.broker_mb:.0f}",
            )
    return table


if __name__ == "__main__":
    sys.exit(run_program(app))
