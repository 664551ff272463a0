"""What holds for the decoder of every family of boxes, whatever its layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from contracts.errors import ArtifactError
from contracts.model_spec import ModelSpec
from runtime.decoders.table import DECODERS, open_decoder
from runtime.prepare import Placement, place
from runtime.results import Detections
from tests.unit.runtime.decoders.models import FAMILIES, THINGS_TWO, Family, Outputs, Thing, decode

SOME = settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow], deadline=None)
BOXED = {"yolo", "yolox", "nanodet", "ssd", "ssd-tflite", "detr", "mask-rcnn", "faces"}
every_family = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)


@st.composite
def apart(draw: st.DrawFn) -> list[Thing]:
    """Things in a quarter of the picture each, in 0 to 1 of it, with different scores from 0.75 on."""
    scores = draw(st.lists(st.integers(150, 198), min_size=4, max_size=4, unique=True))
    things = []
    for (left, top), score in zip(((0, 0), (0.5, 0), (0, 0.5), (0.5, 0.5)), scores, strict=True):
        width, height = draw(st.integers(20, 40)) / 100, draw(st.integers(20, 40)) / 100
        x, y = left + draw(st.integers(0, 8)) / 100, top + draw(st.integers(0, 8)) / 100
        things.append(Thing(x, y, x + width, y + height, score / 200, draw(st.integers(0, 2))))
    return things[: draw(st.integers(0, 4))]


def in_input(family: Family, things: Sequence[Thing], where: Placement) -> list[Thing]:
    """Things of the picture where the placement puts them."""
    labels = len(family.labels)
    return [
        Thing(
            where.left + x1 * where.width,
            where.top + y1 * where.height,
            where.left + x2 * where.width,
            where.top + y2 * where.height,
            score,
            label % labels,
        )
        for x1, y1, x2, y2, score, label in things
    ]


def check_found(found: Detections, family: Family, things: Sequence[Thing]) -> None:
    """They are found in the order of their scores, where they are in the picture."""
    best_first = sorted(things, key=lambda thing: -thing.score)
    assert found.class_ids.tolist() == [thing.label % len(family.labels) for thing in best_first]
    np.testing.assert_allclose(found.scores, [thing.score for thing in best_first], atol=1e-4)
    np.testing.assert_allclose(found.boxes, np.array([t[:4] for t in best_first]).reshape(-1, 4), atol=1e-3)


def test_every_decoder_is_in_the_table_and_every_one_with_boxes_is_tried_here() -> None:
    assert set(DECODERS) == BOXED | {"density", "landmarks", "classes"}
    assert {family.output["decoder"] for family in FAMILIES.values()} == BOXED


@every_family
@pytest.mark.parametrize("resize", ["stretch", "letterbox", "letterbox-topleft"])
@SOME
@given(things=apart(), size=st.tuples(st.integers(90, 170), st.integers(90, 120)))
def test_things_are_found_where_they_are_in_the_picture_however_it_was_placed(
    family: Family, resize: str, things: list[Thing], size: tuple[int, int]
) -> None:
    model = family.model(resize=resize)
    where = place(model.input, *size)
    found = decode(model, family.encode(in_input(family, things, where)), where)
    check_found(found, family, things)


@every_family
@SOME
@given(things=apart(), low=st.floats(0.05, 0.7), more=st.floats(0.0, 0.29))
def test_a_higher_threshold_leaves_the_same_things_but_the_weakest(
    family: Family, things: list[Thing], low: float, more: float
) -> None:
    model = family.model()
    outputs = family.encode(in_input(family, things, place(model.input, 128, 96)))
    high = low + more
    loose, strict = decode(model, outputs, score=low), decode(model, outputs, score=high)
    still = loose.scores >= np.float32(high)
    assert loose.boxes[still].tolist() == strict.boxes.tolist()
    assert loose.class_ids[still].tolist() == strict.class_ids.tolist()


@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if family.candidates])
@SOME
@given(things=apart(), seed=st.integers(0, 2**32 - 1))
def test_the_order_of_the_candidates_changes_nothing(name: str, things: list[Thing], seed: int) -> None:
    family = FAMILIES[name]
    model = family.model()
    outputs = family.encode(in_input(family, things, place(model.input, 128, 96)))
    (rows,) = {outputs[part].shape[axis] for part, axis in family.candidates.items()}
    order = np.random.default_rng(seed).permutation(rows)
    shuffled = {part: outputs[part].take(order, axis) for part, axis in family.candidates.items()}
    one, other = decode(model, outputs), decode(model, shuffled)
    assert one.boxes.tolist() == other.boxes.tolist()
    assert one.scores.tolist() == other.scores.tolist()
    assert one.class_ids.tolist() == other.class_ids.tolist()


def encoded(family: Family) -> tuple[ModelSpec, Outputs]:
    model = family.model()
    return model, family.encode([thing._replace(label=thing.label % len(family.labels)) for thing in THINGS_TWO])


def well_formed(found: Detections, model: ModelSpec) -> None:
    assert np.isfinite(found.boxes).all()
    assert np.isfinite(found.scores).all()
    assert (found.boxes >= 0).all()
    assert (found.boxes <= 1).all()
    assert (found.boxes[:, 2:] >= found.boxes[:, :2]).all()
    assert (found.scores <= 1).all()
    assert ((found.class_ids >= 0) & (found.class_ids < len(model.labels))).all()


@every_family
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_nan_or_infinity_in_any_output_is_an_error_and_never_a_count(family: Family, bad: float) -> None:
    model, outputs = encoded(family)
    for name, value in outputs.items():
        if value.dtype.kind != "f":
            continue
        for place_in in (0, value.size // 2, value.size - 1):
            broken = value.copy()
            broken.flat[place_in] = bad
            with pytest.raises(ArtifactError, match="NaN or infinity"):
                decode(model, outputs | {name: broken})


@every_family
@pytest.mark.parametrize("kind", ["bool", "complex64", "U8"])
def test_outputs_that_are_no_real_numbers_are_refused(family: Family, kind: str) -> None:
    model, outputs = encoded(family)
    for name, value in outputs.items():
        with pytest.raises(ArtifactError, match=r"should hold numbers|cannot be told"):
            decode(model, outputs | {name: np.zeros(value.shape, kind)})


@every_family
@pytest.mark.parametrize("kind", ["float16", "float64"])
def test_other_widths_of_floats_are_read(family: Family, kind: str) -> None:
    model, outputs = encoded(family)
    wide = {name: value.astype(kind) if value.dtype.kind == "f" else value for name, value in outputs.items()}
    found = decode(model, wide)
    np.testing.assert_allclose(found.boxes, decode(model, outputs).boxes, atol=2e-2)
    assert len(found) == 2


@every_family
def test_outputs_of_another_shape_are_refused_with_what_came(family: Family) -> None:
    model, outputs = encoded(family)
    for name, value in outputs.items():
        wrong = np.zeros((2, *value.shape, 3), np.float32)
        with pytest.raises(ArtifactError, match="x".join(map(str, wrong.shape))):
            decode(model, outputs | {name: wrong})


@every_family
def test_missing_outputs_are_refused(family: Family) -> None:
    model, outputs = encoded(family)
    for name in outputs:
        with pytest.raises(ArtifactError):
            decode(model, {other: value for other, value in outputs.items() if other != name})


@every_family
def test_what_is_found_is_no_view_of_the_lanes_memory(family: Family) -> None:
    model, outputs = encoded(family)
    found = decode(model, outputs)
    before = (found.boxes.tolist(), found.scores.tolist())
    masks = None if found.masks is None else found.masks.values.tolist()
    for value in outputs.values():
        value[...] = 0
    assert (found.boxes.tolist(), found.scores.tolist()) == before
    assert masks is None or (found.masks is not None and found.masks.values.tolist() == masks)


EXTREME = st.one_of(
    st.floats(width=32, allow_nan=False, allow_infinity=False), st.floats(-0.125, 1.125, width=32), st.just(2.0**120)
)


@every_family
@SOME
@given(places=st.lists(st.tuples(st.integers(0, 2**32), EXTREME), min_size=1, max_size=12), seed=st.integers(0, 99))
def test_a_few_numbers_of_any_size_give_a_typed_error_or_well_formed_detections(
    family: Family, places: list[tuple[int, float]], seed: int
) -> None:
    model, outputs = encoded(family)
    rng = np.random.default_rng(seed)
    for where, number in places:
        value = outputs[str(rng.choice(sorted(outputs)))]
        # Most near the beginning, where the things are.
        value.flat[where % (value.size if seed % 2 else min(value.size, 24))] = np.clip(number, -(2.0**60), 2.0**60)
    try:
        found = decode(model, outputs)
    except ArtifactError:
        return
    well_formed(found, model)


@every_family
@SOME
@given(data=st.data())
def test_garbage_gives_a_typed_error_or_well_formed_detections(family: Family, data: st.DataObject) -> None:
    model, outputs = encoded(family)
    name = data.draw(st.sampled_from(sorted(outputs)))
    garbage: NDArray[Any] = data.draw(arrays.arrays(np.float32, outputs[name].shape, elements=EXTREME))
    try:
        found = open_decoder(model).decode(outputs | {name: garbage}, place(model.input, 128, 96))
    except ArtifactError:
        return
    assert isinstance(found, Detections)
    well_formed(found, model)


EMPTIED = [name for name, family in FAMILIES.items() if family.candidates]


@pytest.mark.parametrize("name", EMPTIED)
def test_no_candidates_at_all_are_an_empty_picture(name: str) -> None:
    family = FAMILIES[name]
    model, outputs = encoded(family)
    none = {part: outputs[part].take([], axis) for part, axis in family.candidates.items()}
    assert len(decode(model, none)) == 0
