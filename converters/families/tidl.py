"""TI's TDA4VM: a float TFLite file, which TIDL quantises itself, and TIDL's own files where its tools are here.

TDA4VM takes no TFLite file that was quantised before. Without the tools (``TIDL_TOOLS_PATH``) the artifact is the float
file and the job, to be compiled by hand; what this host shows of it is the float file's, on its processor.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from contracts.errors import ModelFileError
from contracts.facts import Requirement
from converters.families.base import Emitted, Job, Recipe
from converters.tflite.flatbuffer import read_graph
from converters.tidl.job import ARTIFACTS, read_options, write_job
from converters.tidl.log import Offload, read_log
from converters.tidl.tools import TOOLS, find_tidl, run_worker

_OFFLOAD = "offload.json"
_PRECISION = "int8"


def precisions(job: Job, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """See `converters.families.base.Family`; the accelerator computes in integers only."""
    read_options(job)
    _tflite().precisions(_for_tflite(job), ("fp32",))
    return tuple(name for name in wanted if name == _PRECISION)


def methods(job: Job, precision: str) -> tuple[str, ...]:
    """See `converters.families.base.Family`; TIDL finds the ranges, by its ``accuracy_level``."""
    del job, precision
    return ("",)


def emit(job: Job, recipe: Recipe, folder: Path) -> Emitted:
    """See `converters.families.base.Family`."""
    if recipe.precision != _PRECISION:
        raise ModelFileError(f"{job.source}: TIDL's precision is {_PRECISION}, got {recipe.precision!r}; choose it")
    options = read_options(job)
    tidl = find_tidl()
    with tempfile.TemporaryDirectory(prefix="tidl-", dir=job.scratch) as name:
        made = Path(name)
        float_file: Emitted = _tflite().emit(_for_tflite(job), Recipe("fp32"), made)
        write_job(job, recipe.kept_out, float_file.entry, folder)
    entry = folder / "model.tflite"
    warnings: tuple[str, ...] = (
        f"TIDL was not run: {TOOLS} is not set; the artifact is the float model and the job to compile it with",
    )
    if tidl is not None:
        log = run_worker(tidl, folder)
        offload = _offload(job, log, entry, allowed=options.allow_host_fallback)
        (folder / _OFFLOAD).write_text(json.dumps(vars(offload)) + "\n", encoding="utf-8")
        _tidy(job, folder)
        warnings = ()
    return Emitted(
        precision=recipe.precision,
        entry=entry,
        inputs=float_file.inputs,
        outputs=float_file.outputs,
        rounded=True,
        floors=(Requirement(fact="tidl.version", equals=options.tidl_version),),
        toolchain={**float_file.toolchain, **({"tidl": options.tidl_version} if tidl else {})},
        stand_in=entry,
        warnings=warnings,
    )


def executed(emitted: Emitted, execution_precision: str) -> Mapping[str, int] | None:
    """See `converters.families.base.Family`; of all nodes, for TIDL does not say of which kind those elsewhere are."""
    del execution_precision
    file = emitted.entry.with_name(_OFFLOAD)
    if not file.is_file():
        return None
    offload = Offload(**json.loads(file.read_text(encoding="utf-8")))
    return {"int8": offload.offloaded, "elsewhere": offload.elsewhere or 0}


def _offload(job: Job, log: str, entry: Path, *, allowed: bool) -> Offload:
    offload = read_log(log, len(read_graph(entry).operators))
    if offload is None or offload.offloaded == 0:
        raise ModelFileError(f"{job.source}: TIDL did not say that the accelerator takes any of it; see its log")
    if offload.elsewhere and not allowed:
        raise ModelFileError(
            f"{job.source}: TIDL leaves {offload.elsewhere} of {offload.total} nodes to the Arm cores, in "
            f"{offload.subgraphs} subgraphs; export without them, or set the option allow_host_fallback"
        )
    return offload


def _tidy(job: Job, folder: Path) -> None:
    """Leave what a device needs: the model and TIDL's files."""
    if not any((folder / ARTIFACTS).iterdir()):
        raise ModelFileError(f"{job.source}: TIDL wrote no files; try again")
    for file in folder.iterdir():
        if file.name not in {"model.tflite", _OFFLOAD, ARTIFACTS}:
            file.unlink()
    shutil.rmtree(folder / ARTIFACTS / "tempDir", ignore_errors=True)


def _for_tflite(job: Job) -> Job:
    return Job(job.spec, job.source, job.folded, job.origin, job.scratch, job.calibration)


def _tflite() -> ModuleType:
    """Imported when it is needed: it brings TFLite's interpreter."""
    from converters.families import tflite

    return tflite
