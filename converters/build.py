"""From a model directory to a bundle: read, simplify, fold, emit, verify, measure, pack."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

from contracts.errors import DocumentError, EdgetallyError, ModelFileError, UnknownNameError
from contracts.manifest import MANIFEST_NAME, Manifest, manifest_digest
from contracts.version import VERSION
from converters.golden import write_golden
from converters.made import Made
from converters.make_target import Task, make_target
from converters.options import with_options
from converters.pack import check_place, new_bundle
from converters.preparing import Prepared, prepare
from converters.report.rows import Row
from converters.report.write import write_report
from converters.request import Progress, Request
from converters.resume import Finished, finished_targets
from converters.self_test import self_test
from converters.sizes import resized
from converters.source import describe, open_model, source_digest
from converters.speeds import measure_and_rank
from converters.table import check_front_end, versions
from runtime.bundle import Bundle, open_bundle
from runtime.model_dir import read_model_dir
from targets.load import Target, all_targets, load_target

_STEPS = 7  # beside one a target


def build(request: Request, progress: Progress = lambda _what, _done, _total: None) -> Bundle:
    """Build a bundle.

    What cannot be made or is not good enough is a row of the bundle's report; an error is raised only where nothing is
    left to pack.

    Raises:
        WrittenError: a name or document is wrong.
        ModelFileError: the model cannot be taken, or no artifact can be made of it.
        StorageError: the bundle cannot be written.
    """
    check_front_end()
    targets = _targets(request)
    check_place(request.out)
    steps = _Steps(progress, _STEPS + len(targets))
    steps.begin("reading the model")
    model = open_model(resized(read_model_dir(request.model_dir), request.size), refit=request.size is not None)
    with new_bundle(request.out) as folder, tempfile.TemporaryDirectory(prefix="edgetally-build-") as scratch:
        prepared = prepare(request, model, Path(scratch), steps.begin)
        with finished_targets(request.out, _follows_from(request, prepared)) as finished:
            made = _make(request, targets, prepared, finished, steps)
            if not made.artifacts:
                raise _nothing_left(made.rows)
            for target in targets:
                finished.copy_into(folder, target.name)
            steps.begin("measuring")
            made = measure_and_rank(made, folder, prepared.model.directory.spec, request.measuring, steps.tell)
            steps.begin("writing the report")
            _write_manifest(folder, prepared, made)
            steps.begin("testing the bundle")
            self_test(open_bundle(folder))
    return open_bundle(request.out)


class _Steps:
    """Counts the steps of a build for whoever watches it."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0

    def begin(self, what: str) -> None:
        """The next step."""
        self._progress(what, self._done, self._total)
        self._done += 1

    def tell(self, what: str) -> None:
        """Something within the present step."""
        self._progress(what, self._done - 1, self._total)


def _targets(request: Request) -> list[Target]:
    """What is made, in the order of places.

    Raises:
        UnknownNameError: a target asked for does not exist.
        DocumentError: a precision asked for is none of theirs.
    """
    wanted = {load_target(name).name for name in (*request.targets, *request.allow_fallback)}
    named = {load_target(name).name for name in request.targets} or {target.name for target in all_targets()}
    chosen = [target for target in all_targets() if target.name in named]
    known = {precision for target in all_targets() for precision in target.precisions}
    for name in request.precisions:
        if name not in known:
            raise UnknownNameError("precision", name, known)
    strange = wanted - named
    if strange:
        raise DocumentError("--allow-fallback", [f"{min(strange)!r} is not among the targets that are built"])
    return with_options(chosen, request.options)


def _make(request: Request, targets: Sequence[Target], prepared: Prepared, finished: Finished, steps: _Steps) -> Made:
    """Everything that became of all targets, in their order."""
    known = {target.name: made for target in targets if (made := finished.load(target.name)) is not None}
    tasks = {t.name: _task(request, t, prepared, finished) for t in targets if t.name not in known}
    for name in known:
        steps.begin(f"{name}: kept from before the interrupt")
    make = _one_by_one if request.jobs == 1 else _side_by_side
    for name, each in make(request, tasks, steps):
        finished.keep(name, each)
        known[name] = each
    everything = Made(warnings=list(prepared.warnings))
    for target in targets:
        everything.add(known[target.name])
    return everything


