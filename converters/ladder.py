"""The precision ladder: for each precision the cheapest recipe whose artifact stays within the budget.

For INT8 the ways of finding ranges are tried in turn; where all fail, layers are ranked once by how much quantising
each of them alone harms the result, and the worst are kept out, more of them each round.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from contracts.errors import ArtifactError, DeviceError, RuntimeMissingError, StorageError
from contracts.manifest import Artifact
from contracts.measurement import Accuracy
from converters.artifacts import checking_lanes, describe, with_host_stage
from converters.fallback import QUANTISED, check_executed
from converters.families.base import Emitted, Family, Job, Recipe
from converters.gate import is_at_the_edge
from converters.made import Made
from converters.material import Material
from converters.parity import tolerance_of
from converters.report.rows import Row, Status
from converters.trial import Trial, try_lanes
from converters.unsure import ENOUGH, Unsure, might_be_surer
from targets.load import Target

_KEPT_OUT = (0.05, 0.15, 0.3)  # of all layers, a round each: the worst few usually carry most of the loss

Tell = Callable[[str], None]
"""Told what is being tried."""

Rank = Callable[[], Sequence[str]]
"""The model's layers, the one that quantising harms most first; slow, so asked for once and only if needed."""


@dataclass(frozen=True)
class Ladder:
    """Makes the artifacts of one target.

    Args:
        target: which.
        family: of the target.
        job: what is converted.
        material: what each artifact is tried on.
        root: where ``artifacts/<target>/<precision>`` grows.
        rank: the layers, worst first.
        rounds: how often layers are kept out at most, up to 3.
        allow_fallback: whether layers may run elsewhere.
        tell: told what is tried.
    """

    target: Target
    family: Family
    job: Job
    material: Material
    root: Path
    rank: Rank
    rounds: int = 3
    allow_fallback: bool = False
    tell: Tell = lambda _: None

    def climb(self, precision: str) -> Made:
        """The artifact of one precision, or rows that say why there is none.

        Raises:
            StorageError: the disk is full or not writable.
        """
        folder = self.root / "artifacts" / self.target.name / precision
        made, unsure = Made(), Unsure(folder)
        for recipe in self._recipes(precision, made, unsure):
            self.tell(f"{self.target.name} {_name(recipe)}")
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            attempt = self._attempt(recipe, folder)
            if attempt.artifacts and not might_be_surer(attempt):
                made.add(unsure.dropped())
                made.add(attempt)
                return made
            made.add(unsure.offer(attempt) if attempt.artifacts else attempt)
            shutil.rmtree(folder, ignore_errors=True)
            if not any(row.status in {"kept", "left out"} for row in attempt.rows):
                break  # it could not be made or run: another way of finding ranges does not mend that
        made.add(unsure.taken())
        return made

    def _recipes(self, precision: str, made: Made, unsure: Unsure) -> Iterator[Recipe]:
        """What to try in turn; where the layers cannot be ranked, ``made`` says so."""
        methods = self.family.methods(self.job, precision)
        yield from (Recipe(precision, method) for method in methods)
        if precision not in QUANTISED or self.job.quantised or not self.rounds:
            return
        try:
            worst = self.rank()
        except ArtifactError as error:
            made.rows.append(self._row(Recipe(precision, methods[-1]), "failed", reason=f"no layer kept out: {error}"))
            return
        count = 0
        for share in _KEPT_OUT[: self.rounds]:
            count = max(count + 1, round(len(worst) * share))  # a round keeps more out than the one before
            if count < len(worst):
                yield Recipe(precision, _least_lossy([*made.rows, *unsure.rows], methods), tuple(worst[:count]))

    def _attempt(self, recipe: Recipe, folder: Path) -> Made:
        try:
            emitted = with_host_stage(self.family.emit(self.job, recipe, folder), self.job.rest)
        except StorageError:
            raise
        except DeviceError as error:
            return Made(rows=[self._row(recipe, "not run", reason=str(error))])
        except ArtifactError as error:
            return Made(rows=[self._row(recipe, "failed", reason=str(error))])
        tried = [self._try(recipe, emitted, precision) for precision in self.target.execution_precisions]
        rows = [row for row, _ in tried]
        trials = [trial for row, trial in tried if trial is not None and row.status == "kept"]
        untried = [row.execution_precision for row in rows if row.status == "kept" and row.accuracy is None]
        made = Made(rows=rows, warnings=list(emitted.warnings))
        if trials or untried:
            described = describe(self.root, self.job.spec, self.target, recipe, emitted, trials)
            names = [trial.execution_precision for trial in trials] + [name for name in untried if name]
            artifact = described.model_copy(update={"execution_precisions": tuple(names)})
            made.artifacts.append(artifact)
            made.rows = [_in_bundle(row, artifact) for row in rows]
        return made

    def _try(self, recipe: Recipe, emitted: Emitted, execution_precision: str) -> tuple[Row, Trial | None]:
        """Run the artifact on this host; ``kept`` without a trial means that nothing here can run it so."""
        if self.target.checking_backend is None:
            return self._row(recipe, "kept", execution_precision, "nothing on this host runs it"), None
        try:
            trial = self._run(recipe, emitted, execution_precision)
        except RuntimeMissingError as error:
            return self._row(recipe, "not run", execution_precision, str(error)), None
        except DeviceError as error:
            # What only stands in for the device need not have its precisions: there the golden self-test decides.
            status: Status = "kept" if self.target.checked_with else "not run"
            return self._row(recipe, status, execution_precision, f"not tried here: {error}"), None
        except ArtifactError as error:
            return self._row(recipe, "failed", execution_precision, str(error)), None
        problem = _problem(trial, self.material)
        worst = max((output.max_error for output in trial.parity.outputs), default=None)
        row = self._row(recipe, "kept", execution_precision, _hint(trial.accuracy, recipe.precision))
        if problem:
            status = (
                "failed" if tolerance_of(recipe.precision, execution_precision, rounded=emitted.rounded) else "left out"
            )
            row = self._row(recipe, status, execution_precision, problem)
        return row.model_copy(update={"accuracy": trial.accuracy, "max_error": worst}), trial

    def _run(self, recipe: Recipe, emitted: Emitted, execution_precision: str) -> Trial:
        if not self.allow_fallback:
            executed = self.family.executed(emitted, execution_precision)
            check_executed(f"{self.target.name}/{recipe.precision}", recipe.precision, executed)
        tolerance = tolerance_of(recipe.precision, execution_precision, rounded=emitted.rounded)
        with checking_lanes(self.target, emitted, execution_precision) as lanes:
            return try_lanes(lanes, self.material, execution_precision, tolerance)

    def _row(self, recipe: Recipe, status: Status, execution_precision: str | None = None, reason: str = "") -> Row:
        return Row(
            target=self.target.name,
            precision=recipe.precision,
            execution_precision=execution_precision,
            status=status,
            reason=reason,
            method=recipe.method,
            kept_out=recipe.kept_out,
        )


