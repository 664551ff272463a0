"""From what the model saw in a frame to counts."""

from __future__ import annotations

import numpy as np
import pytest

from agent.counting.counter import KIND_OF_DECODER, decoder_score, make_counter, open_counter, questions_asked
from agent.counting.frame_counts import FrameCounts
from contracts.config import CameraConfig
from contracts.errors import DocumentError
from contracts.model_spec import ModelSpec
from runtime.decoders.table import DECODERS
from runtime.results import DensityMap, Detections

LABELS = ("person", "car", "truck")
LINE = {"name": "gate", "start": [0, 0.5], "end": [1, 0.5]}
ZONE = {"name": "yard", "polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}
ASPECT = 16 / 9


def a_camera(**more: object) -> CameraConfig:
    return CameraConfig.model_validate({"id": "north", "source": "synthetic", **more})


def seen(*things: tuple[float, float, float, int]) -> Detections:
    """Boxes around x, y with a score and a label."""
    boxes = [(x - 0.03, y - 0.05, x + 0.03, y + 0.05) for x, y, _, _ in things]
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array([score for *_, score, _ in things], np.float32),
        np.array([label for *_, label in things], np.int64),
    )


def a_model(decoder: str, **output: object) -> ModelSpec:
    labels = ["vehicle"] if decoder == "density" else list(LABELS)
    return ModelSpec.model_validate(
        {
            "name": "m",
            "version": "1.0.0",
            "labels": labels,
            "input": {"width": 64, "height": 64},
            "output": {"decoder": decoder, **output},
        }
    )


def problems(camera: CameraConfig, **more: object) -> tuple[str, ...]:
    with pytest.raises(DocumentError) as caught:
        make_counter(camera, LABELS, **more)  # type: ignore[arg-type]
    return caught.value.problems


def test_the_count_is_the_detections_of_this_frame_from_the_cameras_score_on() -> None:
    counter = make_counter(a_camera(score=0.4), LABELS)
    result = seen((0.2, 0.2, 0.9, 0), (0.5, 0.5, 0.4, 1), (0.8, 0.8, 0.39, 1))
    assert counter.update(result, 0.0, ASPECT).count == 2
    assert counter.update(Detections.none(), 0.1, ASPECT) == FrameCounts(0.0, visits={})


def test_the_models_own_score_holds_where_the_camera_says_none() -> None:
    result = seen((0.5, 0.5, 0.5, 1))
    assert open_counter(a_camera(), a_model("yolox", score=0.6)).update(result, 0, ASPECT).count == 0
    assert open_counter(a_camera(score=0.45), a_model("yolox", score=0.6)).update(result, 0, ASPECT).count == 1


def test_a_van_found_as_car_and_as_truck_counts_once() -> None:
    result = seen((0.5, 0.5, 0.9, 1), (0.501, 0.5, 0.6, 2), (0.2, 0.5, 0.6, 2))
    assert make_counter(a_camera(), LABELS).update(result, 0.0, ASPECT).count == 2


def test_lines_and_zones_of_boxes() -> None:
    counter = make_counter(a_camera(line=[LINE], zone=[ZONE]), LABELS)
    frames = [counter.update(seen((0.2, 0.2 + 0.02 * i, 0.9, 1)), i / 10, ASPECT) for i in range(30)]
    assert [(c.line, c.direction, c.label) for frame in frames for c in frame.crossings] == [("gate", "in", "car")]
    assert {frame.zones["yard"] for frame in frames} == {1.0}
    assert sum(frame.visits["yard"] for frame in frames if frame.visits) == 1
    assert [track.track_id for track in frames[-1].tracks] == [1]


def test_a_single_picture_shows_who_is_in_a_zone() -> None:
    counts = make_counter(a_camera(zone=[ZONE]), LABELS).update(seen((0.2, 0.2, 0.9, 1)), 0.0, ASPECT)
    assert (counts.count, counts.zones) == (1.0, {"yard": 1.0})


