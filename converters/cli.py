"""edgetally-convert: the command line of who has a model.

Heavy packages are imported by the command that needs them, so that help and shell completion answer at once.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from contracts.errors import ArtifactError
from contracts.version import VERSION
from converters.bench_cli import bench
from converters.interrupts import Interrupts
from converters.request import Request
from converters.toolchains.cli import app as tools
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
interrupts = Interrupts()


def _target_names() -> list[str]:
    from targets.load import all_targets

    return [AUTO, *(target.name for target in all_targets())]


def _option_names() -> list[str]:
    from converters.table import FAMILIES
    from targets.load import all_targets

    return [f"{target.name}.{key}=" for target in all_targets() for key in FAMILIES[target.family].settable]


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
        typer.Option(
            help="Pictures to find INT8 ranges on: a labelled folder, a folder or a clip. Default: the synthetic road."
        ),
    ] = None,
    evaluation: Annotated[
        Path | None,
        typer.Option(
            help="Pictures to judge on, likewise. Default: a part of --calibration that shares no clip with the rest."
        ),
    ] = None,
    precision: Annotated[
        list[str] | None, typer.Option("--precision", "-p", help="fp32, fp16, int8 …; may be repeated. Default: all.")
    ] = None,
    pictures: Annotated[int, typer.Option(min=8, help="How many are taken for each of the two at most.")] = 300,
    measuring: Annotated[
        Literal["none", "quick", "full"],
        typer.Option("--measure", help="How long each artifact that runs here is timed; p99 needs `full`."),
    ] = "quick",
    rounds: Annotated[
        int, typer.Option(min=0, max=3, help="How often the layers that suffer most are kept out of INT8.")
    ] = 3,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Targets made at once.")] = 1,
    sizes: Annotated[
        str,
        typer.Option(help="Input sizes to compare, as 256,320,384x288: a bundle each, beside --out."),
    ] = "",
    allow_fallback: Annotated[
        list[str] | None, typer.Option(help="A target whose layers may run elsewhere than meant; may be repeated.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TARGET.KEY=VALUE",
            help="Set an option of a target's converter; may be repeated.",
            autocompletion=_option_names,
        ),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Convert a model and prove that every artifact counts what the model counts.

    What cannot be made or loses too much is left out, with the reason in the report. Interrupted, the same command goes
    on with the targets that are not finished.

    Example: `edgetally-convert build models/yolox-nano --out yolox.bundle --calibration my-labelled-pictures`

    Example: `edgetally-convert build my-model -t x86-openvino --calibration road.mp4 -o my.bundle --json`

    Example: `edgetally-convert build my-model -t x86-tensorrt --option x86-tensorrt.placement=modelopt -o my.bundle`
    """
    from converters.show import bundle_summary, missing_targets, print_bundle, print_rows, progress_bar
    from converters.table import check_front_end

    check_front_end()
    from converters.build import build as build_bundle
    from converters.options import parse_options
    from converters.report.write import read_report

    names = tuple(name for name in target or () if name != AUTO)
    request = Request(
        model_dir=model_dir,
        out=out,
        targets=names,
        calibration=calibration,
        evaluation=evaluation,
        precisions=tuple(precision or ()),
        pictures=pictures,
        measuring=measuring,
        rounds=rounds,
        jobs=jobs,
        allow_fallback=tuple(allow_fallback or ()),
        options=parse_options(option or ()),
    )
    if sizes:
        _sweep(request, sizes, as_json=as_json)
        return
    with progress_bar(quiet=as_json) as progress:
        bundle = build_bundle(request, interrupts.watched(progress))
    report = read_report(bundle)
    if as_json:
        _print_json(bundle_summary(bundle) | {"rows": [row.model_dump(mode="json") for row in report.rows]})
    else:
        print_rows(report.rows)
        print_bundle(bundle)
    missing = missing_targets(report.rows, names)
    if missing:
        raise ArtifactError(f"no artifact for {', '.join(missing)}; the reason stands in the report")


def _sweep(request: Request, sizes: str, *, as_json: bool) -> None:
    from converters.show import print_sizes, progress_bar
    from converters.sizes import parse_sizes
    from converters.sweep import sweep

    wanted = parse_sizes(sizes)
    with progress_bar(quiet=as_json) as progress:
        swept = sweep(request, wanted, interrupts.watched(progress))
    if as_json:
        _print_json([one.model_dump(mode="json") for one in swept])
    else:
        print_sizes(swept)
    failed = [f"{one.width}x{one.height}" for one in swept if one.bundle is None]
    if failed:
        raise ArtifactError(f"no bundle for {', '.join(failed)}; the reason stands in the table")


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


app.command()(bench)
app.add_typer(tools, name="tools")


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


def main() -> None:
    """Entry point: 0 when all went well, 2 with one sentence on stderr, 130 for Ctrl-C."""
    interrupts.install()
    sys.exit(run_program(app))


if __name__ == "__main__":
    main()
