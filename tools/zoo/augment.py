"""Training canvases: crops, mosaics and photometric distortion. A canvas follows from its random generator alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tools.zoo.data import PICTURE_SIDE, Boxes, Pictures, Sample
from tools.zoo.recipes import Recipe
from tools.zoo.targets import Floats, clip_boxes, density_map

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Canvas:
    """A picture to learn from.

    Args:
        picture: uint8 RGB ``(height, width, 3)``.
        boxes: in its pixels, cut to it.
        weights: vehicles that each box stands for.
    """

    picture: Picture
    boxes: Boxes
    weights: Floats


class Painter:
    """Makes training canvases out of labelled pictures.

    Args:
        recipe: how strongly to distort, and at which sizes.
        samples: the pictures to draw from.
        pictures: their pixels, in the same order.
        synthetic: whole pictures of the synthetic road, as samples and pixels; may be empty.
    """

    def __init__(
        self, recipe: Recipe, samples: Sequence[Sample], pictures: Pictures, synthetic: Sequence[tuple[Picture, Boxes]]
    ) -> None:
        self._recipe, self._samples, self._pictures, self._synthetic = recipe, samples, pictures, synthetic
        clips = [sample.clip for sample in samples]
        # The square root: a long clip does not outweigh a short one tenfold, a short one is not repeated to death.
        share = np.array([clips.count(clip) ** -0.5 for clip in clips])
        self._chances = share / share.sum()
        whole = share * np.array([sample.complete for sample in samples])
        self._whole_chances = whole / whole.sum()

    def batch(self, step: int) -> tuple[Floats, Floats]:
        """The canvases of one step: normalised images ``(n, 3, s, s)`` and density maps ``(n, 1, s/8, s/8)``."""
        recipe = self._recipe
        rng = np.random.default_rng((recipe.seed, step))
        whole = step % recipe.whole_every == 0
        side = recipe.side if whole else recipe.crop
        # About the same number of pixels either way, so that a step takes about the same time.
        number = max(1, round(recipe.batch * (recipe.crop / side) ** 2))
        canvases = [self._canvas(rng, side, whole=whole) for _ in range(number)]
        cells = (side // recipe.stride, side // recipe.stride)
        images = np.stack([normalised(canvas.picture, recipe) for canvas in canvases])
        maps = np.stack([density_map(c.boxes, c.weights, cells, recipe.stride)[None] for c in canvases])
        return images, maps

    def _canvas(self, rng: Generator, side: int, *, whole: bool) -> Canvas:
        if self._synthetic and rng.random() < self._recipe.synthetic:
            canvas = self._synthetic_part(rng, side)
        elif whole:
            canvas = self._whole(rng, side)
        elif rng.random() < MOSAIC_CHANCE:
            canvas = self._mosaic(rng, side)
        else:
            canvas = self._part(rng, side, side)
        if rng.random() < 0.5:  # noqa: PLR2004 - a coin
            canvas = flipped(canvas)
        return Canvas(distorted(canvas.picture, rng), canvas.boxes, canvas.weights) if self._recipe.strong else canvas

    def _whole(self, rng: Generator, side: int) -> Canvas:
        """Nearly all of one picture: what far away looks like is learned from these."""
        index = int(rng.choice(len(self._samples), p=self._whole_chances))
        least = 0.72 if self._recipe.strong else 0.9
        size = PICTURE_SIDE * rng.uniform(least, 1.0, 2)
        corner = rng.uniform(0, 1, 2) * (PICTURE_SIDE - size)
        return self._cut(index, (*corner, *size), side, side, rng)

    def _part(self, rng: Generator, width: int, height: int) -> Canvas:
        """A window of any place and scale in one picture, brought to ``width`` x ``height``."""
        index = int(rng.choice(len(self._samples), p=self._chances))
        top = self._samples[index].top * PICTURE_SIDE
        scale = PICTURE_SIDE / self._recipe.side / np.exp(rng.uniform(*SCALES))
        stretch = np.exp(rng.uniform(-0.2, 0.2))
        size = np.array([width * scale * stretch, height * scale / stretch])
        size *= min(1.0, PICTURE_SIDE / size[0], (PICTURE_SIDE - top) / size[1])
        corner = rng.uniform(0, 1, 2) * (PICTURE_SIDE - size - (0, top)) + (0, top)
        return self._cut(index, (*corner, *size), width, height, rng)

    def _mosaic(self, rng: Generator, side: int) -> Canvas:
        """Up to four windows side by side: roads beside roads they have never met."""
        x, y = (int(v) for v in rng.integers(side // 4, 3 * side // 4, 2))
        columns = [(0, x), (x, side)]
        rows = [(0, y), (y, side)] if rng.random() < 0.5 else [(0, side)]  # noqa: PLR2004 - a coin
        picture = np.empty((side, side, 3), np.uint8)
        boxes, weights = [], []
        for top, bottom in rows:
            for left, right in columns:
                part = self._part(rng, right - left, bottom - top)
                picture[top:bottom, left:right] = part.picture
                boxes.append(part.boxes + np.array([left, top, left, top], np.float32))
                weights.append(part.weights)
        return Canvas(picture, np.concatenate(boxes), np.concatenate(weights))

    def _cut(self, index: int, window: Sequence[float], width: int, height: int, rng: Generator) -> Canvas:
        boxes = self._samples[index].boxes * np.float32(PICTURE_SIDE)
        return cut(self._pictures[index], boxes, window, (width, height), rng)

    def _synthetic_part(self, rng: Generator, side: int) -> Canvas:
        """Most of one synthetic picture, stretched to the canvas as cameras' pictures are."""
        picture, boxes = self._synthetic[int(rng.integers(len(self._synthetic)))]
        height, width = picture.shape[:2]
        least = side / self._recipe.side
        share = rng.uniform(0.75, 1.0, 2) * least
        size = np.array([width, height]) * share
        corner = rng.uniform(0, 1, 2) * (np.array([width, height]) - size)
        return cut(
            picture, boxes * np.array([width, height, width, height], np.float32), (*corner, *size), (side, side), rng
        )


