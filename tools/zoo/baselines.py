"""What the density net has to beat: a constant, and a public detector that counts its boxes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from tools.zoo.data import Pictures
from tools.zoo.metrics import Counts

YOLOX = Path("models/yolox_nano_416.onnx")
"""Below the shared data folder."""

SIDE, PAD, STRIDES = 416, 114, (8, 16, 32)
VEHICLES = (2, 5, 7)
"""COCO's car, bus and truck; motorbikes are not labelled in the pictures, so they are not counted."""

SCORE, OVERLAP = 0.25, 0.45

Floats = NDArray[np.float32]


def constant_counts(train_counts: Counts, pictures: int) -> Counts:
    """The mean of the training counts for every picture."""
    return np.full(pictures, float(train_counts.mean()))


def yolox_counts(model: Path, pictures: Pictures) -> Counts:
    """Vehicles that YOLOX-nano finds at score 0.25 in RGB pictures, one count each."""
    if not model.is_file():
        raise FileNotFoundError(f"expected the YOLOX-nano detector at {model}; see the shared data folder's README")
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    return np.array([_count(session, picture) for picture in pictures], np.float64)


def _count(session: onnxruntime.InferenceSession, picture: NDArray[np.uint8]) -> int:
    scale = SIDE / max(picture.shape[:2])
    small = cv2.resize(picture[:, :, ::-1], None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    image = np.full((SIDE, SIDE, 3), PAD, np.float32)
    image[: small.shape[0], : small.shape[1]] = small
    raw = np.asarray(session.run(None, {"images": image.transpose(2, 0, 1)[None]})[0])[0]
    scores = (raw[:, 4:5] * raw[:, [5 + c for c in VEHICLES]]).max(axis=1)
    likely = scores >= SCORE
    return len(suppressed(_boxes(raw)[likely], scores[likely]))


def _boxes(raw: Floats) -> Floats:
    """Corner boxes ``(n, 4)`` in input pixels from YOLOX's grid offsets and log sizes."""
    grids, strides = [], []
    for stride in STRIDES:
        cells = SIDE // stride
        y, x = np.mgrid[:cells, :cells]
        grids.append(np.stack([x.ravel(), y.ravel()], axis=1))
        strides.append(np.full((cells * cells, 1), stride))
    stride = np.concatenate(strides).astype(np.float32)
    centre = (raw[:, :2] + np.concatenate(grids)) * stride
    half = np.exp(raw[:, 2:4]) * stride / 2
    return np.asarray(np.hstack([centre - half, centre + half]), np.float32)


def suppressed(boxes: Floats, scores: Floats) -> list[int]:
    """Indices that survive non-maximum suppression over all classes together: cars and trucks box the same vehicle."""
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable"):
        if all(_overlap(boxes[index], boxes[other]) <= OVERLAP for other in kept):
            kept.append(int(index))
    return kept


def _overlap(one: Floats, other: Floats) -> float:
    """Intersection over union of two boxes."""
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    both = float(np.prod(np.clip(high - low, 0, None)))
    return both / max(float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2])) - both, 1e-9)
