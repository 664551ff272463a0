"""Following things from frame to frame, so that each is counted once.

Two-stage association as in ByteTrack (Zhang et al. 2022): strong detections first, then weak ones for what is still
missed. Unlike there, things are matched by overlap *and* distance, so that a small or fast thing whose boxes do not
overlap from frame to frame is still followed; and every limit is in real seconds, so that nothing hangs on the rate.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from agent.counting.assignment import assign
from agent.counting.association import ALONE, motion_costs, overlap_costs
from agent.counting.sightings import Sighting, merge_doubles
from agent.counting.tracks import Followed, Track
from runtime.results import Detections


@dataclass(frozen=True)
class TrackerSettings:
    """How things are followed.

    Args:
        score: a detection of at least this begins a track; weaker ones only keep one alive.
        weak_share: detections below ``score`` times this are ignored.
        confirm_hits: sightings after which a track is believed.
        lost_seconds: how long an unseen track is kept, to be found again under its number.
        tentative_seconds: the same before it is believed.
        tentative_misses: frames that may miss it before it is believed; at a high rate this comes first.
        weak_overlap: how much a weak detection must overlap the place where a track is expected.
        double_overlap: two detections of different labels that overlap more than this are one thing.
        max_tracks: tracks kept at once; the one unseen for longest makes room.
    """

    score: float = 0.3
    weak_share: float = 0.5
    confirm_hits: int = 3
    lost_seconds: float = 1.5
    tentative_seconds: float = 0.7
    tentative_misses: int = 1
    weak_overlap: float = 0.5
    double_overlap: float = 0.7
    max_tracks: int = 256


class Tracker:
    """Follows the things of one camera.

    Args:
        settings: how; the defaults where None.
    """

    def __init__(self, settings: TrackerSettings | None = None) -> None:
        self.settings = settings or TrackerSettings()
        self._followed: list[Followed] = []
        self._next_id = 1
        self._at: float | None = None

    def update(self, detections: Detections, at: float, aspect: float) -> tuple[Track, ...]:
        """Take in one frame.

        In a first frame, and in one that comes after more than ``lost_seconds``, tracks are believed at once: so a
        single picture or a time lapse shows what is there.

        Args:
            detections: of the frame, those too weak to begin a track included where the decoder gives them.
            at: when it was taken, in monotonic seconds; earlier than the last is taken as the last.
            aspect: width over height of the picture; another one than before forgets all tracks.

        Returns:
            All tracks by number, those too that the frame does not show.
        """
        afresh, now = self._move_to(at, aspect)
        settings = self.settings
        sightings = merge_doubles(detections, settings.score * settings.weak_share, settings.double_overlap)
        strong = [sighting for sighting in sightings if sighting.score >= settings.score]
        new = self._give_strong(strong, now)
        self._give_weak([sighting for sighting in sightings if sighting.score < settings.score], now)
        self._followed = [one for one in self._followed if not one.left_picture]
        for sighting in new[: self._room(len(new))]:
            self._followed.append(Followed(self._next_id, sighting, now, aspect, confirmed=afresh))
            self._next_id += 1
        return tuple(one.as_track(now) for one in self._followed)

    def _move_to(self, at: float, aspect: float) -> tuple[bool, float]:
        """Expect everything where it is now; tell whether nothing is known of before, and the time."""
        last = at if self._at is None else self._at
        now = max(at, last)
        afresh = self._at is None or now - last > self.settings.lost_seconds
        self._at = now
        self._followed = [one for one in self._followed if one.aspect == aspect and not self._is_lost(one, now)]
        for one in self._followed:
            one.predict(now - last)
        return afresh, now

    def _is_lost(self, one: Followed, now: float) -> bool:
        if one.confirmed:
            return now - one.seen_at > self.settings.lost_seconds
        missed = one.misses + (not one.seen_now)
        return missed > self.settings.tentative_misses or now - one.seen_at > self.settings.tentative_seconds

    def _give_strong(self, sightings: list[Sighting], now: float) -> list[Sighting]:
        """Give strong sightings to tracks; return those that are left."""
        if not self._followed or not sightings:
            return sightings
        pairs = assign(motion_costs(self._followed, sightings), ALONE)
        self._see(self._followed, sightings, pairs, now)
        given = {column for _, column in pairs}
        return [sighting for column, sighting in enumerate(sightings) if column not in given]

    def _give_weak(self, sightings: list[Sighting], now: float) -> None:
        """Give weak sightings to tracks that are believed and were not seen."""
        missed = [one for one in self._followed if one.confirmed and not one.seen_now]
        if missed and sightings:
            pairs = assign(overlap_costs(missed, sightings, self.settings.weak_overlap), ALONE)
            self._see(missed, sightings, pairs, now)

    def _see(
        self, followed: list[Followed], sightings: list[Sighting], pairs: Collection[tuple[int, int]], now: float
    ) -> None:
        for row, column in pairs:
            followed[row].see(sightings[column], now, self.settings.confirm_hits)

    def _room(self, wanted: int) -> int:
        """How many tracks can begin, after the ones unseen for longest have made room."""
        unseen = sorted((one for one in self._followed if not one.seen_now), key=lambda one: one.seen_at)
        too_many = len(self._followed) + wanted - self.settings.max_tracks
        gone = {one.track_id for one in unseen[: max(0, too_many)]}
        self._followed = [one for one in self._followed if one.track_id not in gone]
        return self.settings.max_tracks - len(self._followed)
