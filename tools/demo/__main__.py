"""``python -m tools.demo``: see the whole product at work on this machine, and leave nothing running."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from agent.cameras.table import check_source
from contracts.config import BrokerConfig, parse_address
from contracts.documents import without_credentials
from contracts.errors import WrittenError
from runtime.console import run_program
from tools.demo.broker import EmbeddedBroker
from tools.demo.prepare import DEVICE, DemoFiles, prepare
from tools.demo.truth import truth_of
from tools.demo.view import live_table, opening_lines, summary_table
from tools.demo.watch import Watcher

_REFRESH = 0.25  # seconds
_GRACE = 15.0  # seconds that the agent may take to end after it was told to
_LAST_WORDS = 1.0  # seconds that the broker may take to deliver what the agent said last

app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode="markdown")


@app.command()
def demo(
    source: Annotated[
        str, typer.Option(envvar="SOURCE", help="clip.mp4, rtsp://…, /dev/video0, a folder of pictures, synthetic")
    ] = "synthetic",
    broker: Annotated[str | None, typer.Option(help="HOST[:PORT] of a broker; else one is embedded.")] = None,
    port: Annotated[int, typer.Option(help="Port of the embedded broker; 0 takes a free one.")] = 0,
    seconds: Annotated[float | None, typer.Option(help="Stop after so long.")] = None,
    model: Annotated[Path, typer.Option(help="Model directory.")] = Path("models/vehicle-density"),
    work: Annotated[Path, typer.Option(help="Where the bundle and the state go.")] = Path("build/demo"),
    svg: Annotated[Path | None, typer.Option(help="Keep what was shown as a picture.")] = None,
) -> None:
    """Convert a model for this box, count a camera with it, and watch the counts arrive over MQTT.

    Ends with the clip, after --seconds, or on Ctrl-C.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # as Ctrl-C, so that the agent is ended on every way out
    console = Console(record=svg is not None)
    check_source(source)
    with _broker(broker, port) as broker_at:
        files = prepare(model, work, source, broker_at)
        _run(console, files, broker_at, source, seconds)
    if svg is not None:
        console.save_svg(str(svg), title="make demo")


def _run(console: Console, files: DemoFiles, broker_at: BrokerConfig, source: str, seconds: float | None) -> None:
    truth = truth_of(source)
    watcher = Watcher(broker_at.host, broker_at.port, DEVICE)
    started = time.monotonic()
    with _agent(files) as agent:
        try:
            with Live(console=console, refresh_per_second=1 / _REFRESH, screen=False) as live:
                said = False
                while agent.poll() is None and (seconds is None or time.monotonic() - started < seconds):
                    if not said:
                        said = _say_once(console, watcher, broker_at)
                    live.update(watcher.read(lambda seen: live_table(seen, truth)))
                    time.sleep(_REFRESH)
        except KeyboardInterrupt:
            console.print("stopping")
    time.sleep(_LAST_WORDS)
    console.print(watcher.read(lambda seen: summary_table(seen, truth)))
    watcher.close()
    if agent.returncode not in {0, -signal.SIGTERM}:
        raise WrittenError(f"the agent ended with code {agent.returncode}: {_last_line(files.log)} (log: {files.log})")


def _say_once(console: Console, watcher: Watcher, broker_at: BrokerConfig) -> bool:
    """Say where the broker is and which artifact runs, as soon as the agent told; whether it was said."""
    lines = watcher.read(lambda seen: opening_lines(seen, broker_at.address))
    for line in lines:
        console.print(line, highlight=False)
    return bool(lines)


@contextmanager
def _broker(named: str | None, port: int) -> Iterator[BrokerConfig]:
    if named is not None:
        host, number = parse_address("--broker", named)
        yield BrokerConfig(host=host, port=number or 1883)
        return
    with EmbeddedBroker(port) as broker:
        # It speaks 3.1.1 only and leaves a client that tries 5 without an answer.
        yield BrokerConfig(host="127.0.0.1", port=broker.port, protocol="3.1.1")


@contextmanager
def _agent(files: DemoFiles) -> Iterator[subprocess.Popen[bytes]]:
    """The agent as a process of its own, ended on every way out."""
    command = [sys.executable, "-m", "agent.cli", "run", "--config", str(files.config), "--until-end"]
    with files.log.open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as agent:
        try:
            yield agent
        finally:
            with nullcontext() if agent.poll() is not None else _ignoring_interrupts():
                _end(agent)


def _end(agent: subprocess.Popen[bytes]) -> None:
    if agent.poll() is None:
        agent.terminate()
    try:
        agent.wait(timeout=_GRACE)
    except subprocess.TimeoutExpired:
        agent.kill()


@contextmanager
def _ignoring_interrupts() -> Iterator[None]:
    """A second Ctrl-C must not leave the agent behind."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return without_credentials(lines[-1]) if lines else "it said nothing"


if __name__ == "__main__":
    sys.exit(run_program(app))
