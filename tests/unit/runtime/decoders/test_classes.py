"""Classifiers answer with a label of each head, and with nothing where none is sure enough."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from contracts.documents import read_document
from contracts.errors import ArtifactError, DocumentError
from contracts.model_spec import ModelSpec
from runtime.decoders.table import open_decoder
from runtime.results import UNSURE, Classes
from tests.unit.runtime.decoders import slow
from tests.unit.runtime.decoders.models import Outputs, spec, whole

LABELS = ("closed", "open", "hidden")


def classes(outputs: Outputs, *, labels: tuple[str, ...] = LABELS, **output: Any) -> Classes:
    model = spec({"decoder": "classes", **output}, labels=labels)
    result = open_decoder(model).decode(outputs, whole(model))
    assert isinstance(result, Classes)
    return result


@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1, 1)])
def test_probabilities_are_taken_as_they_are(shape: tuple[int, ...]) -> None:
    found = classes({"o": np.array([0.125, 0.75, 0.125], np.float32).reshape(shape)})
    assert found.class_ids.tolist() == [1]
    assert found.scores.tolist() == [0.75]
    assert found.probabilities.tolist() == [0.125, 0.75, 0.125]


@given(arrays.arrays(np.float32, (1, 3), elements=st.floats(-50, 50, width=32)))
def test_logits_go_through_a_softmax(logits: NDArray[np.float32]) -> None:
    found = classes({"o": logits}, scores="logits")
    np.testing.assert_allclose(found.probabilities, slow.softmax(logits[0].tolist()), atol=1e-6)
    assert found.scores[0] == found.probabilities.max()
    assert found.probabilities[found.class_ids[0]] == found.scores[0]


def test_logits_of_any_size_do_not_overflow() -> None:
    found = classes({"o": np.array([[3e38, -3e38, 0]], np.float32)}, scores="logits")
    np.testing.assert_allclose(found.probabilities, [1, 0, 0], atol=1e-30)


def test_a_best_label_below_the_threshold_is_no_answer_but_its_score_is_told() -> None:
    found = classes({"o": np.array([[0.25, 0.5, 0.25]], np.float32)}, score=0.6)
    assert found.class_ids.tolist() == [UNSURE]
    assert found.scores.tolist() == [0.5]


HEADS: dict[str, Any] = {
    "labels": ("car", "bus", "red", "white", "blue"),
    "head": [
        {"output": "colour", "labels": ["white", "red", "blue"]},
        {"output": "type", "labels": ["car", "bus"]},
    ],
}


def test_several_heads_answer_in_the_order_of_the_document_whatever_that_of_the_outputs() -> None:
    outputs = {
        "type": np.array([[0.25, 0.75]], np.float32),
        "colour": np.array([[[[0.5]], [[0.125]], [[0.375]]]], np.float32),
        "embedding": np.zeros((1, 256), np.float32),
    }
    found = classes(outputs, **HEADS)
    assert found.class_ids.tolist() == [3, 1]
    assert found.probabilities.tolist() == [0.25, 0.75, 0.125, 0.5, 0.375]


def test_a_missing_head_is_refused_with_what_there_is() -> None:
    with pytest.raises(ArtifactError, match="an output 'colour', the model gives type, other"):
        classes({"type": np.ones((1, 2), np.float32) / 2, "other": np.zeros((1, 3), np.float32)}, **HEADS)


@pytest.mark.parametrize("shape", [(1, 2), (3,), (2, 3), (1, 3, 2, 1), (1, 1, 3)])
def test_another_number_of_labels_is_refused_with_both_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ArtifactError, match=f"1x3 or 1x3x1x1, the model gives {'x'.join(map(str, shape))}"):
        classes({"o": np.zeros(shape, np.float32)})


@pytest.mark.parametrize("values", [(-4.0, 3.0, 1.0), (0.9, 0.9, 0.9), (0.0, 0.0, 0.0)])
def test_what_cannot_be_probabilities_is_refused(values: tuple[float, ...]) -> None:
    with pytest.raises(ArtifactError, match="say scores = 'logits'"):
        classes({"o": np.array([values], np.float32)})


def test_probabilities_of_many_labels_taken_for_logits_are_refused() -> None:
    labels = tuple(f"label{number}" for number in range(1000))
    with pytest.raises(ArtifactError, match="say scores = 'probabilities'"):
        classes({"o": np.full((1, 1000), 0.001, np.float32)}, labels=labels, scores="logits")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_one_nan_or_infinity_is_an_error(bad: float) -> None:
    for scores in ("logits", "probabilities"):
        with pytest.raises(ArtifactError, match="NaN or infinity"):
            classes({"o": np.array([[0.5, bad, 0.5]], np.float32)}, scores=scores)


@pytest.mark.parametrize(
    ("labels", "heads", "said"),
    [
        (["a", "b", "c"], [["a", "b"]], "each of 'labels' once"),
        (["a", "b"], [["a", "b"], ["a", "b"]], "each of 'labels' once"),
        (["a", "b"], [["a", "d"]], "each of 'labels' once"),
        (["a"], [], "at least two labels"),
    ],
)
def test_heads_share_the_models_labels(labels: list[str], heads: list[list[str]], said: str) -> None:
    output = {"decoder": "classes", "head": [{"output": "o", "labels": answers} for answers in heads]}
    document = spec({"decoder": "density"}).model_dump(mode="json") | {"labels": labels, "output": output}
    with pytest.raises(DocumentError, match=said):
        read_document(ModelSpec, document, "model.toml")