def _least_lossy(rows: Sequence[Row], methods: Sequence[str]) -> str:
    """The way of finding ranges that came nearest to the budget when nothing was kept out."""
    losses = {row.method: row.accuracy.loss for row in rows if row.accuracy and not row.kept_out}
    return min(methods, key=lambda method: losses.get(method, math.inf))


def _name(recipe: Recipe) -> str:
    kept = f", {len(recipe.kept_out)} layers kept out" if recipe.kept_out else ""
    return " ".join(part for part in (recipe.precision, recipe.method) if part) + kept


def _in_bundle(row: Row, artifact: Artifact) -> Row:
    changes: dict[str, object] = {"bytes": artifact.size, "evidence_device": artifact.evidence_device}
    if row.status == "kept":
        changes |= {"artifact": artifact.id, "evidence": artifact.evidence if row.accuracy else "built"}
    return row.model_copy(update=changes)


def _problem(trial: Trial, material: Material) -> str | None:
    """Why the artifact may not be run so, or None."""
    worst = max(trial.parity.outputs, key=lambda output: output.max_error)
    if not trial.parity.passed:
        return (
            f"run in {trial.execution_precision}, output {worst.output!r} is off by {worst.max_error:.2g} of its range "
            f"on {len(material.frames)} frames, at most {worst.tolerance:.2g} is allowed"
        )
    decoded = trial.parity.decoded
    if decoded and not decoded.passed:
        return (
            f"run in {trial.execution_precision}, its results are off by {decoded.golden_error:.2g} of what FP32 finds "
            f"on the golden samples, at most {decoded.tolerance:.2g} is allowed"
        )
    accuracy = trial.accuracy
    if accuracy.verdict != "failed":
        return None
    if material.evaluation.answers is not None:
        right = 1 + accuracy.bias / accuracy.mean_true
        return (
            f"{right:.2%} of the answers that FP32 gives on {accuracy.n} pictures are its own, "
            f"the budget is {1 - accuracy.max_loss:.2%}"
        )
    return (
        f"it loses {accuracy.loss:.2%} of the mean count on {accuracy.n} pictures (bias "
        f"{accuracy.bias_change.estimate:+.2%}, error {accuracy.error_rise.estimate:+.2%}), "
        f"the budget is {accuracy.max_loss:.2%}"
    )


def _hint(accuracy: Accuracy, precision: str) -> str:
    if accuracy.verdict != "undecided":
        return ""
    if accuracy.needed is None:
        return "FP32 finds next to nothing on the evaluation pictures, so that no loss shows: give pictures of its kind"
    if not is_at_the_edge(accuracy):
        return f"too few pictures to be sure: {accuracy.n} were given, about {accuracy.needed} would decide"
    first = f"give {ENOUGH} or more, and if it stays there, " if accuracy.n < ENOUGH else ""
    otherwise = "keep more layers out (--rounds)" if precision in QUANTISED else "choose a wider precision"
    return (
        f"it loses {accuracy.loss:.2%} on {accuracy.n} pictures, at the edge of the budget of {accuracy.max_loss:.2%}, "
        f"which more pictures will hardly decide: {first}accept it by a larger max_loss in model.toml, or {otherwise}"
    )
