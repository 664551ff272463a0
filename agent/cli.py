"""edgetally-agent: the command line of the box."""

from __future__ import annotations

import faulthandler
import json
import sys
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.doctor.cli import doctor
from agent.provisioning.cli import provision, renew
from agent.support.cli import support_bundle
from contracts.config import MAIN, Goal, parse_address
from contracts.documents import without_credentials
from contracts.errors import UnknownNameError, WrittenError
from contracts.version import VERSION
from runtime.console import LogLevel, log_to_stderr, run_program

app = typer.Typer(
    name="edgetally-agent",
    help="Counts vehicles and people from cameras, and publishes counts over MQTT that somebody can bill on.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

app.command()(doctor)
app.command()(support_bundle)

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
    log_level: Annotated[LogLevel | None, typer.Option(help="What is said on stderr, instead of the file's.")] = None,
) -> None:
    """Run as a service: count every camera of the configuration and publish.

    Settings come from the file, over it from the environment (`EDGETALLY_BROKER__PASSWORD` is `broker.password`), over
    both from flags.

    Example: `edgetally-agent run --config agent.toml --broker 192.0.2.7:1883`
    """
    from agent.remote.signing import KEYS_NAME
    from agent.run import run_until_stopped
    from agent.service.service import Service
    from agent.settings import load_config

    faulthandler.enable()  # a runtime that crashes, for want of memory say, would take the process along without a word
    log_to_stderr(log_level or "info")
    flags = {"bundle": bundle, "device": device, "state_dir": state_dir, "log_level": log_level}
    service = Service.of_environment(config)
    settings = load_config(service.config, _some(**flags, runtime=_some(lanes=lanes), broker=_broker(broker)))
    log_to_stderr(settings.log_level)
    code = run_until_stopped(settings, keys=config.parent / KEYS_NAME, until_end=until_end, service=service)
    if code:
        raise typer.Exit(code)


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
    fps: Annotated[float | None, typer.Option(help="At most so many frames a second; a folder's own rate.")] = None,
    true: Annotated[
        float | None, typer.Option("--true", min=0.01, help="How many there truly are: finds a density camera's scale.")
    ] = None,
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
        fps=fps,
        true=true,
    )
    with counting_progress(without_credentials(source)) if sys.stderr.isatty() else nullcontext() as watching:
        summary = count_source(request, watching)
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
def engines(
    folder: Annotated[Path | None, typer.Option("--dir", help="Where they are; default: of the configuration.")] = None,
    config: Config = _DEFAULT_CONFIG,
    retry: Annotated[bool, typer.Option("--retry", help="Forget builds that failed: the next start tries.")] = False,
    as_json: Json = False,
) -> None:
    """Show the TensorRT engines that were built on this box, and what could not be built.

    Example: `edgetally-agent engines --retry`
    """
    from agent.engines.supply import EngineSupply
    from agent.engines.view import engines_document, engines_lines
    from agent.facts import device_facts
    from agent.settings import engines_dir, load_config

    supply = EngineSupply(folder or engines_dir(load_config(config)), device_facts())
    if retry:
        supply.forget_failures()
    if as_json:
        typer.echo(json.dumps(engines_document(supply), indent=2))
    else:
        typer.echo("\n".join(engines_lines(supply)))


@app.command()
def tune(
    config: Config = _DEFAULT_CONFIG,
    goal: Annotated[Goal | None, typer.Option(help="Instead of the file's `runtime.goal`.")] = None,
    model: Annotated[str, typer.Option(help="Which of the box's models: `main` is of `bundle`.")] = MAIN,
    forget: Annotated[bool, typer.Option("--forget", help="Forget all that was measured, and end.")] = False,
    as_json: Json = False,
    log_level: Log = "error",
) -> None:
    """Measure which artifact, execution precision, lanes and threads are best on this box; the agent takes it at its
    next start.

    The agent does so by itself in the background; best is measured while it does not run.

    Example: `edgetally-agent tune --goal latency`
    """  # noqa: D205 - one sentence
    from agent.engines.supply import EngineSupply
    from agent.facts import device_facts
    from agent.settings import engines_dir, load_config
    from agent.tuning.foreground import tune as measure
    from agent.tuning.ground import Ground
    from agent.tuning.view import print_tuned, tuning_progress
    from runtime.bundle import open_bundle

    log_to_stderr(log_level)
    settings = load_config(config, _some(runtime=_some(goal=goal)))
    facts = device_facts()
    if model not in settings.slots:
        raise UnknownNameError("model", model, settings.slots)
    bundle = open_bundle(Path(settings.slots[model].bundle))
    ground = Ground.of(settings, bundle, facts, EngineSupply(engines_dir(settings), facts), model)
    if forget:
        typer.echo(f"forgot {ground.cache.forget()} measurements")
        return
    with tuning_progress() if sys.stderr.isatty() else nullcontext(lambda *_: None) as note:
        tuned = measure(ground, note)
    if as_json:
        typer.echo(tuned.model_dump_json())
    else:
        print_tuned(tuned, ground.aim)


