"""Decoding the labelled pictures; apart from `data` because it needs OpenCV."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from tools.zoo.data import PICTURE_SIDE, Pictures, Sample


def load_pictures(root: Path, samples: Iterable[Sample]) -> Pictures:
    """The decoded pictures of some samples, ``(n, 640, 640, 3)`` RGB: about 1.2 MB each."""
    pictures = []
    for sample in samples:
        bgr = cv2.imread(str(root / "images" / sample.file))
        if bgr is None or bgr.shape != (PICTURE_SIDE, PICTURE_SIDE, 3):
            came = None if bgr is None else bgr.shape
            raise ValueError(f"{sample.file}: expected a {PICTURE_SIDE}x{PICTURE_SIDE} JPEG, got {came}")
        pictures.append(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
    return np.stack(pictures)
