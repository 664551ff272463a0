"""The ladder keeps the cheapest recipe that stays within the budget, and has a row for everything it tried."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts.errors import ArtifactError, EdgetallyError, ModelFileError, RuntimeMissingError, StorageError
from converters.families.base import Recipe
from converters.gate import Truth
from converters.ladder import Ladder
from converters.made import Made
from converters.material import Material
from converters.preparing import Prepared
from tests.fakes.families import Factor, ScaledFamily
from tests.unit.converters.materials import PICTURES, target, tiny

LAYERS = tuple(f"layer {number}" for number in range(20))
BROKEN = 1.5  # further off than anything that is tuned back


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return tiny(tmp_path_factory.mktemp("tiny"))


class Climb:
    """One climb, and what it asked for."""

    def __init__(self, prepared: Prepared, root: Path, layers: Sequence[str] = LAYERS) -> None:
        self.prepared = prepared
        self.root = root
        self.layers = layers
        self.ranked = 0
        self.family = ScaledFamily()

    def __call__(
        self,
        factor: Factor = lambda _: 1.0,
        precision: str = "int8",
        *,
        settings: dict[str, Any] | None = None,
        material: Material | None = None,
        target_: dict[str, Any] | None = None,
        **family: Any,
    ) -> Made:
        self.family = ScaledFamily(factor, **family)
        ladder = Ladder(
            target=target(**(target_ or {})),
            family=self.family,
            job=self.prepared.job(target()),
            material=material or self.prepared.material,
            root=self.root,
            **({"rank": self._rank} | (settings or {})),
        )
        return ladder.climb(precision)

    def _rank(self) -> Sequence[str]:
        self.ranked += 1
        return self.layers

    @property
    def folder(self) -> Path:
        return self.root / "artifacts" / "x86-onnxruntime" / "int8"


@pytest.fixture
def climb(prepared: Prepared, tmp_path: Path) -> Climb:
    return Climb(prepared, tmp_path)


def statuses(made: Made) -> list[tuple[str, str]]:
    return [(row.method, row.status) for row in made.rows]


def broken_unless(*kept_out: int) -> Factor:
    return lambda recipe: 1.0 if len(recipe.kept_out) in kept_out else BROKEN


class TestMethods:
    def test_the_first_that_passes_is_kept_and_no_other_is_tried(self, climb: Climb) -> None:
        made = climb()
        assert climb.family.asked == [Recipe("int8", "cheap")]
        assert statuses(made) == [("cheap", "kept")]
        (artifact,) = made.artifacts
        assert (artifact.id, artifact.method, artifact.kept_out) == ("x86-onnxruntime/int8", "cheap", ())
        assert artifact.accuracy["f32"].verdict == "passed"
        assert (climb.root / artifact.entry).is_file()
        assert climb.ranked == 0, "ranking is slow"

    def test_one_that_loses_too_much_gives_way_to_the_next_with_its_figures(self, climb: Climb) -> None:
        made = climb(lambda recipe: BROKEN if recipe.method == "cheap" else 1.0)
        assert statuses(made) == [("cheap", "left out"), ("dear", "kept")]
        assert "it loses 50.00% of the mean count on 16 pictures" in made.rows[0].reason
        assert made.rows[0].accuracy is not None
        assert made.rows[0].artifact is None
        assert made.rows[1].artifact == made.artifacts[0].id
        assert made.artifacts[0].method == "dear"

    def test_a_small_shift_in_one_direction_is_tuned_back_and_recorded(self, climb: Climb) -> None:
        (artifact,) = climb(lambda _: 1.1).artifacts
        scale = artifact.tuned["f32"].scale
        assert scale == pytest.approx(1 / 1.1, rel=1e-3)
        assert artifact.accuracy["f32"].loss < 0.001


class TestKeepingLayersOut:
    def test_the_worst_are_kept_out_more_of_them_each_round_ranked_once(self, climb: Climb) -> None:
        made = climb(broken_unless(3))
        assert climb.ranked == 1
        assert [len(recipe.kept_out) for recipe in climb.family.asked] == [0, 0, 1, 3]
        (artifact,) = made.artifacts
        assert artifact.kept_out == LAYERS[:3]
        assert [row.status for row in made.rows] == ["left out", "left out", "left out", "kept"]

    @pytest.mark.parametrize(("better", "loss"), [("cheap", 1.4), ("dear", 1.4)])
    def test_the_ranges_are_those_of_the_method_that_lost_least(self, better: str, loss: float, climb: Climb) -> None:
        climb(lambda recipe: loss if recipe.method == better else BROKEN)
        assert {recipe.method for recipe in climb.family.asked[2:]} == {better}

    @pytest.mark.parametrize("rounds", [0, 1, 2, 3])
    def test_no_more_rounds_are_tried_than_asked_for(self, rounds: int, climb: Climb) -> None:
        made = climb(lambda _: BROKEN, settings={"rounds": rounds})
        assert not made.artifacts
        assert len(climb.family.asked) == len(made.rows) == 2 + rounds
        assert climb.ranked == min(rounds, 1), "no round, no ranking"
        assert not climb.folder.exists(), "nothing is left of what was not good enough"

    @pytest.mark.parametrize(("layers", "kept_out"), [(0, []), (1, []), (2, [1]), (3, [1, 2]), (5, [1, 2, 3])])
    def test_of_few_layers_each_round_keeps_out_one_more_and_never_all(
        self, layers: int, kept_out: list[int], climb: Climb
    ) -> None:
        climb.layers = LAYERS[:layers]
        climb(lambda _: BROKEN)
        assert [len(recipe.kept_out) for recipe in climb.family.asked[2:]] == kept_out

    def test_where_they_cannot_be_ranked_that_is_a_row_not_the_end_of_the_build(self, climb: Climb) -> None:
        def refuse() -> Sequence[str]:
            raise ModelFileError("no ONNX")

        made = climb(lambda _: BROKEN, settings={"rank": refuse})
        assert [row.status for row in made.rows] == ["left out", "left out", "failed"]
        assert "no layer kept out: no ONNX" in made.rows[-1].reason

    def test_what_is_not_quantised_has_none_to_keep_out(self, climb: Climb) -> None:
        climb(lambda _: BROKEN, "fp32")
        assert climb.ranked == 0
        assert climb.family.asked == [Recipe("fp32", "")]


class TestFailures:
    @pytest.mark.parametrize(
        ("error", "status"),
        [
            (ModelFileError("the parser refuses it"), "failed"),
            (ArtifactError("no such operator"), "failed"),
            (RuntimeMissingError("int8", "nncf", "convert"), "not run"),
        ],
    )
    def test_what_cannot_be_made_is_a_row_and_another_method_does_not_mend_it(
        self, error: EdgetallyError, status: str, climb: Climb
    ) -> None:
        made = climb(refuses=error)
        assert statuses(made) == [("cheap", status)]
        assert made.rows[0].reason == str(error)
        assert not climb.folder.exists()

    def test_a_full_disk_ends_it(self, climb: Climb) -> None:
        with pytest.raises(StorageError):
            climb(refuses=StorageError("out", OSError(errno.ENOSPC, "No space left on device")))

    def test_an_exact_form_with_other_weights_fails_by_its_numbers(self, climb: Climb) -> None:
        made = climb(lambda _: 1.01, "fp32")
        assert not made.artifacts
        assert [row.status for row in made.rows] == ["failed"]
        assert "output 'density' is off by 0.01 of its range on 16 frames, at most 0.001" in made.rows[0].reason

    @pytest.mark.parametrize("precision", ["fp32", "int8"])
    def test_one_whose_numbers_are_none_fails(self, precision: str, climb: Climb) -> None:
        made = climb(lambda _: float("nan"), precision)
        assert not made.artifacts
        assert [row.status for row in made.rows] == ["failed"]
        assert "NaN" in made.rows[0].reason or "not finite" in made.rows[0].reason

    @pytest.mark.parametrize(
        ("executed", "said"),
        [({"f32": 4}, "0 of 4 layers ran in int8"), ({"int8": 3, "elsewhere": 1}, "1 of 4 layers")],
    )
    def test_a_silent_fallback_is_refused_unless_it_is_allowed_by_name(
        self, executed: dict[str, int], said: str, climb: Climb
    ) -> None:
        refused = climb(executed=executed)
        assert [row.status for row in refused.rows] == ["failed"]
        assert said in refused.rows[0].reason
        assert climb(executed=executed, settings={"allow_fallback": True}).artifacts


class TestWhatThisHostCannotRun:
    def test_an_execution_precision_that_it_lacks_is_not_run_and_not_promised(self, climb: Climb) -> None:
        made = climb(target_={"execution_precisions": ("f32", "bf16")})
        assert [(row.execution_precision, row.status) for row in made.rows] == [("f32", "kept"), ("bf16", "not run")]
        assert made.artifacts[0].execution_precisions == ("f32",)

    def test_where_another_backend_stands_in_the_device_decides_on_that(self, climb: Climb) -> None:
        precisions = ("f32", "bf16")
        made = climb(target_={"execution_precisions": precisions, "backend": "tensorrt", "checked_with": "onnxruntime"})
        assert [row.status for row in made.rows] == ["kept", "kept"]
        assert "not tried here" in made.rows[1].reason
        (artifact,) = made.artifacts
        assert artifact.execution_precisions == precisions
        assert set(artifact.accuracy) == {"f32"}
        assert [row.evidence for row in made.rows] == ["emulated", "built"]

    def test_where_nothing_runs_it_it_is_built_and_no_more_is_claimed(self, climb: Climb) -> None:
        made = climb(lambda _: BROKEN, target_={"checked_with": "none"})
        (artifact,) = made.artifacts
        assert (artifact.evidence, artifact.accuracy, artifact.parity) == ("built", {}, ())
        assert [(row.status, row.evidence) for row in made.rows] == [("kept", "built")]


def test_too_few_pictures_to_be_sure_are_said_with_how_many_would_do(climb: Climb) -> None:
    material = climb.prepared.material
    counts = material.truth.reference
    # What FP32 would have counted is off to either side in turn: the mean stays, but not for sure on 16 pictures.
    swing = np.where(np.arange(len(counts)) % 2, 1.0, -1.0) * 0.04 * counts.mean()
    made = climb(material=replace(material, truth=Truth("labels", counts + swing, counts + 2 * swing)))
    accuracy = made.rows[0].accuracy
    assert accuracy is not None
    assert accuracy.verdict == "undecided"
    assert f"16 were given, about {accuracy.needed} would decide" in made.rows[0].reason


@pytest.mark.parametrize(
    ("enough", "precision", "said"),
    [
        (PICTURES + 1, "int8", "hardly decide: give 17 or more, and if it stays there, accept it by a larger max_loss"),
        (PICTURES, "int8", "hardly decide: accept it by a larger max_loss in model.toml, or keep more layers out"),
        (PICTURES, "fp16", "hardly decide: accept it by a larger max_loss in model.toml, or choose a wider precision"),
    ],
)
def test_a_loss_at_the_budgets_edge_is_said_to_be_there_and_what_to_do(
    enough: int, precision: str, said: str, climb: Climb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("converters.ladder.ENOUGH", enough)
    material = climb.prepared.material
    counts = material.truth.reference
    swing = np.resize([1.0, -1.0], len(counts)) * counts.mean() * 0.1
    near = 0.9999 * material.spec.budget.max_loss * counts.mean()
    made = climb(
        precision=precision,
        material=replace(material, truth=Truth("labels", counts + swing, counts + 2 * swing + near)),
    )
    row = made.rows[0]
    assert (row.status, row.accuracy and row.accuracy.verdict) == ("kept", "undecided"), row.reason
    assert row.reason.startswith("it loses 1.00% on 16 pictures, at the edge of the budget of 1.00%, which more")
    assert said in row.reason


class TestUnsure:
    """Within the budget by its estimate, on pictures that are too few to be sure."""

    @pytest.fixture
    def unsure(self, climb: Climb, monkeypatch: pytest.MonkeyPatch) -> Material:
        monkeypatch.setattr("converters.unsure.ENOUGH", PICTURES)
        counts = climb.prepared.material.truth.reference
        swing = np.resize([1.0, -1.0], len(counts)) * counts.mean() * 0.1
        return replace(climb.prepared.material, truth=Truth("labels", counts + swing, counts + 2 * swing))

    def test_all_ways_are_tried_and_the_one_that_comes_nearest_is_kept(self, climb: Climb, unsure: Material) -> None:
        made = climb(lambda recipe: 1.0 if recipe.kept_out else 1.0015, material=unsure)
        assert [len(recipe.kept_out) for recipe in climb.family.asked] == [0, 0, 1, 3, 6]
        (artifact,) = made.artifacts
        assert artifact.kept_out == LAYERS[:1], "of equals the one that keeps fewest out"
        assert (climb.root / artifact.entry).is_file()
        assert [path.name for path in climb.folder.parent.iterdir()] == ["int8"]
        assert sorted(row.status for row in made.rows) == ["kept", *["left out"] * 4]
        gone = [row for row in made.rows if row.status == "left out"]
        assert all("; another way comes nearer" in row.reason and not row.artifact for row in gone)

    def test_one_that_is_sure_is_taken_instead_and_ends_it(
        self, climb: Climb, unsure: Material, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("converters.ladder.might_be_surer", lambda attempt: attempt.artifacts[0].method == "cheap")
        made = climb(material=unsure)
        assert statuses(made) == [("cheap", "left out"), ("dear", "kept")]
        assert [artifact.method for artifact in made.artifacts] == ["dear"]
        assert [path.name for path in climb.folder.parent.iterdir()] == ["int8"]

    def test_on_few_pictures_the_first_is_kept_for_none_would_be_sure(
        self, climb: Climb, unsure: Material, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("converters.unsure.ENOUGH", PICTURES + 1)
        assert statuses(climb(material=unsure)) == [("cheap", "kept")]

    def test_what_cannot_be_made_after_it_costs_nothing(self, climb: Climb, unsure: Material) -> None:
        def refuse() -> Sequence[str]:
            raise ModelFileError("no ONNX")

        made = climb(material=unsure, settings={"rank": refuse})
        assert sorted(statuses(made)) == [("cheap", "kept"), ("dear", "failed"), ("dear", "left out")]
        assert (climb.root / made.artifacts[0].entry).is_file()


def test_where_fp32_sees_nothing_itself_other_pictures_are_asked_for(climb: Climb) -> None:
    material = climb.prepared.material
    counts = material.truth.reference
    made = climb(material=replace(material, truth=Truth("labels", 100 * counts, counts)))
    assert "FP32 finds next to nothing on the evaluation pictures" in made.rows[0].reason


def test_what_an_earlier_attempt_left_does_not_get_into_the_artifact(climb: Climb) -> None:
    climb.folder.mkdir(parents=True)
    (climb.folder / "leftover.bin").write_bytes(b"old")
    (artifact,) = climb().artifacts
    assert [Path(file.path).name for file in artifact.files] == ["model.onnx"]
