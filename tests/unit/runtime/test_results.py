"""Results refuse arrays that do not belong together."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from runtime.results import Classes, Detections, Landmarks, Masks

BOXES: NDArray[np.float32] = np.array([[0.0, 0.0, 0.5, 0.5], [0.5, 0.5, 1.0, 1.0]], np.float32)
SCORES: NDArray[np.float32] = np.array([0.9, 0.8], np.float32)
IDS: NDArray[np.int64] = np.array([0, 1], np.int64)


def zeros(*shape: int) -> NDArray[np.float32]:
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize("landmarks", [zeros(1, 5, 2), zeros(2, 5, 3), zeros(2, 10)])
def test_landmarks_are_points_of_each_thing(landmarks: NDArray[np.float32]) -> None:
    with pytest.raises(ValueError, match=r"landmarks should have shape \(2, k, 2\)"):
        Detections(BOXES, SCORES, IDS, landmarks)


def test_there_is_a_mask_for_each_thing() -> None:
    with pytest.raises(ValueError, match="masks should be 2, got 1"):
        Detections(BOXES, SCORES, IDS, masks=Masks(zeros(1, 28, 28), BOXES[:1]))


@pytest.mark.parametrize(("values", "boxes"), [(zeros(2, 28), BOXES), (zeros(1, 28, 28), BOXES)])
def test_there_is_a_box_for_each_mask(values: NDArray[np.float32], boxes: NDArray[np.float32]) -> None:
    with pytest.raises(ValueError, match="values and boxes"):
        Masks(values, boxes)


def test_what_belongs_to_a_thing_goes_with_it() -> None:
    landmarks = np.arange(20, dtype=np.float32).reshape(2, 5, 2)
    masks = Masks(np.arange(2 * 9, dtype=np.float32).reshape(2, 3, 3), BOXES)
    second = Detections(BOXES, SCORES, IDS, landmarks, masks).chosen(np.array([1]))
    assert second.boxes.tolist() == BOXES[1:].tolist()
    assert second.class_ids.tolist() == [1]
    assert second.landmarks is not None
    assert second.landmarks.tolist() == landmarks[1:].tolist()
    assert second.masks is not None
    assert second.masks.values.tolist() == masks.values[1:].tolist()


@pytest.mark.parametrize(("points", "scores", "visible"), [(3, 2, 3), (3, 3, 2), (2, 3, 3)])
def test_each_landmark_has_a_score_and_is_visible_or_not(points: int, scores: int, visible: int) -> None:
    with pytest.raises(ValueError, match="points, scores and visible"):
        Landmarks(zeros(points, 2), zeros(scores), np.ones(visible, np.bool_))


def test_each_head_has_an_answer_and_a_score() -> None:
    with pytest.raises(ValueError, match="class_ids, scores and probabilities"):
        Classes(IDS, SCORES[:1], zeros(4))
