"""``edgetally-agent top``: the cameras in a terminal, as the page shows them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from agent.page.client import PageAddress, read_state
from agent.page.ports import AgentState
from agent.settings import ENV_PREFIX, load_config
from contracts.errors import TransportError, WrittenError
from contracts.health import CameraHealth, Health
from contracts.messages import CameraState

_SECONDS = 1.0  # between two looks
_NO_DATA = "-"
_PASSWORD = f"{ENV_PREFIX}PAGE__PASSWORD"
_QUALITY_STYLE: Mapping[str, str] = {"ok": "green", "stale": "yellow", "obscured": "yellow"}


def find_page(url: str | None, config: Path, environment: Mapping[str, str] = os.environ) -> PageAddress:
    """Which page to read.

    Args:
        url: where it is; None for the one that the configuration names.
        config: agent.toml, which is not looked at where a URL is given.
        environment: holds the password of a page that is given by its URL.

    Raises:
        WrittenError: the configuration cannot be read, or has no page.
    """
    if url is not None:
        return PageAddress(url.rstrip("/"), environment.get(_PASSWORD))
    settings = load_config(config)
    if settings.page is None:
        raise WrittenError(
            f"the page is off; add a line [page] to {config} and start the agent anew (it listens on 127.0.0.1:8080)"
        )
    return PageAddress.of(settings.page)


def watch(page: PageAddress, console: Console, wait: Callable[[float], None] = time.sleep) -> None:
    """Show the page until Ctrl-C. An agent that stops answering is waited for; one that never did is an error.

    Args:
        page: which one.
        console: where it is shown.
        wait: between two looks.

    Raises:
        TransportError: it does not answer the first time.
    """
    view = table(read_state(page))
    with Live(view, console=console, screen=console.is_terminal, auto_refresh=False) as live:
        while True:
            wait(_SECONDS)
            try:
                view = table(read_state(page))
            except TransportError as error:
                live.update(Group(Text(str(error), style="red"), view), refresh=True)
            else:
                live.update(view, refresh=True)


def table(state: AgentState) -> RenderableType:
    """A row a camera, and beneath it what is wrong."""
    health = state.health
    shown = Table("camera", "quality", "fps", "latency p50 / p99", "count", "zones", "lines in / out", "dropped")
    running = ", ".join(model.artifact or f"{name}: no artifact runs" for name, model in health.models.items())
    shown.title = f"{health.device}, {running}"
    for camera, now in sorted(state.cameras.items()):
        runs = health.cameras.get(camera)
        shown.add_row(
            camera,
            Text(now.quality, style=_QUALITY_STYLE.get(now.quality, "red")),
            _NO_DATA if runs is None else f"{runs.fps:.1f}",
            _latency(runs),
            _shown(now),
            "\n".join(f"{zone} {_count(count)}" for zone, count in now.zones.items()),
            "\n".join(f"{line} {sums.get('in', 0)} / {sums.get('out', 0)}" for line, sums in now.lines.items()),
            _NO_DATA if runs is None else str(sum(runs.frames_dropped.values())),
        )
    problems = [
        Text(f"{camera}: {one.problem}", style="red") for camera, one in sorted(health.cameras.items()) if one.problem
    ]
    drifting = [
        Text(f"{camera}: {warning}", style="yellow")
        for camera, one in sorted(health.cameras.items())
        for warning in (one.drift.warnings if one.drift is not None else ())
    ]
    return Group(shown, Text(_of_the_box(state)), *_of_hardware(health), *_of_the_broker(health), *problems, *drifting)


def _of_the_box(state: AgentState) -> str:
    health = state.health
    memory = "" if health.rss_mb is None else f", {health.rss_mb:.0f} MB"
    waiting = "" if health.outbox_waiting is None else f", {health.outbox_waiting} reports wait"
    engines = [model.building.artifact for model in health.models.values() if model.building is not None]
    building = f", building {', '.join(engines)}" if engines else ""
    return f"up {health.uptime:.0f} s{memory}{waiting}{building}"


def _of_hardware(health: Health) -> Iterator[RenderableType]:
    """What the hardware tells in a line, and in another one why it is slow."""
    told = health.telemetry
    if told is not None:
        hottest = None if told.celsius is None else f"{told.celsius:.0f} °C {told.hottest}"
        busy = {"CPU": told.cpu_load} | {name: one.load for name, one in told.accelerators.items()}
        loads = [f"{name} {load:.0%}" for name, load in busy.items() if load is not None]
        watts = [f"{value:.1f} W {rail}" for rail, value in told.watts.items()]
        yield Text(", ".join(part for part in (hottest, *loads, *watts) if part))
        if told.throttling is not None and told.throttling.now:
            yield Text(f"throttled: {', '.join(told.throttling.reasons)}", style="red")
    if health.shedding is not None and health.shedding.why is not None:
        yield Text(f"{health.shedding.share:.0%} of the frames are taken: {health.shedding.why}", style="yellow")


def _of_the_broker(health: Health) -> Iterator[RenderableType]:
    if health.broker is not None and health.broker.problem is not None:
        yield Text(health.broker.problem, style="red")


def _latency(health: CameraHealth | None) -> str:
    if health is None or health.latency_ms is None:
        return _NO_DATA
    return f"{health.latency_ms.p50:.0f} / {health.latency_ms.p99:.0f} ms"


def _shown(now: CameraState) -> str:
    """What is in the picture, or which states it is in."""
    if not now.states:
        return _count(now.count)
    told = {name: held.state or _NO_DATA for name, held in now.states.items()}
    return "\n".join(told.values() if len(told) == 1 else [f"{name} {state}" for name, state in told.items()])


def _count(value: float | None) -> str:
    return _NO_DATA if value is None else f"{value:g}"