MOSAIC_CHANCE = 0.45
SCALES = (-0.45, 0.55)
"""Natural logarithms of the smallest and largest zoom of a crop against the scale that the network runs at."""

INTERPOLATIONS = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC)


def cut(picture: Picture, boxes: Boxes, window: Sequence[float], size: tuple[int, int], rng: Generator) -> Canvas:
    """A window ``(x, y, width, height)`` of a picture, resized to ``size`` (width, height), and its boxes' rest."""
    x, y, width, height = (round(float(v)) for v in window)
    width, height = max(width, 8), max(height, 8)
    part = cv2.resize(picture[y : y + height, x : x + width], size, interpolation=INTERPOLATIONS[int(rng.integers(3))])
    scale = np.array([size[0] / width, size[1] / height] * 2, np.float32)
    moved = (boxes - np.array([x, y, x, y], np.float32)) * scale
    return Canvas(np.asarray(part, np.uint8), *clip_boxes(moved, *size))


def flipped(canvas: Canvas) -> Canvas:
    """Left for right."""
    width = canvas.picture.shape[1]
    boxes = canvas.boxes.copy()
    boxes[:, [0, 2]] = width - canvas.boxes[:, [2, 0]]
    return Canvas(np.ascontiguousarray(canvas.picture[:, ::-1]), boxes, canvas.weights)


def distorted(picture: Picture, rng: Generator) -> Picture:
    """Another camera, hour and weather: colour, exposure, contrast, haze, blur, low resolution, noise."""
    saturation = rng.uniform(0.0, 1.6)
    grey = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    image = cv2.addWeighted(picture, saturation, grey, 1 - saturation, 0)
    image = _blurred(cv2.LUT(image, _tone_curves(rng)), rng)
    if rng.random() < 0.3:  # noqa: PLR2004 - how often
        noise = rng.standard_normal(image.shape[:2], np.float32) * np.float32(rng.uniform(2, 12))
        image = np.clip(image + noise[:, :, None], 0, 255)
    return np.asarray(image, np.uint8)


def _tone_curves(rng: Generator) -> Picture:
    """A table ``(1, 256, 3)`` of gamma, contrast, brightness and white balance: one look-up instead of four passes."""
    levels = np.arange(256, dtype=np.float64) / 255
    curve = 255 * levels ** np.exp(rng.uniform(-0.4, 0.4))
    curve = (curve - 128) * rng.uniform(0.6, 1.35) + 128 + rng.uniform(-35, 35)
    return np.clip(curve[None, :, None] * rng.uniform(0.88, 1.12, 3), 0, 255).astype(np.uint8)


def _blurred(image: Picture, rng: Generator) -> Picture:
    """A soft lens or a stream of few pixels, sometimes."""
    draw = rng.random()
    height, width = image.shape[:2]
    if draw < 0.15:  # noqa: PLR2004 - how often
        return np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 1.3)), np.uint8)
    if draw < 0.3:  # noqa: PLR2004 - how often
        share = rng.uniform(0.5, 0.9)
        small = cv2.resize(image, (round(width * share), round(height * share)), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    return image


def normalised(picture: Picture, recipe: Recipe) -> Floats:
    """uint8 RGB ``(h, w, 3)`` to what the network takes, float32 ``(3, h, w)``."""
    image = (picture.astype(np.float32) - np.array(recipe.mean, np.float32)) / np.array(recipe.std, np.float32)
    return np.ascontiguousarray(image.transpose(2, 0, 1))


def network_input(picture: Picture, recipe: Recipe) -> Floats:
    """A whole picture of any size as the network's input ``(1, 3, side, side)``, stretched as on the device."""
    small = cv2.resize(picture, (recipe.side, recipe.side), interpolation=cv2.INTER_AREA)
    return normalised(np.asarray(small, np.uint8), recipe)[None]
