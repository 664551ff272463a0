"""edgetally-agent: the command line of the box."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from contracts.config import parse_address
from contracts.documents import without_credentials
from contracts.version import VERSION
from runtime.console import LogLevel, log_to_stderr, run_program

app = typer.Typer(
    name="edgetally-agent",
    help="Counts vehicles and people from cameras, and publishes counts over MQTT that somebody can bill on.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Config = Annotated[Path, typer.Option("--config", "-c", help="agent.toml", show_default=True)]
Log = Annotated[LogLevel, typer.Option("--log-level", help="What is said on stderr.")]
_DEFAULT_CONFIG = Path("/etc/edgetally/agent.toml")


@app.command()
def run(
    config: Config = _DEFAULT_CONFIG,
    bundle: Annotated[str | None, typer.Option(help="Instead of the file's `bundle`.")] = None,
    device: Annotated[str | None, typer.Option(help="Instead of the file's `device`.")] = None,
    state_dir: Annotated[str | None, typer.Option(help="Instead of the file's `state_dir`.")] = None,
    broker: Annotated[str | None, typer.Option(help="HOST[:PORT] instead of the file's `broker`.")] = None,
    lanes: Annotated[int | None, typer.Option(help="Inferences at once.")] = None,
    until_end: Annotated[bool, typer.Option("--until-end", help="Stop when every source has ended.")] = False,
    log_level: Log = "info",
) -> None:
    """Run as a service: count every camera of the configuration and publish.

    Settings come from the file, over it from the environment (`EDGETALLY_BROKER__PASSWORD` is `broker.password`), over
    both from flags.

    Example: `edgetally-agent run --config agent.toml --broker 192.0.2.7:1883`
    """
    from agent.daemon import run_until_stopped
    from agent.settings import load_config

    log_to_stderr(log_level)
    flags = {"bundle": bundle, "device": device, "state_dir": state_dir, "runtime": _some(lanes=lanes)}
    settings = load_config(config, _some(**flags, broker=_broker(broker)))
    run_until_stopped(settings, until_end=until_end)


@app.command()
def count(
    source: Annotated[str, typer.Argument(help="A clip, a folder of pictures, rtsp://…, /dev/videoN or synthetic.")],
    bundle: Annotated[Path, typer.Option("--bundle", "-b", help="Folder that edgetally-convert made.")],
    line: Annotated[list[str] | None, typer.Option(help="NAME:x1,y1,x2,y2", metavar="NAME:x1,y1,x2,y2")] = None,
    zone: Annotated[list[str] | None, typer.Option(help="NAME:x1,y1,x2,y2,x3,y3…", metavar="NAME:x1,y1,…")] = None,
    label: Annotated[list[str] | None, typer.Option(help="Count only this label; may be repeated.")] = None,
    score: Annotated[float | None, typer.Option(help="Instead of the model's own threshold, 0 to 1.")] = None,
    artifact: Annotated[str | None, typer.Option(help="Take this artifact, or refuse.")] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Stop after so many frames.")] = None,
    each: Annotated[bool, typer.Option("--each", help="Add the count of every frame or picture.")] = False,
    as_json: Json = False,
    log_level: Log = "warning",
) -> None:
    """Count a clip, without a broker: for trying a model out.

    Coordinates are 0 to 1 of the picture, from its top left corner. Crossing from a line's left to its right, looking
    from its first point to its second, is `in`.

    Example: `edgetally-agent count road.mp4 --bundle yolox.bundle --line gate:0,0.5,1,0.5 --label car --json`
    """
    from agent.count import CountRequest, count_source
    from agent.count_view import counting_progress, print_summary

    log_to_stderr(log_level)
    request = CountRequest(
        source=source,
        bundle=bundle,
        lines=tuple(line or ()),
        zones=tuple(zone or ()),
        labels=tuple(label or ()),
        score=score,
        artifact=artifact,
        frames=frames,
        each=each,
    )
    with counting_progress(without_credentials(source)) if sys.stderr.isatty() else nullcontext(_silent) as progress:
        summary = count_source(request, progress)
    if as_json:
        typer.echo(json.dumps(summary.document()))
    else:
        print_summary(summary)


@app.command()
def facts(as_json: Json = False) -> None:
    """Show what this box is: the facts that artifacts are compared with.

    Example: `edgetally-agent facts --json`
    """
    from agent.facts import device_facts

    found = device_facts()
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    width = max(map(len, found))
    for name, value in sorted(found.items()):
        typer.echo(f"{name:<{width}}  {' '.join(value) if isinstance(value, tuple) else value}")


@app.command()
def check(
    config: Config = _DEFAULT_CONFIG,
    offline: Annotated[bool, typer.Option("--offline", help="Leave the broker out.")] = False,
    as_json: Json = False,
    log_level: Log = "error",
) -> None:
    """Check that this configuration would run: settings, bundle, artifact, cameras (one frame each), disk, broker.

    Exits with 2 when something is wrong; every line says what to do.

    Example: `edgetally-agent check --config agent.toml`
    """
    from agent.check import check_config
    from agent.settings import load_config

    log_to_stderr(log_level)
    findings = check_config(load_config(config), broker=not offline)
    if as_json:
        typer.echo(json.dumps([finding.document() for finding in findings]))
    else:
        for finding in findings:
            typer.echo(f"{'ok   ' if finding.passed else 'wrong'}  {finding.what}: {finding.text}")
    if not all(finding.passed for finding in findings):
        raise typer.Exit(2)


def _silent(_: int) -> None:
    """No progress where nobody looks."""


@app.callback(invoke_without_command=True)
def _program(
    version: Annotated[bool, typer.Option("--version", help="Show the version and end.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(f"edgetally {VERSION}")
        raise typer.Exit


def _some(**values: Any) -> dict[str, Any]:  # noqa: ANN401 - flags of several types
    """Those that were given."""
    return {name: value for name, value in values.items() if value not in (None, {})}


def _broker(text: str | None) -> dict[str, object] | None:
    if text is None:
        return None
    host, port = parse_address("--broker", text)
    return _some(host=host, port=port)


def main() -> None:
    """The program's entry point."""
    sys.exit(run_program(app))


if __name__ == "__main__":
    main()
