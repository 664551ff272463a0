"""Density maps: the sum is the count."""

from __future__ import annotations

import numpy as np

from contracts.model_spec import DensityOutput, ModelSpec
from runtime.decoders.outputs import only_output
from runtime.prepare import Placement
from runtime.results import DensityMap, Tensors


class DensityDecoder:
    """Reads one output ``(1, 1, h, w)``.

    Args:
        spec: the model.
        score: not used: a density has no threshold.
    """

    def __init__(self, spec: ModelSpec, score: float | None = None) -> None:
        del score
        assert isinstance(spec.output, DensityOutput)
        self._scale = np.float32(spec.output.scale)

    def decode(self, outputs: Tensors, placement: Placement) -> DensityMap:
        """The map, copied out of the lane's memory; below zero is cut off."""
        values = only_output(outputs, "density", (1, 1, None, None))[0, 0]
        return DensityMap(np.maximum(values * self._scale, np.float32(0)), placement.extent)
