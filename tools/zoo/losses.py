"""What training minimises: the map, the counts of its blocks and the count of the picture."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

BLOCK = 4
"""Cells along a side of a block: about a car's length in the middle of a picture."""

MAP_WEIGHT, BLOCK_WEIGHT, COUNT_WEIGHT = 8.0, 0.5, 1.0


def density_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Squared error of the map, absolute errors of blocks and of the whole, all per root of the true count.

    The root is how a count's own scatter grows: without it the two densest clips would drown the rest.

    Args:
        predicted: vehicles per cell ``(n, 1, h, w)``.
        target: the same, true.

    Returns:
        A scalar.
    """
    everywhere = (1, 2, 3)
    scale = torch.sqrt(target.sum(everywhere) + 1)
    difference = predicted - target
    squared = (difference**2).sum(everywhere)
    blocks = (avg_pool2d(difference, BLOCK).abs() * BLOCK**2).sum(everywhere)
    count = difference.sum(everywhere).abs()
    return ((MAP_WEIGHT * squared + BLOCK_WEIGHT * blocks + COUNT_WEIGHT * count) / scale).mean()
