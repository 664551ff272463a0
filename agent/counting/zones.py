"""How many are in a zone: tracks whose anchor is inside, or the part of a density map that it covers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.counting.boxes import anchor_point
from agent.counting.tracks import Track
from contracts.config import Point, ZoneConfig

GRACE_SECONDS = 0.5
"""How long an unseen track still counts as present where it is expected: a flickering detection makes no dip."""

DWELL_SECONDS = 1.0
"""How long a track must be in a zone to have visited it; what only passes a corner has not."""

AWAY_SECONDS = 2.0
"""How long a track may be outside, or unseen, without beginning its stay anew."""


@dataclass
class _Stay:
    """A track's time in the zone: monotonic seconds since when and until when, and whether it was counted."""

    since: float
    until: float
    counted: bool = False


class ZoneCounter:
    """Counts the tracks in one zone; remembers nothing of tracks that are gone.

    Args:
        zone: where it lies and what it counts.
        labels: the model's labels.
        dwell_seconds: how long a stay must last to be a visit.
    """

    def __init__(self, zone: ZoneConfig, labels: Sequence[str], dwell_seconds: float = DWELL_SECONDS) -> None:
        self.zone = zone
        self._wanted = {i for i, label in enumerate(labels) if not zone.labels or label in zone.labels}
        self._dwell = dwell_seconds
        self._stays: dict[int, _Stay] = {}

    def update(self, tracks: Iterable[Track], at: float) -> tuple[float, int]:
        """Take in one frame's tracks.

        Args:
            tracks: all that the tracker gave, unseen ones too.
            at: monotonic seconds of the frame.

        Returns:
            How many are in the zone now: confirmed tracks with their anchor inside, seen or unseen for no more than
            `GRACE_SECONDS`. And how many visits became certain in this frame: a track visits a zone once while it is
            followed, however often it comes back.
        """
        present = visits = 0
        followed = set()
        for track in tracks:
            followed.add(track.track_id)
            if track.label in self._wanted and self._is_inside(track):
                present += track.confirmed and track.unseen <= GRACE_SECONDS
                visits += track.seen_now and self._stays_on(track, at)
        for track_id in self._stays.keys() - followed:
            del self._stays[track_id]
        return float(present), visits

    def _is_inside(self, track: Track) -> bool:
        return contains(self.zone.polygon, anchor_point(track.box, self.zone.anchor))

    def _stays_on(self, track: Track, at: float) -> bool:
        """Note that a track is in the zone; tell whether it became a visit just now."""
        stay = self._stays.setdefault(track.track_id, _Stay(at, at))
        if at - stay.until > AWAY_SECONDS:
            stay.since = at
        stay.until = at
        if stay.counted or not track.confirmed or at - stay.since < self._dwell:
            return False
        stay.counted = True
        return True


def contains(polygon: Sequence[Point], point: Point) -> bool:
    """Whether a point is inside a polygon: a ray to its right crosses the edges an odd number of times.

    Edges own their lower x and y ends, so that zones that share an edge never both hold a point on it.
    """
    x, y = point
    inside = False
    for (x1, y1), (x2, y2) in zip(polygon, (*polygon[1:], polygon[0]), strict=True):
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) / (y2 - y1) * (x2 - x1):
            inside = not inside
    return inside
