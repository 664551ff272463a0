"""Qualcomm's .dlc, made with an SDK that the user supplies; nothing on this host runs it, so no figure comes of it.

The preparation of the picture is inside but for the cast: these runtimes take float32 NHWC BGR, 0 to 255, and quantise
it themselves. Precisions: ``fp32``, ``int8`` and ``int8-a16``; the quantiser keeps no layers out by name.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import onnx

from contracts.errors import DocumentError, ModelFileError
from converters.families.base import Emitted, Job, Recipe, refuse_quantised, require_onnx
from converters.read import input_infos, output_infos
from converters.snpe.job import CALIBRATIONS, MODEL, RESULT, write_job
from converters.snpe.tools import find_sdk, run_tools

_PRECISIONS = ("fp32", "int8", "int8-a16")
_ZIP = b"PK\x03\x04"  # what a .dlc is since SNPE 1


def precisions(job: Job, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """See `converters.families.base.Family`."""
    if job.options:
        raise DocumentError("options of family 'snpe'", [f"expected none, got {name!r}" for name in job.options])
    require_onnx(job, "SNPE")
    refuse_quantised(job, "SNPE's quantiser")
    return tuple(name for name in wanted if name in _PRECISIONS)


def methods(job: Job, precision: str) -> tuple[str, ...]:
    """See `converters.families.base.Family`; which is best cannot be told without the device."""
    del job
    return ("",) if precision == "fp32" else tuple(CALIBRATIONS)[:1]


def emit(job: Job, recipe: Recipe, folder: Path) -> Emitted:
    """See `converters.families.base.Family`."""
    if recipe.kept_out:
        raise ModelFileError(f"{job.source}: SNPE's quantiser keeps no layers out by name; choose another target")
    sdk = find_sdk()
    entry = folder / RESULT
    with tempfile.TemporaryDirectory(prefix="snpe-", dir=job.scratch) as name:
        work = Path(name)
        written = write_job(job, recipe, work, sdk.tools)
        run_tools(sdk, written.commands, work)
        _check(job, work / written.result)
        shutil.copyfile(work / written.result, entry)
        model = onnx.shape_inference.infer_shapes(onnx.load(work / MODEL))
    return Emitted(
        precision=recipe.precision,
        entry=entry,
        inputs=input_infos(job.source, model),
        outputs=output_infos(job.source, model),
        rounded=recipe.precision != "fp32",
        floors=(),
        toolchain={"qairt": sdk.root.name},
        warnings=("a .dlc was built and not run: nothing on this host runs it",),
    )


def executed(emitted: Emitted, execution_precision: str) -> Mapping[str, int] | None:
    """See `converters.families.base.Family`."""
    del emitted, execution_precision
    return None


def _check(job: Job, result: Path) -> None:
    if not result.is_file():
        raise ModelFileError(f"{job.source}: Qualcomm's converter wrote no {result.name}; choose another target")
    with result.open("rb") as file:
        begins = file.read(len(_ZIP))
    if begins != _ZIP:
        raise ModelFileError(f"{job.source}: Qualcomm's converter wrote a {result.name} that is no .dlc; try again")
