"""What artifacts are tried on: the reference's counts belong to their pictures, in every role and however few."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from contracts.errors import DocumentError
from contracts.model_spec import ModelSpec
from converters.gate import Truth
from converters.material import Material, class_ids, counts_of, make_material, seen_of
from converters.preparing import Prepared
from tests.unit.converters.materials import PICTURES, tiny


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def material(prepared: Prepared) -> Material:
    return prepared.material


def test_the_reference_counts_each_picture_of_each_role(prepared: Prepared, material: Material) -> None:
    spec, tensors = material.spec, material.evaluation.tensors()
    outputs = list(prepared.model.run(tensors[index] for index in material.judged))
    np.testing.assert_array_equal(
        material.truth.reference, counts_of(spec, outputs, material.evaluation, material.judged)
    )
    for index, reference in zip(material.frames, material.reference, strict=True):
        np.testing.assert_array_equal(reference["density"], outputs[index]["density"])
    tuning = prepared.model.run(material.calibration.tensors()[index] for index in material.tuning)
    np.testing.assert_array_equal(
        material.tuning_counts, counts_of(spec, tuning, material.calibration, material.tuning)
    )


def test_labels_are_the_truth_where_every_picture_has_one(prepared: Prepared, material: Material) -> None:
    known = np.arange(PICTURES, dtype=np.float64)
    for counts, kind in ((known, "labels"), (None, "reference")):
        made = make_material(prepared.model, material.calibration, replace(material.evaluation, counts=counts))
        assert made.truth.kind == kind
        np.testing.assert_array_equal(made.truth.true, material.truth.reference if counts is None else counts)


def test_nothing_to_count_on_all_pictures_is_refused_before_the_long_work(
    prepared: Prepared, material: Material
) -> None:
    empty = replace(material.evaluation, counts=np.zeros(PICTURES))
    with pytest.raises(DocumentError, match="labels hold nothing on 16"):
        make_material(prepared.model, material.calibration, empty)


class TestLimited:
    def test_without_a_limit_it_stays_what_it_is(self, material: Material) -> None:
        assert material.limited(None) is material

    @pytest.mark.parametrize("pictures", [1, 8, 15, 16, 500])
    def test_every_role_has_no_more_pictures_than_that(self, pictures: int, material: Material) -> None:
        few = material.limited(pictures)
        wanted = min(pictures, PICTURES)
        assert len(few.judged) == len(few.truth.true) == len(few.truth.reference) == wanted
        assert len(few.frames) == len(few.reference) == wanted
        assert len(few.tuning) == len(few.tuning_counts) == wanted

    def test_few_to_judge_on_are_no_reason_to_tune_on_many(self, material: Material) -> None:
        assert len(replace(material, judged=material.judged[:4], truth=halved(material.truth)).limited(4).tuning) == 4

    def test_each_picture_keeps_its_own_figures(self, material: Material) -> None:
        few = material.limited(5)
        for index, count in zip(few.judged, few.truth.reference, strict=True):
            assert count == material.truth.reference[material.judged.index(index)]
        for index, count in zip(few.tuning, few.tuning_counts, strict=True):
            assert count == material.tuning_counts[material.tuning.index(index)]
        for index, reference in zip(few.frames, few.reference, strict=True):
            assert reference is material.reference[material.frames.index(index)]

    def test_a_few_with_nothing_on_them_are_refused(self, material: Material) -> None:
        true = np.zeros(PICTURES)
        true[0] = 1.0
        rare = replace(material, truth=Truth("labels", true, material.truth.reference))
        with pytest.raises(DocumentError, match="labels hold nothing on 8"):
            rare.limited(8)


def halved(truth: Truth) -> Truth:
    return Truth(truth.kind, truth.true[:4], truth.reference[:4])


def test_it_can_be_handed_to_another_process(material: Material) -> None:
    again = pickle.loads(pickle.dumps(material))
    assert again.judged == material.judged
    np.testing.assert_array_equal(again.evaluation.tensors(), material.evaluation.tensors())


def test_only_the_labels_of_the_budget_are_counted() -> None:
    given = {
        "name": "tiny",
        "version": "1.0.0",
        "labels": ["person", "car", "bus"],
        "input": {"width": 64, "height": 64},
        "output": {"decoder": "density"},
    }
    assert class_ids(ModelSpec.model_validate(given)) is None
    assert class_ids(ModelSpec.model_validate(given | {"budget": {"labels": ["bus", "car"]}})) == {1, 2}


@pytest.mark.parametrize("threshold", [0.2, 0.25, 0.3, 0.4])
def test_what_tuning_sees_tells_the_count_at_any_threshold(threshold: float, material: Material) -> None:
    """Boxes of lower scores suppress none of higher ones, so that one decoding stands for all thresholds."""
    raw = np.random.default_rng(0).random((3, 1, 84, 7), np.float32)  # the cells of 64x64 at strides 8, 16 and 32
    outputs = [{"output": one} for one in raw]
    seen = seen_of(detector(0.3), outputs, material.evaluation, range(3))
    counts = counts_of(detector(threshold), outputs, material.evaluation, range(3))
    assert (seen >= np.float32(threshold)).sum() == counts.sum() > 0


def detector(score: float) -> ModelSpec:
    given = {
        "name": "boxes",
        "version": "1.0.0",
        "labels": ["person", "car"],
        "input": {"width": 64, "height": 64},
        "output": {"decoder": "yolox", "score": score},
        "budget": {"labels": ["car"]},
    }
    return ModelSpec.model_validate(given)
