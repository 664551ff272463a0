"""Counting what a detector finds: in the picture, in zones, and over lines."""

from __future__ import annotations

from agent.counting.counted_model import CountedModel
from agent.counting.frame_counts import FrameCounts
from agent.counting.lines import LineCounter
from agent.counting.sightings import merge_doubles
from agent.counting.tracker import Tracker, TrackerSettings
from agent.counting.zones import ZoneCounter
from contracts.config import CameraConfig
from contracts.model_spec import ModelSpec
from runtime.results import Detections, Result


class BoxCounter:
    """Counts detections; a camera without lines and zones is not tracked.

    Args:
        camera: what is counted; its ``score`` counts before the model's.
        model: the model; the tracker's default threshold holds where it has none.
    """

    def __init__(self, camera: CameraConfig, model: CountedModel) -> None:
        self._score = camera.score
        self._settings = self._settings_for(model)
        self._tracker = Tracker(self._settings)
        self._lines = [LineCounter(line, model.labels) for line in camera.line]
        self._zones = [ZoneCounter(zone, model.labels) for zone in camera.zone]

    @staticmethod
    def problems(_camera: CameraConfig, _model: CountedModel) -> list[str]:
        """What the camera asks for that boxes cannot give: nothing."""
        return []

    def retune(self, model: ModelSpec) -> None:
        """See `CameraCounter.retune`."""
        self._settings = self._tracker.settings = self._settings_for(CountedModel.of(model))

    def take_over(self, before: object) -> None:
        """See `CameraCounter.take_over`."""
        if not isinstance(before, BoxCounter):
            return
        tracker, lines, zones = before._tracker, before._lines, before._zones  # noqa: SLF001 - of the same class
        tracker.settings = self._settings
        self._tracker = tracker
        same_lines, same_zones = {line.line: line for line in lines}, {zone.zone: zone for zone in zones}
        self._lines = [same_lines.get(line.line, line) for line in self._lines]
        self._zones = [same_zones.get(zone.zone, zone) for zone in self._zones]

    def _settings_for(self, model: CountedModel) -> TrackerSettings:
        return TrackerSettings(score=self._score or model.score or TrackerSettings.score)

    def update(self, result: Result, at: float, aspect: float) -> FrameCounts:
        """See `CameraCounter.update`."""
        if not isinstance(result, Detections):
            raise TypeError(f"expected Detections, got {type(result).__name__}")
        count = len(merge_doubles(result, self._settings.score, self._settings.double_overlap))
        tracks = self._tracker.update(result, at, aspect) if self._lines or self._zones else ()
        crossings = tuple(crossing for line in self._lines for crossing in line.update(tracks, at))
        zones = {zone.zone.name: zone.update(tracks, at) for zone in self._zones}
        return FrameCounts(
            count=float(count),
            zones={name: seen.present for name, seen in zones.items()},
            visits={name: seen.visits for name, seen in zones.items()},
            stays={name: seen.stays for name, seen in zones.items() if seen.stays},
            crossings=crossings,
            tracks=tracks,
        )
