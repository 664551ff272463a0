"""``python -m tools.packages``: Debian packages for boxes, and archives for boxes without a package repository."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from contracts.errors import DocumentError, UnknownNameError
from runtime.console import run_program
from tools.packages.archive import build_archive
from tools.packages.catalogue import AGENT, ARCHITECTURES, CATALOGUE, PYTHONS, RUNTIMES
from tools.packages.deb import build_deb
from tools.packages.tree import Ingredients
from tools.packages.wheels import IndexWheels, build_own

app = typer.Typer(pretty_exceptions_enable=False)
_ROOT = Path(__file__).parent.parent.parent


Architectures = Annotated[list[str] | None, typer.Option("--arch", help="amd64 or arm64; both unless said.")]
Pythons = Annotated[list[str] | None, typer.Option("--python", help="Only for this one (3.11): smaller files.")]
Source = Annotated[Path, typer.Option(help="The checkout to build from.")]
Out = Annotated[Path, typer.Option(help="Folder for what is built.")]
Wheels = Annotated[Path, typer.Option(help="Folder that keeps fetched wheels.")]
_DIST, _WHEELS = Path("dist"), _ROOT / "build" / "wheels"


@app.command()
def deb(
    package: Annotated[list[str] | None, typer.Option(help="Only this one; may be repeated.")] = None,
    arch: Architectures = None,
    python: Pythons = None,
    source: Source = _ROOT,
    out: Out = _DIST,
    wheels: Wheels = _WHEELS,
) -> None:
    """Build Debian packages, the same bytes from the same commit."""
    names = _known("package", package, CATALOGUE)
    for work, made_of in _ingredients(arch, python, source, wheels):
        for name in names:
            _tell(build_deb(CATALOGUE[name], made_of, work, out))


@app.command()
def archive(
    runtime: Annotated[list[str] | None, typer.Option(help="Carry only this one; may be repeated.")] = None,
    arch: Architectures = None,
    python: Pythons = None,
    source: Source = _ROOT,
    out: Out = _DIST,
    wheels: Wheels = _WHEELS,
) -> None:
    """Build archives of the agent with install.sh, the same bytes from the same commit."""
    known = {one.component: one for one in RUNTIMES}
    runtimes = [known[name] for name in _known("runtime", runtime, known)]
    for work, made_of in _ingredients(arch, python, source, wheels):
        _tell(build_archive(AGENT, runtimes, made_of, work, out))


def _ingredients(
    arch: list[str] | None, python: list[str] | None, source: Path, wheels: Path
) -> Iterator[tuple[Path, Ingredients]]:
    pythons = tuple(_known("Python", python, PYTHONS))
    epoch = source_date(source)
    for architecture in _known("architecture", arch, ARCHITECTURES):
        with tempfile.TemporaryDirectory(prefix="edgetally-packages-") as folder:
            work = Path(folder)
            own = build_own(source, work / "own", epoch)
            yield work, Ingredients(source, architecture, pythons, epoch, own, IndexWheels(wheels))


def _tell(built: Path) -> None:
    typer.echo(f"{built}  {built.stat().st_size / 1e6:.0f} MB")


def source_date(source: Path) -> int:
    """When the source was last changed: SOURCE_DATE_EPOCH, or the last commit's time.

    Raises:
        DocumentError: neither is there.
    """
    said = os.environ.get("SOURCE_DATE_EPOCH")
    if said is None:
        command = ["git", "-C", str(source), "log", "-1", "--format=%ct"]
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    if not said.isdigit():
        raise DocumentError("SOURCE_DATE_EPOCH", [f"expected seconds since 1970, {source} has no commit; set it"])
    return int(said)


def _known(kind: str, given: list[str] | None, known: Iterable[str]) -> list[str]:
    names = list(known)
    for name in given or ():
        if name not in names:
            raise UnknownNameError(kind, name, names)
    return [name for name in names if not given or name in given]


if __name__ == "__main__":
    sys.exit(run_program(app))
