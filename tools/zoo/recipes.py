"""The models that can be trained, by name: what each is made of and how it learns. Plain data, no torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a training run yields, the data and the seed aside.

    Args:
        name: of the model.
        backbone: a timm EfficientNet-like backbone, or ``plain`` for a small stack of convolutions.
        stages: backbone stages whose outputs the decoder joins; nothing beyond the last is kept.
        frozen: backbone stages that keep their ImageNet weights (the wide early ones cost most of a step).
        decoder: channels of the decoder.
        side: input width and height in pixels.
        stride: input pixels per cell of the density map.
        crop: side of the canvas that most training steps use, pixels.
        batch: canvases of that side per step.
        whole_every: every n-th step sees whole pictures at ``side`` instead.
        synthetic: share of canvases painted by the synthetic road.
        strong: photometric distortion, mosaics and a wide range of scales; else flips and slight crops only.
        steps: optimiser steps.
        rate: learning rate of the decoder.
        backbone_rate: learning rate of the backbone.
        decay: weight decay.
        average: decay per step of the averaged weights, which are what is exported.
        seed: of everything random.
        mean: per RGB channel, 0 to 255.
        std: per RGB channel.
    """

    name: str
    backbone: str
    stages: tuple[int, ...] = (2, 4)
    frozen: int = 2
    decoder: int = 64
    side: int = 384
    stride: int = 8
    crop: int = 256
    batch: int = 16
    whole_every: int = 3
    synthetic: float = 0.12
    strong: bool = True
    steps: int = 900
    rate: float = 1.5e-3
    backbone_rate: float = 4e-4
    decay: float = 0.02
    average: float = 0.995
    seed: int = 1
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    @property
    def digest(self) -> str:
        """Eight hex digits that change with any of the above: names a run's checkpoint folder."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:8]

    def with_changes(self, changes: Mapping[str, object]) -> Recipe:
        """The same recipe with some values replaced."""
        return replace(self, **changes)  # type: ignore[arg-type]


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe("vehicle-density", "efficientnet_lite0"),
        Recipe("prototype", "plain", frozen=0, strong=False, synthetic=0.0, whole_every=1, steps=1200),
    )
}


def recipe_for(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        KeyError: there is none.
    """
    if name not in RECIPES:
        raise KeyError(f"expected a model out of {', '.join(RECIPES)}; got {name!r}")
    return RECIPES[name]
