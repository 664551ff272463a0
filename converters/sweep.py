"""The same model at several input sizes: how much faster a smaller one is, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from contracts.documents import MachineModel
from contracts.errors import EdgetallyError, StorageError
from converters.build import build
from converters.report.rows import Row
from converters.report.write import read_report
from converters.request import Progress, Request
from converters.sizes import Size, sized_out


class Swept(MachineModel):
    """What became of one size.

    Attributes:
        width: pixels.
        height: pixels.
        bundle: where its bundle is; None where there is none.
        error: why there is none.
        row: the form that this host would take: its error against the labels, and its speed.
    """

    width: int
    height: int
    bundle: str | None = None
    error: str = ""
    row: Row | None = None


def sweep(request: Request, sizes: Sequence[Size], progress: Progress) -> tuple[Swept, ...]:
    """Build and measure a bundle for each size; a size that the model does not take is told, and the others go on.

    Raises:
        StorageError: the disk is full or not writable.
    """
    return tuple(_one(request, size, progress) for size in sizes)


def _one(request: Request, size: Size, progress: Progress) -> Swept:
    width, height = size

    def step(what: str, done: int, total: int) -> None:
        progress(f"{width}x{height}: {what}", done, total)

    out = sized_out(request.out, size)
    try:
        bundle = build(replace(request, out=out, size=size), step)
    except StorageError:
        raise
    except EdgetallyError as error:
        return Swept(width=width, height=height, error=str(error))
    return Swept(width=width, height=height, bundle=str(bundle.path), row=read_report(bundle).chosen)
