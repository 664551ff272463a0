"""Mask R-CNN's instances keep their small masks, which lie where the network saw them."""

from __future__ import annotations

import numpy as np
import pytest

from contracts.errors import ArtifactError
from runtime.masks import pasted
from runtime.prepare import place
from tests.unit.runtime.decoders.models import FAMILIES, HEIGHT, THINGS_TWO, WIDTH, Outputs, Thing, decode, spec

FAMILY = FAMILIES["mask-rcnn"]
MODEL = FAMILY.model()


def masked(*things: Thing) -> Outputs:
    """Outputs whose masks are full in their left halves."""
    outputs = FAMILY.encode(things)
    outputs["6887"][:] = 0
    outputs["6887"][..., :14] = 1
    return outputs


def test_a_mask_lies_over_its_box() -> None:
    found = decode(MODEL, masked(Thing(16, 24, 48, 72, 0.9, 0)))
    assert found.masks is not None
    expected = np.zeros((HEIGHT, WIDTH), np.bool_)
    expected[24:72, 16:32] = True
    assert (pasted(found.masks, WIDTH, HEIGHT)[0] == expected).all()


def test_a_mask_that_the_pictures_edge_cuts_is_not_squeezed() -> None:
    model = FAMILY.model(resize="letterbox")
    where = place(model.input, 64, 96)  # 32 columns of padding on both sides
    found = decode(model, masked(Thing(16, 0, 64, 96, 0.9, 0)), where)
    np.testing.assert_allclose(found.boxes, [[0, 0, 0.5, 1]])
    assert found.masks is not None
    np.testing.assert_allclose(found.masks.boxes, [[-0.25, 0, 0.5, 1]])
    columns = pasted(found.masks, 64, 96)[0].all(axis=0)
    assert columns.tolist() == [True] * 8 + [False] * 56


def test_masks_come_in_the_order_of_their_boxes() -> None:
    outputs = FAMILY.encode(THINGS_TWO[::-1])
    found = decode(MODEL, outputs)
    assert found.masks is not None
    np.testing.assert_allclose(found.masks.values[:, 0, 0], found.scores)
    assert found.masks.values.dtype == np.float32


def test_a_picture_without_instances_is_empty_and_has_no_masks_to_paste() -> None:
    found = decode(MODEL, FAMILY.encode([]))
    assert len(found) == 0
    assert found.masks is not None
    assert pasted(found.masks, 8, 6).shape == (0, 6, 8)


def test_the_background_is_dropped_and_a_label_beyond_the_models_refused() -> None:
    outputs = FAMILY.encode(THINGS_TWO)
    outputs["6570"][:] = 0, 3
    assert decode(MODEL, outputs).class_ids.tolist() == [2]
    outputs["6570"][:] = 0, 4
    with pytest.raises(ArtifactError, match="gives label 3"):
        decode(MODEL, outputs)


def test_masks_over_the_whole_input_are_refused() -> None:
    outputs = FAMILY.encode(THINGS_TWO) | {"6887": np.zeros((2, 1, 800, 800), np.float32)}
    with pytest.raises(ArtifactError, match="got 800x800; export the model without pasting"):
        decode(MODEL, outputs)


def test_as_many_of_each_are_expected() -> None:
    outputs = FAMILY.encode(THINGS_TWO) | {"6572": np.array([0.9], np.float32)}
    with pytest.raises(ArtifactError, match="2 boxes, 2 labels, 2 masks, 1 scores"):
        decode(MODEL, outputs)


def test_labels_and_scores_swapped_by_name_are_refused() -> None:
    model = spec({"decoder": "mask-rcnn", "names": {"labels": "6572", "scores": "6570"}})
    with pytest.raises(ArtifactError, match=r"in 0 to 1|whole numbers"):
        decode(model, FAMILY.encode(THINGS_TWO))


def test_labels_that_came_as_floats_are_told_by_their_names() -> None:
    named = dict(zip(("boxes", "labels", "scores", "masks"), FAMILY.encode(THINGS_TWO).values(), strict=True))
    named["labels"] = named["labels"].astype(np.float32)
    assert decode(MODEL, named).class_ids.tolist() == [1, 0]