@app.command()
def update(
    source: Annotated[Path | None, typer.Argument(help="A bundle, or a repository on a stick.")] = None,
    model: Annotated[str | None, typer.Option(help="NAME@VERSION, of a repository.")] = None,
    slot: Annotated[str, typer.Option(help="Which of the box's models it is to be.")] = MAIN,
    config: Config = _DEFAULT_CONFIG,
    status: Annotated[bool, typer.Option("--status", help="Say what runs and how the last update went.")] = False,
    back: Annotated[bool, typer.Option("--back", help="Have what ran before.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="End the update, where nothing took over yet.")] = False,
    hold: Annotated[
        str | None, typer.Option(help="Let no model take over until --resume; says why, also to the operator.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Let models take over again.")] = False,
    wait: Annotated[bool, typer.Option(help="Follow the update to its end.")] = True,
    as_json: Json = False,
) -> None:
    """Have the agent of this box run another model: fetched, verified, proven, watched, and taken back where it is bad.

    Exits with 0 once it is committed, with 3 where it is not. The agent has to run.

    Examples: `edgetally-agent update /media/stick/vehicle-density` ·
    `edgetally-agent update --model vehicle-density@1.2.0` · `edgetally-agent update --status`
    """
    from agent.settings import load_config
    from agent.update.command import Desk, attempt_line, status_document, status_lines
    from agent.update.view import followed

    settings = load_config(config)
    desk = Desk(settings)
    if sum((source is not None or model is not None, back, cancel, hold is not None, resume)) > 1:
        raise WrittenError("expected one of a model, --back, --cancel, --hold and --resume, got several; say one")
    if hold is not None:
        desk.hold(hold)
    if resume:
        desk.resume()
    if cancel:
        desk.cancel()
    if status or hold is not None or resume or cancel:
        slots = {name: one.bundle for name, one in settings.slots.items()}
        typer.echo(json.dumps(status_document(desk)) if as_json else "\n".join(status_lines(desk, slots)))
        return
    request = desk.back() if back else desk.install(source, model, slot)
    if not wait:
        return
    last = followed(desk.follow(request), quiet=as_json or not sys.stderr.isatty())
    typer.echo(last.report().model_dump_json() if as_json else attempt_line(last))
    if last.state != "committed":
        raise typer.Exit(3)


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


@app.command("config")
def show_config(
    config: Config = _DEFAULT_CONFIG,
    explain: Annotated[bool, typer.Option("--explain", help="Each value, with the layer that it is from.")] = False,
    as_json: Json = False,
) -> None:
    """Show the configuration that is in force: the file and environment, the local page, the remote document over them.

    Secrets are never shown. What `run` got by its flags is not known here.

    Example: `edgetally-agent config --explain`
    """
    from agent.remote.local import explain as explain_config
    from agent.remote.show import config_document, config_toml, explained_document, explained_lines

    explained = explain_config(config)
    for note in explained.notes:
        typer.echo(f"note: {note}", err=True)
    if as_json:
        typer.echo(json.dumps(explained_document(explained) if explain else config_document(explained), indent=2))
    elif explain:
        typer.echo("\n".join(explained_lines(explained)))
    else:
        typer.echo(config_toml(explained), nl=False)


@app.command()
def top(
    url: Annotated[str | None, typer.Option(help="http://HOST:PORT of a box, instead of the configured page.")] = None,
    config: Config = _DEFAULT_CONFIG,
    once: Annotated[bool, typer.Option("--once", help="Show it once and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the state as JSON, once.")] = False,
) -> None:
    """Watch the cameras in the terminal, read from the box's own page: counts, rates, latency, what is wrong.

    The page's password comes from the configuration, or with --url from `EDGETALLY_PAGE__PASSWORD`.

    Example: `edgetally-agent top --once`
    """
    from rich.console import Console

    from agent.page.client import read_state
    from agent.page.top import find_page, table, watch

    page = find_page(url, config)
    if as_json:
        typer.echo(read_state(page).model_dump_json(by_alias=True))
    elif once:
        Console().print(table(read_state(page)))
    else:
        watch(page, Console())


@app.command("drift-reset")
def drift_reset(
    camera: Annotated[str, typer.Argument(help="Its id.")],
    config: Config = _DEFAULT_CONFIG,
) -> None:
    """Forget what is usual for a camera, as after it was moved; the agent learns it anew from its next start on.

    The agent must not run; while it does, the request `drift-reset` over MQTT does the same.

    Example: `edgetally-agent drift-reset gate`
    """
    from agent.settings import load_config
    from agent.store import Store

    with closing(Store.open(Path(load_config(config).state_dir))) as store:
        typer.echo(f"camera {camera}: what is usual is learned anew since {store.begin_anew(camera).since}")


app.command()(provision)
app.command()(renew)


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