def test_a_density_map_is_summed_over_the_picture_and_its_zones() -> None:
    counter = open_counter(a_camera(zone=[ZONE]), a_model("density"))
    values = np.zeros((4, 4), np.float32)
    values[:, 0], values[:, 3] = 1, 2
    counts = counter.update(DensityMap(values), 0.0, ASPECT)
    assert (counts.count, counts.zones, counts.visits) == (12.0, {"yard": 4.0}, None)
    letterboxed = DensityMap(np.ones((4, 4), np.float32), (0.0, -0.5, 1.0, 1.5))
    assert counter.update(letterboxed, 0.0, ASPECT).count == pytest.approx(8)


def test_a_cameras_scale_holds_for_the_picture_and_its_zones() -> None:
    counter = open_counter(a_camera(zone=[ZONE], scale=1.5), a_model("density"))
    counts = counter.update(DensityMap(np.ones((4, 4), np.float32)), 0.0, ASPECT)
    assert (counts.count, counts.zones) == (24.0, {"yard": 12.0})


def test_the_stays_of_boxes_that_ended_are_told() -> None:
    counter = make_counter(a_camera(zone=[ZONE]), LABELS)
    shown = [seen((0.2, 0.2, 0.9, 1)) if i < 31 else Detections.none() for i in range(60)]
    frames = [counter.update(result, i / 10, ASPECT) for i, result in enumerate(shown)]
    assert [seconds for frame in frames for seconds in frame.stays.get("yard", ())] == [pytest.approx(3.0)]


def test_only_a_classifier_asks_questions() -> None:
    assert [question.name for question in questions_asked(a_model("classes"))] == ["state"]
    assert questions_asked(a_model("yolox")) == questions_asked(a_model("density")) == ()


def test_a_label_that_the_model_lacks_is_refused_with_the_one_that_was_meant() -> None:
    camera = a_camera(line=[{**LINE, "labels": ["cra"]}], zone=[{**ZONE, "labels": ["boat", "person"]}])
    assert problems(camera) == (
        (
            "line 'gate' counts 'cra', which this model does not know; its labels are person, car, truck; "
            "did you mean 'car'?"
        ),
        "zone 'yard' counts 'boat', which this model does not know; its labels are person, car, truck",
    )


def test_many_labels_are_not_all_listed() -> None:
    with pytest.raises(DocumentError, match=r"its labels are l0, l1, .* and 68 more"):
        make_counter(a_camera(line=[{**LINE, "labels": ["x"]}]), [f"l{i}" for i in range(80)])


def test_a_density_model_refuses_lines_and_zones_of_some_labels() -> None:
    camera = a_camera(line=[LINE], zone=[{**ZONE, "labels": ["car"]}])
    assert problems(camera, kind="density") == (
        "line 'gate' needs a model that gives boxes; this one gives a density map; remove it or choose a detector",
        (
            "zone 'yard' counts only car; this model's density map counts person, car, truck together; "
            "remove its labels or choose a detector"
        ),
    )
    make_counter(a_camera(zone=[{**ZONE, "labels": ["vehicle"]}]), ["vehicle"], "density")


def test_a_result_of_another_kind_is_a_bug() -> None:
    with pytest.raises(TypeError, match="expected Detections, got DensityMap"):
        make_counter(a_camera(), LABELS).update(DensityMap(np.zeros((2, 2), np.float32)), 0.0, ASPECT)
    with pytest.raises(TypeError, match="expected a DensityMap, got Detections"):
        make_counter(a_camera(), LABELS, "density").update(Detections.none(), 0.0, ASPECT)


UNCOUNTED = {"landmarks": {"layout": "points"}}


def test_every_decoder_that_exists_can_be_counted_or_is_refused() -> None:
    assert set(KIND_OF_DECODER) | set(UNCOUNTED) == set(DECODERS)


@pytest.mark.parametrize("decoder", UNCOUNTED)
def test_a_model_whose_results_nothing_counts_is_refused(decoder: str) -> None:
    with pytest.raises(DocumentError, match=f"camera 'north': .*'m' gives {decoder}, which nothing counts"):
        open_counter(a_camera(), a_model(decoder, **UNCOUNTED[decoder]))


def test_decoders_are_asked_for_weaker_detections_than_are_counted() -> None:
    assert decoder_score(a_camera(), a_model("yolox", score=0.6)) == pytest.approx(0.3)
    assert decoder_score(a_camera(score=0.4), a_model("yolox", score=0.6)) == pytest.approx(0.2)
    assert decoder_score(a_camera(score=0.4), a_model("density")) is None
