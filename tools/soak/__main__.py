"""``python -m tools.soak``: an accelerated soak of the whole agent."""

from __future__ import annotations

import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from contracts.errors import EdgetallyError
from runtime.console import run_program
from tests.integration.brokers import OldBroker
from tests.integration.squares import crossed_after, write_bundle, write_pictures
from tools.bench.device import device_line
from tools.soak.plan import Plan
from tools.soak.sample import Sample
from tools.soak.slope import Slope, second_half_slope

app = typer.Typer(pretty_exceptions_enable=False)

_SAMPLE_SECONDS, _FEWEST_SAMPLES = 0.5, 120
_MOST_A_HOUR = 1.0  # MB, of a box as below
_BOX_FPS, _BOX_CAMERAS, _BOX_WINDOW = 30, 4, 10  # what the slopes are extrapolated to


@dataclasses.dataclass(frozen=True)
class Soaked:
    """What a soak gave.

    Args:
        samples: in their order; the last is of after the end.
        restarts: how often the broker was killed and started again.
    """

    samples: list[Sample]
    restarts: int

    @property
    def crossed(self) -> tuple[int, int] | None:
        """In and out of the steady camera's line, as they stand in the store after the end."""
        return self.samples[-1].crossed

    @property
    def true(self) -> tuple[int, int]:
        """The same by the truth."""
        return crossed_after(self.samples[-1].steady_frames)

    @property
    def running(self) -> list[Sample]:
        """Those from before the end."""
        return self.samples[:-1]


