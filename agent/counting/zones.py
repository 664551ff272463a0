"""How many are in a zone: tracks whose anchor is inside, or the part of a density map that it covers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from agent.counting.boxes import anchor_point
from agent.counting.tracks import Track
from contracts.config import Point, ZoneConfig

GRACE_SECONDS = 0.5
"""How long an unseen track still counts as present where it is expected: a flickering detection makes no dip."""

DWELL_SECONDS = 1.0
"""How long a track must be in a zone to have visited it; what only passes a corner has not."""

AWAY_SECONDS = 2.0
"""How long a track may be outside, or unseen, without beginning its stay anew."""


class ZoneSeen(NamedTuple):
    """What one frame adds to a zone.

    Args:
        present: how many are in it now: confirmed tracks with their anchor inside, seen or unseen for no more than
            `GRACE_SECONDS`.
        visits: how many became certain: a track visits a zone once while it is followed, however often it comes back.
        stays: seconds of each stay that ended, of those that lasted long enough for a visit. Who was away for more
            than `AWAY_SECONDS` and comes back begins another stay, so the sum is the time that they were in the zone.
    """

    present: float
    visits: int
    stays: tuple[float, ...]


@dataclass
class _Stay:
    """A track's time in the zone: monotonic seconds since when and until when.

    Args:
        since: when it came, monotonic seconds.
        until: when it was last seen there.
        believed: whether the track is.
        visited: whether the visit was counted.
        told: whether the stay was said to have ended.
    """

    since: float
    until: float
    believed: bool = False
    visited: bool = False
    told: bool = False


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

    def update(self, tracks: Iterable[Track], at: float) -> ZoneSeen:
        """Take in one frame's tracks.

        Args:
            tracks: all that the tracker gave, unseen ones too.
            at: monotonic seconds of the frame.
        """
        tracks = tuple(tracks)
        stays = tuple(self._ended({track.track_id for track in tracks}, at))
        present = visits = 0
        for track in tracks:
            if track.label in self._wanted and self._is_inside(track):
                present += track.confirmed and track.unseen <= GRACE_SECONDS
                visits += track.seen_now and self._stays_on(track, at)
        return ZoneSeen(float(present), visits, stays)

    def _is_inside(self, track: Track) -> bool:
        return contains(self.zone.polygon, anchor_point(track.box, self.zone.anchor))

    def _stays_on(self, track: Track, at: float) -> bool:
        """Note that a track is in the zone; tell whether it became a visit just now."""
        stay = self._stays.setdefault(track.track_id, _Stay(at, at))
        if at - stay.until > AWAY_SECONDS:
            stay.since, stay.told = at, False
        stay.until, stay.believed = at, track.confirmed
        if stay.visited or not self._is_visit(stay):
            return False
        stay.visited = True
        return True

    def _is_visit(self, stay: _Stay) -> bool:
        return stay.believed and stay.until - stay.since >= self._dwell

    def _ended(self, followed: set[int], at: float) -> list[float]:
        """Seconds of the stays that ended; of tracks that are gone nothing is kept."""
        found = []
        for track_id, stay in list(self._stays.items()):
            if track_id in followed and at - stay.until <= AWAY_SECONDS:
                continue
            if self._is_visit(stay) and not stay.told:
                found.append(stay.until - stay.since)
            stay.told = True
            if track_id not in followed:
                del self._stays[track_id]
        return found


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
