"""Decoders turn raw outputs into results, and refuse outputs that are not theirs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from contracts.errors import ArtifactError, ModelFileError
from contracts.model_spec import ModelSpec
from runtime.decoders.nms import suppress
from runtime.decoders.table import open_decoder
from runtime.prepare import place
from runtime.results import DensityMap, Detections


def spec(output: dict[str, Any], *, labels: tuple[str, ...] = ("car", "truck", "person"), **size: Any) -> ModelSpec:
    document = {"name": "m", "version": "1.0.0", "labels": labels, "output": output}
    return ModelSpec.model_validate(document | {"input": {"width": 64, "height": 32} | size})


def yolox_rows(model: ModelSpec, boxes: list[tuple[float, float, float, float, float, int]]) -> NDArray[np.float32]:
    """Raw outputs that stand for boxes: x, y, width, height in input pixels, score, class; the inverse of decoding."""
    cells = [(x, y, s) for s in (8, 16, 32) for y in range(32 // s) for x in range(64 // s)]
    rows = np.zeros((1, len(cells), 5 + len(model.labels)), np.float32)
    for x, y, width, height, score, class_id in boxes:
        cell = cells.index((int(x // 8), int(y // 8), 8))
        rows[0, cell, :4] = x / 8 - x // 8, y / 8 - y // 8, np.log(width / 8), np.log(height / 8)
        rows[0, cell, 4], rows[0, cell, 5 + class_id] = score, 1.0
    return rows


def detections(model: ModelSpec, outputs: dict[str, NDArray[Any]], source: tuple[int, int] = (64, 32)) -> Detections:
    result = open_decoder(model).decode(outputs, place(model.input, *source))
    assert isinstance(result, Detections)
    return result


YOLOX = spec({"decoder": "yolox", "score": 0.3, "nms": {"groups": [["car", "truck"]]}})


def test_yolox_finds_a_box_where_it_was_put() -> None:
    found = detections(YOLOX, {"output": yolox_rows(YOLOX, [(20, 12, 16, 8, 0.9, 2)])})
    np.testing.assert_allclose(found.boxes, [[12 / 64, 8 / 32, 28 / 64, 16 / 32]], atol=1e-5)
    assert found.class_ids.tolist() == [2]
    np.testing.assert_allclose(found.scores, [0.9])


def test_yolox_maps_boxes_back_through_a_letterbox() -> None:
    model = spec({"decoder": "yolox"}, resize="letterbox-topleft")
    found = detections(model, {"output": yolox_rows(model, [(20, 12, 16, 8, 0.9, 0)])}, source=(100, 100))
    np.testing.assert_allclose(found.boxes, [[12 / 32, 8 / 32, 28 / 32, 16 / 32]], atol=1e-5)


def test_labels_of_one_group_compete_and_others_do_not() -> None:
    car_truck = yolox_rows(YOLOX, [(20, 12, 16, 8, 0.9, 0), (24, 12, 16, 8, 0.8, 1)])
    assert detections(YOLOX, {"output": car_truck}).class_ids.tolist() == [0]
    car_person = yolox_rows(YOLOX, [(20, 12, 16, 8, 0.9, 0), (24, 12, 16, 8, 0.8, 2)])
    assert detections(YOLOX, {"output": car_person}).class_ids.tolist() == [0, 2]


def test_a_score_below_the_threshold_is_left_out() -> None:
    assert len(detections(YOLOX, {"output": yolox_rows(YOLOX, [(20, 12, 16, 8, 0.29, 0)])})) == 0


def test_a_threshold_of_the_camera_goes_before_the_models() -> None:
    rows = yolox_rows(YOLOX, [(20, 12, 16, 8, 0.29, 0)])
    result = open_decoder(YOLOX, score=0.2).decode({"output": rows}, place(YOLOX.input, 64, 32))
    assert isinstance(result, Detections)
    assert len(result) == 1


def test_yolox_refuses_a_size_that_its_strides_do_not_divide() -> None:
    with pytest.raises(ModelFileError, match="65x32"):
        open_decoder(spec({"decoder": "yolox"}, width=65))


def test_ssd_reads_rows_until_the_end_mark_best_first() -> None:
    model = spec({"decoder": "ssd", "score": 0.5})
    rows = np.array(
        [
            [0, 1, 0.6, 0.1, 0.1, 0.2, 0.2],
            [0, 2, 0.9, 0.3, 0.3, 0.4, 0.4],
            [0, 2, 0.4, 0.3, 0.3, 0.4, 0.4],
            [0, 7, 0.4, 0.3, 0.3, 0.4, 0.4],
            [-1, 0, 0, 0, 0, 0, 0],
            [0, 1, 0.9, 0.5, 0.5, 0.6, 0.6],
        ],
        np.float32,
    )
    found = detections(model, {"detection_out": rows[np.newaxis, np.newaxis]})
    assert found.class_ids.tolist() == [2, 1]
    np.testing.assert_allclose(found.boxes, [[0.3, 0.3, 0.4, 0.4], [0.1, 0.1, 0.2, 0.2]], atol=1e-6)


def test_ssds_background_is_dropped_and_a_label_beyond_the_models_refused() -> None:
    model = spec({"decoder": "ssd", "first_label": 1})
    rows = np.array([[[[0, 0, 0.9, 0.1, 0.1, 0.2, 0.2], [0, 3, 0.8, 0.1, 0.1, 0.2, 0.2]]]], np.float32)
    assert detections(model, {"detection_out": rows}).class_ids.tolist() == [2]
    rows[0, 0, 1, 1] = 4
    with pytest.raises(ArtifactError, match=r"gives label 3, model\.toml lists 3 \(0 to 2\)"):
        detections(model, {"detection_out": rows})


def test_a_density_map_is_scaled_cut_at_zero_and_no_view_of_the_lanes_memory() -> None:
    model = spec({"decoder": "density", "scale": 0.5})
    raw = np.array([[2.0, -1.0], [4.0, 0.0]], np.float32)[np.newaxis, np.newaxis]
    result = open_decoder(model).decode({"density": raw}, place(model.input, 64, 32))
    assert isinstance(result, DensityMap)
    assert result.values.tolist() == [[1.0, 0.0], [2.0, 0.0]]
    raw[:] = 9
    assert result.values.sum() == 3.0


@pytest.mark.parametrize("decoder", ["density", "yolox", "ssd"])
@pytest.mark.parametrize("shape", [(1,), (1, 2, 3), (1, 1, 4, 6), (2, 1, 4, 7), (1, 85)])
def test_an_output_of_another_shape_is_refused_with_both_shapes(decoder: str, shape: tuple[int, ...]) -> None:
    model = spec({"decoder": decoder})
    if decoder == "density" and shape == (1, 1, 4, 6):
        return
    with pytest.raises(ArtifactError, match="x".join(map(str, shape))):
        open_decoder(model).decode({"out": np.zeros(shape, np.float32)}, place(model.input, 64, 32))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_output_with_a_nan_is_an_error_and_never_a_count(bad: float) -> None:
    raw = np.zeros((1, 1, 4, 6), np.float32)
    raw[0, 0, 1, 1] = bad
    with pytest.raises(ArtifactError, match="NaN or infinity"):
        open_decoder(spec({"decoder": "density"})).decode({"d": raw}, place(YOLOX.input, 64, 32))


def test_two_outputs_are_refused_with_their_names() -> None:
    outputs = {"a": np.zeros((1, 1, 1, 1), np.float32), "b": np.zeros((1, 1, 1, 1), np.float32)}
    with pytest.raises(ArtifactError, match="a, b"):
        open_decoder(spec({"decoder": "density"})).decode(outputs, place(YOLOX.input, 64, 32))


boxes_with_scores = st.lists(
    st.tuples(*[st.floats(0, 1, width=32)] * 4, st.floats(0, 1, width=32), st.integers(0, 2)), max_size=30
)


def slow_overlap(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Intersection over union, written out again for comparison."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return float(width * height / max(union, 1e-12))


@given(boxes_with_scores)
def test_suppression_leaves_no_rivals_and_drops_only_what_a_better_one_covers(
    rows: list[tuple[float, float, float, float, float, int]],
) -> None:
    table = np.array(rows, np.float64).reshape(-1, 6)
    corner = table[:, :2]
    boxes = np.concatenate([corner, corner + 0.01 + table[:, 2:4]], axis=1).astype(np.float32)
    scores, families = table[:, 4].astype(np.float32), table[:, 5].astype(np.int64)
    kept = suppress(boxes, scores, families, 0.5, 300).tolist()
    assert list(scores[kept]) == sorted(scores[kept], reverse=True)
    margin = 1e-4  # float32 here, float64 in the comparison
    for position, index in enumerate(kept):
        for other in kept[:position]:
            assert families[index] != families[other] or slow_overlap(boxes[index], boxes[other]) <= 0.5 + margin
    for index in set(range(len(rows))) - set(kept):
        assert any(
            families[index] == families[better]
            and scores[better] >= scores[index]
            and slow_overlap(boxes[index], boxes[better]) > 0.5 - margin
            for better in kept
        )


def test_suppression_keeps_at_most_so_many() -> None:
    boxes = np.array([[i, 0, i + 0.5, 1] for i in range(10)], np.float32)
    assert len(suppress(boxes, np.ones(10, np.float32), np.zeros(10, np.int64), 0.5, 3)) == 3
