"""Making the artifacts of one target, in this process or in one of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from contracts.errors import EdgetallyError, ModelFileError, StorageError
from converters.families.base import Job
from converters.ladder import Ladder, Tell
from converters.made import Made
from converters.material import Material
from converters.rank import rank
from converters.report.rows import Row
from converters.table import open_family
from targets.load import Target


@dataclass(frozen=True)
class Task:
    """What one target is made from; it is handed to other processes.

    Args:
        target: which.
        job: what is converted; its scratch folder is the family's.
        material: what each artifact is tried on.
        root: where the artifacts grow.
        precisions: which forms are wanted; all of the target's where empty.
        rounds: how often layers are kept out of INT8.
        allow_fallback: whether layers may run elsewhere.
        ranking: a file that the layers' ranking is kept in, for all targets.
    """

    target: Target
    job: Job
    material: Material
    root: Path
    precisions: tuple[str, ...]
    rounds: int
    allow_fallback: bool
    ranking: Path


def make_target(task: Task, tell: Tell = lambda _: None) -> Made:
    """The artifacts of a target, and a row for everything that was tried; what cannot be made is a row too.

    Raises:
        StorageError: the disk is full or not writable.
    """
    made = Made()
    try:
        family = open_family(task.target.family)
        wanted = tuple(name for name in task.target.precisions if not task.precisions or name in task.precisions)
        precisions = family.precisions(task.job, wanted)
        material = task.material.limited(task.target.evaluation_pictures)
    except StorageError:
        raise
    except EdgetallyError as error:
        status = "failed" if isinstance(error, ModelFileError) else "not run"
        made.rows += [
            Row(target=task.target.name, precision=name, status=status, reason=str(error))
            for name in task.precisions or task.target.precisions
        ]
        return made
    ladder = Ladder(
        target=task.target,
        family=family,
        job=task.job,
        material=material,
        root=task.root,
        rank=partial(_ranked, task, tell),
        rounds=task.rounds,
        allow_fallback=task.allow_fallback,
        tell=tell,
    )
    made.rows += [_not_made(task, name, precisions) for name in task.precisions if name not in precisions]
    for precision in precisions:
        if not task.precisions or precision in task.precisions:
            made.add(ladder.climb(precision))
    return made


def _not_made(task: Task, precision: str, made: Sequence[str]) -> Row:
    """What was asked for by name is never left out without a word."""
    forms = ", ".join(made if precision in task.target.precisions else task.target.precisions)
    reason = f"for this target the model is made in {forms or 'none of the forms asked for'}; choose another precision"
    return Row(target=task.target.name, precision=precision, status="not run", reason=reason)


def _ranked(task: Task, tell: Tell) -> Sequence[str]:
    """The layers, worst first, from the file where another target asked before."""
    if task.ranking.is_file():
        known: list[str] = json.loads(task.ranking.read_text(encoding="utf-8"))
        return known
    names = rank(task.job, task.material, tell)
    half_written = task.ranking.with_suffix(f".{os.getpid()}")  # another process may read at any moment
    half_written.write_text(json.dumps(names), encoding="utf-8")
    half_written.replace(task.ranking)
    return names
