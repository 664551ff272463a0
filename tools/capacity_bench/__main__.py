"""``python -m tools.capacity_bench``: cameras a box takes, latency, efficiency, memory and idle CPU, in one run."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from agent.facts import device_facts
from contracts.errors import EdgetallyError
from runtime.bundle import Bundle, open_bundle
from runtime.console import run_program
from tools.bench.clip import road_clip
from tools.bench.device import device_line
from tools.capacity_bench import tables
from tools.capacity_bench.job import Carried
from tools.capacity_bench.reports import Delivered
from tools.capacity_bench.run import Bench, Pair, agent_under, pair
from tools.capacity_bench.sources import rtsp_server
from tools.demo.broker import EmbeddedBroker
from tools.demo.prepare import current_bundle, first_look

app = typer.Typer(pretty_exceptions_enable=False)

_MODEL = Path("models/vehicle-density")
_IDLE_FPS = 5.0
_WARM = 1.5  # seconds
_WIDTH = 150  # where there is no terminal to ask


@app.command()
def bench(  # noqa: PLR0913, PLR0917 - one argument an option
    cameras: Annotated[str, typer.Option(help="How many at once, one measurement each; empty for none.")] = "1,2,4,8",
    seconds: Annotated[float, typer.Option(min=1, help="Length of a measurement in real time.")] = 8.0,
    rounds: Annotated[int, typer.Option(min=1, help="How often each number of cameras is measured.")] = 1,
    burst: Annotated[float, typer.Option(min=1, help="Length of one as fast as it goes.")] = 5.0,
    bursts: Annotated[int, typer.Option(min=0, help="How often each artifact is measured so.")] = 3,
    idle: Annotated[float, typer.Option(min=0, help="Seconds with one camera at 5 fps; 0 for none.")] = 15.0,
    model: Annotated[Path, typer.Option(help="Model directory, or a bundle.")] = _MODEL,
    artifact: Annotated[str | None, typer.Option(help="Measure this one only.")] = None,
    rtsp: Annotated[bool, typer.Option("--rtsp", help="Cameras from an RTSP server on this machine.")] = False,
    lanes: Annotated[int | None, typer.Option(min=1, help="Inferences at once; by default one a core.")] = None,
    frames: Annotated[int, typer.Option(min=60, help="Length of the clip.")] = 600,
    work: Annotated[Path, typer.Option(help="Where clip and bundle are kept.")] = Path("build/bench"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Measure the agent under load beside the bare loop, in turn: what it takes, how late it is, what it costs."""
    console = Console(stderr=as_json, width=None if Console().is_terminal else _WIDTH)
    numbers = _numbers(cameras)
    work.mkdir(parents=True, exist_ok=True)
    bundle = open_bundle(model if (model / "manifest.json").is_file() else current_bundle(model, work, first_look()))
    artifacts = [artifact] if artifact else one_a_backend(bundle)
    clip = road_clip(work, frames).resolve()
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(EmbeddedBroker(0))
        shared = Bench(bundle.path, str(clip), False, lanes or _cores(), broker.port, _WARM)
        watched = (
            dataclasses.replace(shared, source=stack.enter_context(rtsp_server(clip)), live=True) if rtsp else shared
        )
        progress = stack.enter_context(Progress(console=console, transient=True))
        carried = _rounds(
            progress,
            [str(number) for number in numbers],
            rounds,
            lambda n: pair(watched, artifacts[0], seconds, int(n)),
        )
        fast = _rounds(progress, artifacts, bursts, lambda one: pair(shared, one, burst, realtime=False))
        calm = _calm(progress, watched, artifacts[0], idle)
    by_number = {int(number): pairs for number, pairs in carried.items()}
    if as_json:
        typer.echo(json.dumps(_document(by_number, fast, calm, rtsp=rtsp)))
        return
    console.print(_headline(artifacts[0], shared.lanes, seconds, rounds, burst, rtsp=rtsp))
    if by_number:
        console.print(tables.throughput(by_number), tables.latency(by_number))
    if bursts:
        console.print(tables.efficiency(fast))
    if calm:
        console.print(tables.idle(calm[0], _IDLE_FPS))


def one_a_backend(bundle: Bundle) -> list[str]:
    """The first artifact of each backend that runs here and has a floor.

    Raises:
        EdgetallyError: there is none.
    """
    facts, found = device_facts(), dict[str, str]()
    for one in bundle.manifest.artifacts:
        if one.host_stage is None and not any(requirement.refusal(facts) for requirement in one.requires):
            found.setdefault(one.backend, one.id)
    chosen = [one for backend, one in found.items() if backend in {"openvino", "onnxruntime", "tflite"}]
    if not chosen:
        raise EdgetallyError(f"{bundle.path}: no artifact for this processor; build one for OpenVINO or ONNX Runtime")
    return chosen


def _numbers(text: str) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        numbers = [0]
    if any(number < 1 for number in numbers):
        raise typer.BadParameter(f"expected numbers of at least 1, as 1,2,4,8, got {text!r}")
    return numbers


def _rounds(progress: Progress, names: list[str], rounds: int, measure: Callable[[str], Pair]) -> dict[str, list[Pair]]:
    """Measure each in turn, again and again, so that what the machine does meanwhile falls on all."""
    found: dict[str, list[Pair]] = {name: [] for name in names}
    task = progress.add_task("measuring", total=rounds * len(names))
    for _ in range(rounds):
        for name in names:
            progress.update(task, description=f"{name} cameras" if name.isdecimal() else name)
            found[name].append(measure(name))
            progress.advance(task)
    return found


def _calm(progress: Progress, bench: Bench, artifact: str, seconds: float) -> tuple[Carried, Delivered] | None:
    if not seconds:
        return None
    progress.add_task(f"one camera at {_IDLE_FPS:g} fps", total=None)
    return agent_under(bench, artifact, seconds, fps=_IDLE_FPS)


def _headline(artifact: str, lanes: int, seconds: float, rounds: int, burst: float, *, rtsp: bool) -> str:
    source = "an RTSP server on this machine" if rtsp else "a file each, played in real time"
    return (
        f"{device_line()}; {artifact}, {lanes} lanes, f32; 1920x1080 H.264 30 fps from {source}; "
        f"{rounds} x {seconds:g} s; as fast as it goes: {burst:g} s each; decoding is done on the same cores"
    )


def _document(
    carried: dict[int, list[Pair]],
    fast: dict[str, list[Pair]],
    calm: tuple[Carried, Delivered] | None,
    *,
    rtsp: bool,
) -> dict[str, object]:
    return {
        "device": device_line(),
        "source": "rtsp" if rtsp else "file",
        "cameras": {number: list(map(_pair, pairs)) for number, pairs in carried.items()},
        "as_fast_as_it_goes": {name: list(map(_pair, pairs)) for name, pairs in fast.items()},
        "idle": None if calm is None else _agent(*calm),
    }


def _pair(one: Pair) -> dict[str, object]:
    return {"ours": _agent(one.ours, one.delivered), "bare": one.bare.model_dump() | {"fps": one.bare.fps}}


def _agent(carried: Carried, delivered: Delivered) -> dict[str, object]:
    return carried.model_dump() | {"fps": carried.fps, "delivered": dataclasses.asdict(delivered)}


def _cores() -> int:
    return len(os.sched_getaffinity(0))


if __name__ == "__main__":
    sys.exit(run_program(app))
