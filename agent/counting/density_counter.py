"""Counting density maps: in the picture, and in zones."""

from __future__ import annotations

from agent.counting.counted_model import CountedModel
from agent.counting.density_zones import PICTURE, level_within
from agent.counting.frame_counts import FrameCounts
from contracts.config import CameraConfig
from contracts.model_spec import ModelSpec
from runtime.results import DensityMap, Result


class DensityCounter:
    """Counts density maps: has no memory, follows nothing. The camera's ``score`` means nothing here.

    Args:
        camera: what is counted.
        model: not used: a density map counts all labels together.
    """

    def __init__(self, camera: CameraConfig, model: CountedModel) -> None:
        del model
        self._zones = camera.zone
        self._scale = camera.scale

    def retune(self, model: ModelSpec) -> None:
        """A density map has no threshold."""

    def take_over(self, before: object) -> None:
        """A density map is counted without memory."""

    @staticmethod
    def problems(camera: CameraConfig, model: CountedModel) -> list[str]:
        """What the camera asks for that a density map cannot give."""
        lines = [
            f"line {line.name!r} needs a model that gives boxes; this one gives a density map; "
            "remove it or choose a detector"
            for line in camera.line
        ]
        zones = [
            f"zone {zone.name!r} counts only {', '.join(zone.labels)}; this model's density map counts "
            f"{', '.join(model.labels)} together; remove its labels or choose a detector"
            for zone in camera.zone
            if zone.labels and not set(model.labels) <= set(zone.labels)
        ]
        return lines + zones

    def update(self, result: Result, at: float, aspect: float) -> FrameCounts:
        """See `CameraCounter.update`."""
        del at, aspect
        if not isinstance(result, DensityMap):
            raise TypeError(f"expected a DensityMap, got {type(result).__name__}")
        zones = {zone.name: self._scale * level_within(result, zone.polygon) for zone in self._zones}
        return FrameCounts(count=self._scale * level_within(result, PICTURE), zones=zones)