@app.command()
def soak(
    minutes: Annotated[float, typer.Argument(min=0.05, help="How long.")] = 5.0,
    loose: Annotated[int, typer.Option(min=0, help="Cameras that break every two seconds.")] = 3,
    window: Annotated[float, typer.Option(min=0.1, help="Length of a window, seconds.")] = 0.2,
    restart: Annotated[float, typer.Option(min=1, help="Seconds between two restarts of the broker.")] = 45.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Have the agent count as fast as it goes while cameras and broker break; print how memory, files and threads grew.

    Ends with 1 where something grew that should not, or the count was wrong.
    """
    console = Console(stderr=as_json)
    with tempfile.TemporaryDirectory() as folder:
        soaked = _soak(Path(folder), minutes * 60, loose, window, restart, console)
    growth = growth_of(soaked.running)
    if as_json:
        typer.echo(json.dumps(_document(soaked, growth)))
    else:
        console.print(f"{device_line()}; {minutes:g} minutes, {loose + 1} cameras, windows of {window:g} s")
        console.print(_table(soaked, growth))
    problems = list(problems_of(soaked, growth))
    for problem in problems:
        console.print(problem, style="red")
    if problems:
        raise typer.Exit(1)


@dataclasses.dataclass(frozen=True)
class Growth:
    """How memory grew over the second half, MB.

    Args:
        hour: an hour, as it ran.
        million_frames: a million frames.
        windows: 10,000 windows.
    """

    hour: Slope
    million_frames: Slope
    windows: Slope

    @property
    def box(self) -> tuple[Slope, Slope]:
        """MB an hour of a box, if memory grew with frames, and if it grew with windows."""
        frames = _BOX_FPS * _BOX_CAMERAS * 3600 / 1e6
        windows = _BOX_CAMERAS * 3600 / _BOX_WINDOW / 1e4
        return self.million_frames.times(frames), self.windows.times(windows)


def growth_of(samples: Sequence[Sample]) -> Growth:
    """Least squares over the second half, against time, frames and windows."""
    memory = [sample.rss_mb for sample in samples]
    return Growth(
        second_half_slope([sample.at / 3600 for sample in samples], memory),
        second_half_slope([sample.frames / 1e6 for sample in samples], memory),
        second_half_slope([sample.windows / 1e4 for sample in samples], memory),
    )


def problems_of(soaked: Soaked, growth: Growth) -> Iterator[str]:
    """What grew, or was counted wrong; memory is said to grow only where the whole interval lies above the limit."""
    early, late = _middle(soaked.running)
    for what, name in (("files", "open files"), ("threads", "threads")):
        before, after = (statistics.median(getattr(one, what) for one in part) for part in (early, late))
        if after > before:
            yield f"{name} grew: median {before:g} in the second quarter, {after:g} in the last"
    for slope in growth.box:
        if slope.low > _MOST_A_HOUR:
            yield f"memory grows by {slope.slope:.2f} MB an hour of a box; expected at most {_MOST_A_HOUR:g}"
    if soaked.crossed != soaked.true:
        yield f"crossings in and out should be {soaked.true}, the store holds {soaked.crossed}"


def _middle(samples: Sequence[Sample]) -> tuple[Sequence[Sample], Sequence[Sample]]:
    quarter = len(samples) // 4
    return samples[quarter : 2 * quarter], samples[-quarter:]


def _soak(folder: Path, seconds: float, loose: int, window: float, restart: float, console: Console) -> Soaked:
    (folder / "state").mkdir()
    samples: list[Sample] = []
    broker = OldBroker().start()
    restarts, due = 0, time.monotonic() + restart
    plan = Plan(
        bundle=str(write_bundle(folder / "bundle")),
        pictures=str(write_pictures(folder / "pictures")),
        state_dir=str(folder / "state"),
        broker_port=broker.port,
        seconds=seconds,
        window=window,
        loose=loose,
        sample_every=min(_SAMPLE_SECONDS, seconds / _FEWEST_SAMPLES),
    )
    try:
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task("soaking", total=seconds)
            for sample in _samples(plan):
                samples.append(sample)
                done = sample.at - samples[0].at
                progress.update(task, completed=done, description=f"{sample.rss_mb:.1f} MB, {sample.frames} frames")
                if time.monotonic() >= due:
                    broker.stop()
                    broker.start()
                    restarts, due = restarts + 1, time.monotonic() + restart
        return Soaked(samples, restarts)
    finally:
        broker.stop()


def _samples(plan: Plan) -> Iterator[Sample]:
    """What the process says while it soaks.

    Raises:
        EdgetallyError: it failed.
    """
    command = [sys.executable, "-m", "tools.soak.ours", plan.model_dump_json()]
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True) as process,
    ):
        assert process.stdout is not None
        try:
            for line in process.stdout:
                yield Sample.model_validate_json(line)
        finally:
            process.terminate()
        if process.wait() not in {0, -15}:
            said.seek(0)
            raise EdgetallyError(f"the soaking agent failed: {said.read()[-500:]}")


def _table(soaked: Soaked, growth: Growth) -> Table:
    first, last = soaked.running[0], soaked.running[-1]
    table = Table("what", "figure", title="second half; slopes with their 95 % interval")
    table.add_row("frames counted", f"{last.frames}, {last.frames / (last.at - first.at):.0f} a second")
    table.add_row("windows", str(last.windows))
    table.add_row("cameras came back", f"{last.reconnects} times")
    table.add_row("broker restarted", f"{soaked.restarts} times")
    table.add_row("crossings, in and out", f"{soaked.crossed}, true {soaked.true}")
    table.add_row("reports that still wait", str(soaked.samples[-1].waiting))
    early, late = _middle(soaked.running)
    for what in ("rss_mb", "files", "threads"):
        low, high = (statistics.median(getattr(one, what) for one in part) for part in (early, late))
        table.add_row(f"{what}, second and last quarter", f"{low:.1f}, {high:.1f}")
    frames, windows = growth.box
    for what, slope in (
        ("MB an hour, as it ran", growth.hour),
        ("MB a million frames", growth.million_frames),
        ("MB 10,000 windows", growth.windows),
        (f"MB an hour of {_BOX_CAMERAS} cameras at {_BOX_FPS} fps, by frames", frames),
        (f"MB an hour of {_BOX_CAMERAS} cameras, windows of {_BOX_WINDOW} s, by windows", windows),
    ):
        table.add_row(what, f"{slope.slope:+.3f} ({slope.low:+.3f} to {slope.high:+.3f})")
    return table


def _document(soaked: Soaked, growth: Growth) -> dict[str, object]:
    by_frames, by_windows = growth.box
    return {
        "device": device_line(),
        "restarts": soaked.restarts,
        "crossed": soaked.crossed,
        "true": soaked.true,
        "growth": dataclasses.asdict(growth),
        "box": {"by_frames": dataclasses.asdict(by_frames), "by_windows": dataclasses.asdict(by_windows)},
        "samples": [sample.model_dump() for sample in soaked.samples],
    }


if __name__ == "__main__":
    sys.exit(run_program(app))
