"""DETR's two activations are checked against the number of logits, and probabilities are not taken for logits."""

from __future__ import annotations

import numpy as np
import pytest

from contracts.errors import ArtifactError
from tests.unit.runtime.decoders.models import FAMILIES, THINGS_TWO, decode


@pytest.mark.parametrize(("declared", "given"), [("softmax", "sigmoid"), ("sigmoid", "softmax")])
def test_the_other_activations_number_of_logits_is_refused_with_both(declared: str, given: str) -> None:
    outputs = FAMILIES[f"detr {given}"].encode(THINGS_TWO)
    wanted, came = (f"1x{{}}x{3 + (kind == 'softmax')}" for kind in (declared, given))
    with pytest.raises(ArtifactError) as caught:
        decode(FAMILIES[f"detr {declared}"].model(), outputs)
    assert f"logits as {wanted.format('?')}" in str(caught.value)
    assert f"'pred_logits' {came.format(25)}" in str(caught.value)


def test_a_softmax_in_the_network_is_refused_and_not_an_empty_picture() -> None:
    outputs = FAMILIES["detr softmax"].encode(THINGS_TWO)
    outputs["pred_logits"] = np.full((1, 25, 4), 0.25, np.float32)
    with pytest.raises(ArtifactError, match="without its last softmax"):
        decode(FAMILIES["detr softmax"].model(), outputs)


def test_a_sigmoid_in_the_network_is_refused_and_not_a_full_picture() -> None:
    outputs = {"logits": np.full((1, 400, 3), 0.1, np.float32), "boxes": np.full((1, 400, 4), 0.5, np.float32)}
    with pytest.raises(ArtifactError, match="should reach below 0"):
        decode(FAMILIES["detr sigmoid"].model(), outputs)


def test_boxes_in_pixels_are_refused() -> None:
    outputs = FAMILIES["detr sigmoid"].encode(THINGS_TWO)
    outputs["pred_boxes"] *= 100
    with pytest.raises(ArtifactError, match="boxes in 0 to 1 of the input"):
        decode(FAMILIES["detr sigmoid"].model(), outputs)


def test_as_many_boxes_as_queries_are_expected() -> None:
    outputs = FAMILIES["detr sigmoid"].encode(THINGS_TWO)
    outputs["pred_boxes"] = outputs["pred_boxes"][:, 1:]
    with pytest.raises(ArtifactError, match="got 24 and 25"):
        decode(FAMILIES["detr sigmoid"].model(), outputs)


def test_a_query_is_one_thing_however_many_labels_are_likely() -> None:
    outputs = FAMILIES["detr sigmoid"].encode(THINGS_TWO[:1])
    outputs["pred_logits"][0, 0] = 2, 3, 1
    assert decode(FAMILIES["detr sigmoid"].model(), outputs).class_ids.tolist() == [1]
