"""Which output is which is told by declared names, then shapes, then names; never by guessing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from contracts.errors import ArtifactError
from contracts.output_spec import DetrNames
from runtime.decoders.outputs import Shape, finite, named_outputs
from tests.unit.runtime.decoders.models import FAMILIES, THINGS_TWO, Outputs, decode, spec

TWO: Mapping[str, tuple[Shape, ...]] = {"logits": ((1, None, 4),), "boxes": ((1, None, 4),)}


def zeros(*shape: int) -> NDArray[np.float32]:
    return np.zeros(shape, np.float32)


def chosen(outputs: Outputs, wanted: Mapping[str, tuple[Shape, ...]], names: DetrNames | None = None) -> dict[str, str]:
    """What was looked for to the name of the output taken."""
    marked = {name: np.full_like(value, number) for number, (name, value) in enumerate(outputs.items())}
    found = named_outputs(marked, "detr", wanted, names)
    return {role: list(outputs)[int(value.flat[0])] for role, value in found.items()}


def test_shapes_decide_before_names() -> None:
    wanted: dict[str, tuple[Shape, ...]] = {"logits": ((1, None, 3),), "boxes": ((1, None, 4),)}
    assert chosen({"boxes": zeros(1, 9, 3), "logits": zeros(1, 9, 4)}, wanted) == {"logits": "boxes", "boxes": "logits"}


def test_what_only_one_shape_fits_is_not_taken_by_what_a_name_suggests() -> None:
    wanted: dict[str, tuple[Shape, ...]] = {"logits": ((1, None, 4), (1, None, 3)), "boxes": ((1, None, 4),)}
    assert chosen({"logits": zeros(1, 9, 4), "a": zeros(1, 9, 3)}, wanted) == {"logits": "a", "boxes": "logits"}


def test_names_decide_where_shapes_do_not() -> None:
    outputs = {"pred_boxes": zeros(1, 9, 4), "pred_logits": zeros(1, 9, 4), "aux": zeros(6, 9, 4)}
    assert chosen(outputs, TWO) == {"logits": "pred_logits", "boxes": "pred_boxes"}


def test_one_name_is_enough_for_two() -> None:
    assert chosen({"a": zeros(1, 9, 4), "logits": zeros(1, 9, 4)}, TWO) == {"logits": "logits", "boxes": "a"}


def test_a_declared_name_decides_before_anything() -> None:
    outputs = {"boxes": zeros(1, 9, 4), "logits": zeros(1, 9, 4)}
    assert chosen(outputs, TWO, DetrNames(logits="boxes")) == {"logits": "boxes", "boxes": "logits"}


@pytest.mark.parametrize(
    ("outputs", "names", "said"),
    [
        ({"a": zeros(1, 9, 4), "b": zeros(1, 9, 4)}, DetrNames(), "boxes and logits cannot be told"),
        ({"a": zeros(1, 9, 4)}, DetrNames(), "boxes"),
        ({}, DetrNames(), "the model gives nothing"),
        (
            {"a": zeros(1, 9, 4), "b": zeros(1, 9, 4)},
            DetrNames(boxes="c"),
            "expects an output 'c', the model gives a, b",
        ),
        ({"a": zeros(1, 9, 5), "b": zeros(1, 9, 4)}, DetrNames(boxes="a"), "boxes as 1x?x4, the model's 'a' is 1x9x5"),
    ],
)
def test_what_cannot_be_told_is_refused(outputs: Outputs, names: DetrNames, said: str) -> None:
    with pytest.raises(ArtifactError) as caught:
        named_outputs(outputs, "detr", TWO, names)
    assert said in str(caught.value)


def test_large_finite_numbers_are_no_infinity() -> None:
    large = np.full((4,), 3e38, np.float32)
    assert finite("o", large) is large


def test_what_float32_cannot_hold_is_infinity() -> None:
    with pytest.raises(ArtifactError, match="NaN or infinity"):
        finite("o", np.array([1e300], np.float64))


def test_nanodets_outputs_with_as_many_classes_as_distances_are_told_by_their_names() -> None:
    labels = [f"label{number}" for number in range(32)]
    model = spec({"decoder": "nanodet", "strides": [32]}, labels=labels)
    outputs: dict[str, Any] = {"dis_32": zeros(1, 12, 32), "cls_32": zeros(1, 12, 32)}
    outputs["cls_32"][0, 5, 7] = 0.9
    assert decode(model, outputs).class_ids.tolist() == [7]
    with pytest.raises(ArtifactError, match="cannot be told"):
        decode(model, {"a": outputs["cls_32"], "b": outputs["dis_32"]})


def test_ssds_outputs_in_another_order_need_it_declared() -> None:
    boxes, classes, scores, count = FAMILIES["ssd-tflite"].encode(THINGS_TWO).values()
    shuffled = {"Call:1": scores, "Call:3": boxes, "Call:0": count, "Call:2": classes}
    output = {"decoder": "ssd-tflite"}
    with pytest.raises(ArtifactError, match="classes should be whole numbers"):
        decode(spec(output | {"order": ["classes", "boxes", "count", "scores"]}), shuffled)
    declared = decode(spec(output | {"order": ["scores", "boxes", "count", "classes"]}), shuffled)
    named = decode(spec(output | {"names": {"scores": "Call:1", "classes": "Call:2"}}), shuffled)
    assert declared.class_ids.tolist() == named.class_ids.tolist() == [thing.label for thing in THINGS_TWO]


def test_ssds_outputs_with_speaking_names_need_no_order() -> None:
    boxes, classes, scores, count = FAMILIES["ssd-tflite"].encode(THINGS_TWO).values()
    outputs = {"detection_scores": scores, "num": count, "detection_classes": classes, "detection_boxes": boxes}
    assert len(decode(spec({"decoder": "ssd-tflite"}), outputs)) == 2


@pytest.mark.parametrize("count", [-1.0, 21.0, 1.5])
def test_a_count_that_is_none_is_refused(count: float) -> None:
    outputs = FAMILIES["ssd-tflite"].encode(THINGS_TWO)
    outputs["TFLite_Detection_PostProcess:3"][:] = count
    with pytest.raises(ArtifactError, match="expects a count of 0 to 20"):
        decode(spec({"decoder": "ssd-tflite"}), outputs)


def test_rows_beyond_the_count_are_not_looked_at() -> None:
    outputs = FAMILIES["ssd-tflite"].encode(THINGS_TWO)
    outputs["TFLite_Detection_PostProcess:3"][:] = 1
    assert len(decode(spec({"decoder": "ssd-tflite"}), outputs)) == 1


def test_what_stands_in_rows_beyond_the_count_does_not_matter() -> None:
    outputs = FAMILIES["ssd-tflite"].encode(THINGS_TWO)
    outputs["TFLite_Detection_PostProcess:1"][0, 2:] = 0.5
    outputs["TFLite_Detection_PostProcess:2"][0, 2:] = 77
    assert len(decode(spec({"decoder": "ssd-tflite"}), outputs)) == 2
