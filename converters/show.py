"""What the command line prints: bundles and targets as tables or as plain data, and the progress of a build."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from contracts.facts import Requirement
from contracts.manifest import Artifact, Manifest, Parity
from converters.report.rows import Row
from converters.report.words import stages
from converters.request import Progress as ProgressCallback
from converters.table import extra_of, missing_package
from runtime.bundle import Bundle
from targets.load import all_targets

if TYPE_CHECKING:
    from converters.sweep import Swept

_MEBIBYTE = 1 << 20
_FIGURES = frozenset({"MiB", "loss", "fps here", "p50 ms"})


@contextmanager
def progress_bar(*, quiet: bool) -> Iterator[ProgressCallback]:
    """A bar on stderr that follows the steps of a build; nothing where stderr is no terminal, or on request."""
    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    bar = Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal)
    with bar:
        task = bar.add_task("starting", total=None)

        def step(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield step


def bundle_summary(bundle: Bundle) -> dict[str, object]:
    """A bundle as plain data: where it is, then its manifest, then size and digest of each artifact."""
    manifest = bundle.manifest
    sizes = [{"id": a.id, "bytes": a.size, "digest": a.digest, "parity_passed": _passed(a)} for a in manifest.artifacts]
    return {"bundle": str(bundle.path), "artifacts": sizes, "manifest": manifest.model_dump(mode="json")}


def print_rows(rows: Sequence[Row]) -> None:
    """Everything that was tried as a table: what it loses, how fast it is here, and why it is not in the bundle."""
    table = Table()
    for heading in ("tried", "MiB", "loss", "fps here", "p50 ms", "outcome"):
        table.add_column(heading, justify="right" if heading in _FIGURES else "left", overflow="fold")
    for row in rows:
        table.add_row(
            Text(row.name),
            "" if row.bytes is None else f"{row.bytes / _MEBIBYTE:.2f}",
            "" if row.accuracy is None else f"{row.accuracy.loss:.2%}",
            "" if row.benchmark is None else f"{row.benchmark.fps:.1f}",
            "" if row.benchmark is None else f"{row.benchmark.stages['total'].p50:.1f}",
            Text(f"{row.status}{': ' if row.reason else ''}{row.reason}"),
        )
    Console().print(table)


def print_sizes(swept: Sequence[Swept]) -> None:
    """What each input size gives on this host, and how far its counts are from the labels."""
    table = Table()
    for heading in ("size", "form", "fps here", "p50 ms", "error a picture", "bundle"):
        table.add_column(heading, overflow="fold")
    for one in swept:
        row = one.row
        speed, accuracy = (row.benchmark, row.accuracy) if row else (None, None)
        table.add_row(
            f"{one.width}x{one.height}",
            Text(row.name if row else ""),
            "" if speed is None else f"{speed.fps:.1f}",
            "" if speed is None else f"{speed.stages['total'].p50:.1f}",
            "" if accuracy is None else f"{accuracy.mae:.2f} of {accuracy.mean_true:.1f}",
            Text(one.bundle or one.error),
        )
    Console().print(table)


def missing_targets(rows: Sequence[Row], asked: Sequence[str]) -> list[str]:
    """Targets that were asked for by name and gave no artifact."""
    kept = {row.target for row in rows if row.status == "kept"}
    return [name for name in asked if name not in kept]


def print_bundle(bundle: Bundle) -> None:
    """A bundle as a table, with the warnings that the build gave."""
    manifest, console = bundle.manifest, Console()
    model, source = manifest.model, manifest.source
    console.print(Text(f"{bundle.path}: {model.name} {model.version}, bundle {(manifest.digest or '')[:12]}"))
    console.print(Text(f"from {source.file} {source.sha256[:12]}, {manifest.converter}, {manifest.created}"))
    if model.stage:
        console.print(Text(f"stages: {stages(model)}"))
    for role, pictures in (("calibrated", manifest.calibration), ("judged", manifest.evaluation)):
        if pictures:
            console.print(Text(f"{role} on: {pictures.origin}"))
    console.print(Text(f"golden samples: {len(manifest.golden)}"))
    console.print(_artifact_table(manifest.artifacts))
    for device in sorted({artifact.evidence_device or "nothing" for artifact in manifest.artifacts}):
        console.print(Text(f"ran on {device}, {_frames_tried(manifest)} frames each"))
    for warning in manifest.warnings:
        console.print(Text(f"warning: {warning}", style="yellow"))


def _frames_tried(manifest: Manifest) -> int:
    return min((parity.frames for artifact in manifest.artifacts for parity in artifact.parity), default=0)


def _artifact_table(artifacts: tuple[Artifact, ...]) -> Table:
    table = Table()
    for heading in ("artifact", "MiB", "error/range", "requires", "evidence"):
        table.add_column(heading, justify="right" if heading == "MiB" else "left", no_wrap=heading == "artifact")
    for artifact in artifacts:
        table.add_row(
            artifact.id,
            f"{artifact.size / _MEBIBYTE:.2f}",
            "\n".join(_parity_text(parity) for parity in artifact.parity),
            "\n".join(_requirement_text(requirement) for requirement in artifact.requires),
            artifact.evidence,
        )
    return table


def _parity_text(parity: Parity) -> str:
    worst = max(parity.outputs, key=lambda output: output.max_error)
    return f"{parity.execution_precision} {worst.max_error:.1e}"


def _requirement_text(requirement: Requirement) -> str:
    written = requirement.model_dump(exclude_none=True, exclude={"fact"})
    symbols = {
        "equals": "",
        "any_of": "in ",
        "at_least": ">= ",
        "below": "< ",
        "has": "with ",
        "has_any": "with one of ",
    }
    comparisons = " and ".join(f"{symbols[name]}{value}" for name, value in written.items())
    return f"{requirement.fact.removeprefix('runtime.')} {comparisons}"


def _passed(artifact: Artifact) -> bool:
    return bool(artifact.parity) and all(parity.passed for parity in artifact.parity)


def target_rows() -> list[dict[str, object]]:
    """Every target as plain data; ``missing`` is the package that this host lacks for building it, or None."""
    return [
        {
            "name": target.name,
            "description": target.description,
            "precisions": target.precisions,
            "execution_precisions": target.execution_precisions,
            "requires": [requirement.model_dump(exclude_none=True) for requirement in target.requires],
            "missing": missing_package(target.family),
        }
        for target in all_targets()
    ]


def print_targets(rows: list[dict[str, object]]) -> None:
    """The targets as a table."""
    table = Table()
    for heading in ("target", "for", "built on this host"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        missing = row["missing"]
        extra = extra_of(str(missing))
        here = f"no: {missing} is missing, run: pip install 'edgetally[{extra}]'" if missing else "yes"
        table.add_row(Text(str(row["name"])), Text(str(row["description"])), Text(here))
    Console().print(table)
