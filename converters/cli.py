"""edgetally-convert: the command line of who has a model.

Heavy packages are imported by the command that needs them, so that help and shell completion answer at once.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from contracts.version import VERSION
from runtime.console import run_program

app = typer.Typer(
    name="edgetally-convert",
    help="Turns one ONNX model into a bundle: for each kind of box an artifact that was run and compared.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table, and no progress.")]
AUTO = "auto"


def _target_names() -> list[str]:
    from targets.load import all_targets

    return [AUTO, *(target.name for target in all_targets())]


@app.callback(invoke_without_command=True)
def program(
    *, version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False
) -> None:
    """Turns one ONNX model into a bundle: for each kind of box an artifact that was run and compared."""
    if version:
        sys.stdout.write(f"edgetally-convert {VERSION}\n")
        raise typer.Exit


@app.command()
def build(
    model_dir: Annotated[Path, typer.Argument(help="Folder with model.toml and model.onnx (or model.xml).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the bundle goes; an older bundle is replaced.")],
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            "-t",
            help="A name from `edgetally-convert targets`; may be repeated. `auto`: all that this host can build.",
            autocompletion=_target_names,
        ),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(help="Pictures to try it on: a labelled folder, a folder or a clip. Default: the synthetic road."),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Convert a model and prove that every artifact computes what the model does.

    Example: `edgetally-convert build models/yolox-nano --out yolox.bundle`

    Example: `edgetally-convert build my-model -t x86-openvino --calibration road.mp4 -o my.bundle --json`
    """
    from converters.request import Request
    from converters.show import bundle_summary, print_bundle, progress_bar
    from converters.table import check_front_end

    check_front_end()
    from converters.build import build as build_bundle

    names = tuple(name for name in target or () if name != AUTO)
    request = Request(model_dir, out, names, calibration)
    with progress_bar(quiet=as_json) as progress:
        bundle = build_bundle(request, progress)
    if as_json:
        _print_json(bundle_summary(bundle))
    else:
        print_bundle(bundle)


@app.command()
def inspect(
    bundle: Annotated[Path, typer.Argument(help="A bundle that `edgetally-convert build` made.")],
    *,
    as_json: Json = False,
) -> None:
    """Check every byte of a bundle and show what it holds.

    Example: `edgetally-convert inspect yolox.bundle`
    """
    from converters.show import bundle_summary, print_bundle
    from runtime.bundle import open_bundle

    opened = open_bundle(bundle)
    opened.check()
    if as_json:
        _print_json(bundle_summary(opened))
    else:
        print_bundle(opened)


@app.command()
def targets(*, as_json: Json = False) -> None:
    """List the kinds of box that a model can be converted for, and which of them this host can build.

    Example: `edgetally-convert targets --json`
    """
    from converters.show import print_targets, target_rows

    rows = target_rows()
    if as_json:
        _print_json(rows)
    else:
        print_targets(rows)


def _print_json(document: object) -> None:
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


def _end_on_sigterm(number: int, frame: object) -> None:
    """Leave as Ctrl-C does, so that what was begun is removed."""
    del frame
    sys.exit(128 + number)


def main() -> None:
    """Entry point: 0 when all went well, 2 with one sentence on stderr, 130 for Ctrl-C."""
    signal.signal(signal.SIGTERM, _end_on_sigterm)
    sys.exit(run_program(app))


if __name__ == "__main__":
    main()