def _one_by_one(_request: Request, tasks: Mapping[str, Task], steps: _Steps) -> Iterator[tuple[str, Made]]:
    for name, task in tasks.items():
        steps.begin(f"making {name}")
        yield name, make_target(task, steps.tell)


def _side_by_side(request: Request, tasks: Mapping[str, Task], steps: _Steps) -> Iterator[tuple[str, Made]]:
    # Started anew rather than forked: runtimes hold threads, which a fork does not take along.
    with ProcessPoolExecutor(request.jobs, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(make_target, task): name for name, task in tasks.items()}
        ended = []
        for done in as_completed(running):
            steps.begin(f"made {running[done]}")
            if isinstance(done.exception(), BrokenProcessPool):
                ended.append(running[done])
            else:
                yield running[done], done.result()
    # Only now: until the pool is gone, another of its processes may still be writing.
    for name in ended:
        yield name, _not_made(tasks[name])


def _not_made(task: Task) -> Made:
    """What is to be said where a process was ended from outside: the pool tells not which, and gives up on all."""
    reason = "a process that made artifacts was ended from outside (out of memory?); build again with --jobs 1"
    shutil.rmtree(task.root / "artifacts", ignore_errors=True)
    names = task.precisions or task.target.precisions
    return Made(rows=[Row(target=task.target.name, precision=name, status="failed", reason=reason) for name in names])


def _task(request: Request, target: Target, prepared: Prepared, finished: Finished) -> Task:
    return Task(
        target=target,
        job=prepared.job(target),
        material=prepared.material,
        root=finished.root(target.name),
        precisions=request.precisions,
        rounds=request.rounds,
        allow_fallback=target.name in request.allow_fallback,
        ranking=prepared.scratch / "ranking.json",
    )


def _follows_from(request: Request, prepared: Prepared) -> dict[str, object]:
    """Everything that decides what a finished target holds."""
    material = prepared.material
    return {
        "converter": VERSION,
        "packages": versions(),
        "source": source_digest(prepared.model.directory.model_file),
        "model": material.spec.model_dump(mode="json"),
        "calibration": material.calibration.described.sha256,
        "evaluation": [material.evaluation.described.sha256, material.truth.true.tolist()],
        "targets": [target.model_dump(mode="json") for target in all_targets()],
        "asked": [request.precisions, request.rounds, request.allow_fallback, request.options],
    }


def _nothing_left(rows: Sequence[Row]) -> EdgetallyError:
    reasons = list(dict.fromkeys(f"{row.name}: {row.reason}" for row in rows if row.reason))
    return ModelFileError("no artifact could be made; " + "; ".join(reasons))


def _write_manifest(folder: Path, prepared: Prepared, made: Made) -> None:
    material, model = prepared.material, prepared.model
    tensors = material.evaluation.tensors()
    manifest = Manifest(
        created=_now(),
        converter=f"edgetally-convert {VERSION}",
        model=material.spec,
        source=describe(model),
        artifacts=tuple(made.artifacts),
        golden=write_golden(
            folder,
            [tensors[index] for index in material.frames],
            [material.results(run) for run in material.reference],
        ),
        calibration=material.calibration.described,
        evaluation=material.evaluation.described,
        warnings=tuple(made.warnings),
    )
    manifest = manifest.model_copy(update={"reports": write_report(folder, manifest, made.rows)})
    document = manifest.model_dump(mode="json", exclude_none=True)
    document["digest"] = manifest_digest(document)
    (folder / MANIFEST_NAME).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _now() -> str:
    """UTC in ISO 8601; SOURCE_DATE_EPOCH (reproducible-builds.org) stands in where it is set."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    utc = dt.timezone.utc
    moment = dt.datetime.fromtimestamp(int(epoch), utc) if epoch.isdigit() else dt.datetime.now(utc)
    return moment.isoformat(timespec="seconds")
