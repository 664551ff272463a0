"""What the model saw, drawn into a picture: boxes in their label's colour, or a density map as heat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from agent.page.ports import Look
from runtime.results import DensityMap, Detections, Picture

PALETTE = ("#e69f00", "#56b4e9", "#00c092", "#f0e442", "#3d8bff", "#ff6a1f", "#e58cc0", "#ffffff")
"""Colours of labels, by index: those of Okabe and Ito (2008), which colour-blind people tell apart, made lighter."""

_HEAT = np.array([40, 90, 255], np.float32)  # BGR
_STRONGEST = 0.75  # how much of the picture the hottest place covers
_LEAST_PEAK = 1e-6  # things a cell; a map below it is empty
_ROWS_A_PIXEL = 240  # lines are a pixel thick for each so many rows


def draw(look: Look, image: Picture) -> tuple[NDArray[np.uint8], Mapping[str, int]]:
    """A copy of the image with what the model saw in it.

    Args:
        look: what the model saw.
        image: the look's, or what may be shown of it; uint8 ``(height, width, 3)`` BGR.

    Returns:
        The picture, and how many boxes of each label are drawn in it.
    """
    picture: NDArray[np.uint8] = np.array(image, np.uint8, order="C")
    if isinstance(look.result, Detections):
        return picture, _boxes(picture, look, look.result)
    if isinstance(look.result, DensityMap):
        _heat(picture, look.result)
    return picture, {}


def _boxes(picture: NDArray[np.uint8], look: Look, found: Detections) -> Mapping[str, int]:
    height, width = picture.shape[:2]
    thick = max(1, height // _ROWS_A_PIXEL)
    drawn: Counter[str] = Counter()
    for box, score, label in zip(found.boxes, found.scores, found.class_ids, strict=True):
        if score < look.score:
            continue
        left, right = (round(float(x) * (width - 1)) for x in (box[0], box[2]))
        top, bottom = (round(float(y) * (height - 1)) for y in (box[1], box[3]))
        _frame(picture, (left, top, right, bottom), thick, _bgr(PALETTE[int(label) % len(PALETTE)]))
        drawn[look.labels[int(label)] if int(label) < len(look.labels) else str(int(label))] += 1
    return drawn


def _frame(
    picture: NDArray[np.uint8], box: tuple[int, int, int, int], thick: int, colour: tuple[int, int, int]
) -> None:
    left, top, right, bottom = box
    rows, columns = slice(top, bottom + 1), slice(left, right + 1)
    picture[top : top + thick, columns] = colour
    picture[max(0, bottom + 1 - thick) : bottom + 1, columns] = colour
    picture[rows, left : left + thick] = colour
    picture[rows, max(0, right + 1 - thick) : right + 1] = colour


def _heat(picture: NDArray[np.uint8], density: DensityMap) -> None:
    peak = float(density.values.max(initial=0.0))
    if peak < _LEAST_PEAK:
        return
    height, width = picture.shape[:2]
    x1, y1, x2, y2 = density.extent
    rows = _cells(height, y1, y2, density.values.shape[0])
    columns = _cells(width, x1, x2, density.values.shape[1])
    share = (density.values / peak)[np.ix_(rows, columns)].clip(0.0, 1.0)[..., np.newaxis] * _STRONGEST
    picture[:] = (picture * (1.0 - share) + _HEAT * share).astype(np.uint8)


def _cells(pixels: int, first: float, last: float, cells: int) -> NDArray[np.intp]:
    """For each pixel of a side, the map's cell that it lies in."""
    places = (np.arange(pixels) + 0.5) / pixels
    return ((places - first) / (last - first) * cells).astype(np.intp).clip(0, cells - 1)


def _bgr(colour: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(colour[1:])
    return blue, green, red
