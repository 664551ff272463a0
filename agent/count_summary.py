"""What was counted of a source, in all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from agent.counting.frame_counts import FrameCounts
from agent.counting.totals import in_all, tally
from contracts.config import CameraConfig
from contracts.errors import WrittenError

_LEAST_MEAN = 1e-3  # things a frame; below it nothing was counted


@dataclass
class Summary:
    """What was counted.

    Args:
        camera: its lines and zones.
        artifact: what counted.
        each: whether `document` lists every frame.
        questions: of a classifier, by name.
        true: how many there truly are, on average; None where nobody said.
        frames: number in the source and counts, of every frame.
    """

    camera: CameraConfig
    artifact: str
    each: bool
    questions: tuple[str, ...] = ()
    true: float | None = None
    frames: list[tuple[int, FrameCounts]] = field(default_factory=list)

    def document(self) -> dict[str, object]:
        """The summary as plain data; ``count`` is there where no line and no zone was asked for, but for ``states``."""
        document: dict[str, object] = {"frames": len(self.frames), "artifact": self.artifact}
        if self.camera.line:
            document["lines"] = {line.name: self.line(line.name) for line in self.camera.line}
        if self.camera.zone:
            document["zones"] = {zone.name: self.zone(zone.name) for zone in self.camera.zone}
        if self.questions:
            document["states"] = {name: self.states(name) for name in self.questions}
        elif not self.camera.line and not self.camera.zone:
            document["count"] = self.count()
        if self.true is not None:
            document["scale"] = self.scale()
        if self.each:
            document["each"] = [{"frame": number, **_frame(counts)} for number, counts in self.frames]
        return document

    def line(self, name: str) -> dict[str, object]:
        """Crossings of a line."""
        crossed = tally(c for _, counts in self.frames for c in counts.crossings if c.line == name)
        return {"in": in_all(crossed, "in"), "out": in_all(crossed, "out"), "by_label": crossed}

    def zone(self, name: str) -> dict[str, object]:
        """The level of a zone; where the model gives boxes also visits, occupancy, and stays that ended."""
        levels = [counts.zones[name] for _, counts in self.frames]
        if not self.frames or self.frames[0][1].visits is None:
            return {**_level(levels), "visits": None}
        visits = sum((counts.visits or {}).get(name, 0) for _, counts in self.frames)
        stays = [seconds for _, counts in self.frames for seconds in counts.stays.get(name, ())]
        ended = _level(stays)
        dwell = {"n": len(stays), "mean": ended["mean"], "max": ended["max"]}
        occupancy = round(float(np.mean([level >= 1 for level in levels])), 3)
        return {**_level(levels), "visits": visits, "occupancy": occupancy, "dwell": dwell}

    def states(self, question: str) -> dict[str, object]:
        """The last state of a classifier's question, entries by state, and the share of the frames in each."""
        held = Counter(counts.states[question] for _, counts in self.frames)
        changes = [change for _, counts in self.frames for change in counts.changes if change.question == question]
        return {
            "last": self.frames[-1][1].states[question] if self.frames else None,
            "share": {state: round(frames / len(self.frames), 3) for state, frames in held.items()},
            "entries": dict(Counter(change.state for change in changes if change.is_entry)),
        }

    def scale(self) -> float:
        """What a camera's counts have to be multiplied with for the mean that is true.

        Raises:
            WrittenError: nobody said what is true, or nothing was counted.
        """
        mean = float(np.mean([counts.count or 0.0 for _, counts in self.frames]))
        if self.true is None or mean < _LEAST_MEAN:
            raise WrittenError(f"--true needs frames in which something is counted; the mean count is {mean:.3g}")
        return float(f"{self.true / mean:.4g}")

    def count(self) -> Mapping[str, float | None]:
        """The level of the whole picture."""
        return _level([counts.count for _, counts in self.frames if counts.count is not None])


def _frame(counts: FrameCounts) -> dict[str, object]:
    """What one frame gave."""
    if counts.count is None:
        return {"states": dict(counts.states)}
    zones = {name: round(value, 3) for name, value in counts.zones.items()}
    return {"count": round(counts.count, 3), **({"zones": zones} if zones else {})}


def _level(values: list[float]) -> dict[str, float | None]:
    if not values:
        return {"last": None, "mean": None, "max": None}
    return {
        "last": round(values[-1], 3),
        "mean": round(float(np.mean(values)), 3),
        "max": round(max(values), 3),
    }
