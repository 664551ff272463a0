"""Detections made ready to be followed: one a thing, however many labels the model gave it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from agent.counting.boxes import Box, overlap
from runtime.results import Detections


@dataclass(frozen=True)
class Sighting:
    """One thing in one frame.

    Args:
        box: of its best detection.
        score: of its best detection.
        label: index of its best detection's label.
        votes: label index to score; more than one where the model could not decide.
    """

    box: Box
    score: float
    label: int
    votes: Mapping[int, float]


def merge_doubles(detections: Detections, least: float, double_overlap: float) -> list[Sighting]:
    """Join detections of different labels that lie on each other: a van that is found as car and as truck.

    Two of one label stay two; that is the decoder's suppression to decide.

    Args:
        detections: of one frame.
        least: those with a lower score are left out.
        double_overlap: intersection over union above which two are one.

    Returns:
        Best first.
    """
    order = [int(i) for i in np.argsort(-detections.scores, kind="stable") if detections.scores[i] >= least]
    boxes = np.asarray(detections.boxes[order], dtype=np.float64)
    shared = overlap(boxes, boxes)
    labels = [int(label) for label in detections.class_ids[order]]
    scores = [float(score) for score in detections.scores[order]]
    votes: dict[int, dict[int, float]] = {}
    for i, label in enumerate(labels):
        kept = next((k for k, seen in votes.items() if shared[k, i] > double_overlap and label not in seen), None)
        votes.setdefault(i if kept is None else kept, {})[label] = scores[i]
    return [Sighting(_box(boxes[i].tolist()), scores[i], labels[i], given) for i, given in votes.items()]


def _box(values: list[float]) -> Box:
    x1, y1, x2, y2 = values
    return x1, y1, x2, y2
