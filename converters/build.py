"""From a model directory to a bundle: read, simplify, fold, emit, verify, pack."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from contracts.errors import EdgetallyError, ModelFileError, ParityError, StorageError
from contracts.manifest import MANIFEST_NAME, Manifest, manifest_digest
from contracts.version import VERSION
from converters.artifacts import Made, artifacts_folder, make_artifacts
from converters.families.base import Job
from converters.frames import take_frames
from converters.golden import write_golden
from converters.pack import check_place, new_bundle
from converters.request import Progress, Request
from converters.source import Model, describe, open_model, source_digest, write_folded
from converters.table import check_front_end
from runtime.backends.table import open_lane
from runtime.bundle import Bundle, open_bundle
from runtime.golden import check_golden
from runtime.model_dir import read_model_dir
from targets.load import Target, all_targets, load_target


def build(request: Request, progress: Progress = lambda _what, _done, _total: None) -> Bundle:
    """Build a bundle.

    Raises:
        WrittenError: a name or document is wrong.
        ModelFileError: the model cannot be taken, or a target asked for by name cannot be made from it.
        ParityError: an artifact does not compute what the model does.
        RuntimeMissingError: a target asked for by name needs a package that is not installed here.
        StorageError: the bundle cannot be written.
    """
    check_front_end()
    wanted = {load_target(name) for name in request.targets} or set(all_targets())
    targets = [target for target in all_targets() if target in wanted]
    check_place(request.out)
    directory = read_model_dir(request.model_dir)
    steps = _Steps(progress, 4 + len(targets))
    steps.begin("reading frames")
    frames = take_frames(directory.spec.input, request.calibration)
    steps.begin("running the FP32 reference")
    model = open_model(directory, frames)
    with new_bundle(request.out) as folder:
        made = _make(folder, targets, model, steps, by_name=bool(request.targets))
        steps.begin("testing the bundle")
        _write_manifest(folder, model, made)
        _self_test(open_bundle(folder))
    return open_bundle(request.out)


class _Steps:
    """Counts the steps of a build for whoever watches it."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0

    def begin(self, what: str) -> None:
        self._progress(what, self._done, self._total)
        self._done += 1


def _make(folder: Path, targets: Sequence[Target], model: Model, steps: _Steps, *, by_name: bool) -> Made:
    """The artifacts of all targets; a target that was not asked for by name may fail, which is then a warning."""
    everything = Made()
    with tempfile.TemporaryDirectory(prefix="edgetally-build-") as scratch:
        steps.begin("simplifying the graph")
        folded, warnings = write_folded(model, Path(scratch))
        everything.warnings += warnings
        job = Job(model.directory.spec, model.directory.model_file, folded, _origin(model))
        for target in targets:
            steps.begin(f"making {target.name}")
            try:
                everything.add(make_artifacts(folder, target, job, model))
            except (ParityError, StorageError):
                raise  # neither a wrong artifact nor a full disk is a matter of course
            except EdgetallyError as error:
                if by_name:
                    raise _named(target, error) from error
                shutil.rmtree(artifacts_folder(folder, target), ignore_errors=True)
                everything.warnings.append(f"target {target.name} was not built: {error}")
    if not everything.artifacts:
        raise ModelFileError("no target could be built: " + "; ".join(everything.warnings))
    return everything


def _named(target: Target, error: EdgetallyError) -> EdgetallyError:
    """The error with the target's name; those about this host rather than the model name what they need themselves."""
    if isinstance(error, ModelFileError):
        return ModelFileError(f"target {target.name} cannot be made: {error}")
    return error


def _origin(model: Model) -> dict[str, str]:
    spec = model.directory.spec
    return {"model": f"{spec.name} {spec.version}", "source_sha256": source_digest(model.directory.model_file)}


def _write_manifest(folder: Path, model: Model, made: Made) -> None:
    manifest = Manifest(
        created=_now(),
        converter=f"edgetally-convert {VERSION}",
        model=model.directory.spec,
        source=describe(model),
        artifacts=tuple(made.artifacts),
        golden=write_golden(folder, model.frames.tensors, model.reference),
        warnings=tuple(made.warnings),
    )
    document = manifest.model_dump(mode="json", exclude_none=True)
    document["digest"] = manifest_digest(document)
    (folder / MANIFEST_NAME).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _now() -> str:
    """UTC in ISO 8601; SOURCE_DATE_EPOCH (reproducible-builds.org) stands in where it is set."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    utc = dt.timezone.utc
    moment = dt.datetime.fromtimestamp(int(epoch), utc) if epoch.isdigit() else dt.datetime.now(utc)
    return moment.isoformat(timespec="seconds")


def _self_test(bundle: Bundle) -> None:
    """Do what a device does before an artifact counts, so that no bundle leaves that its own samples refuse."""
    bundle.check()
    for artifact in bundle.manifest.artifacts:
        for execution_precision in artifact.execution_precisions:
            lane = open_lane(artifact.backend, bundle.entry(artifact), execution_precision=execution_precision)
            try:
                check_golden(lane, bundle, artifact, execution_precision)
            finally:
                lane.close()
