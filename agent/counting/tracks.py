"""A track: what the tracker tells about one thing, and what it keeps of it."""

from __future__ import annotations

from dataclasses import dataclass

from agent.counting.boxes import Box
from agent.counting.motion import Motion
from agent.counting.sightings import Sighting

_SMALLEST = 1e-3  # picture heights: a box without area still has a size


@dataclass(frozen=True)
class Track:
    """One thing that is followed, at one moment.

    Args:
        track_id: its number, never given again by its tracker.
        box: as detected where the frame shows it, else where it is expected (that may reach beyond the picture).
        label: index into the model's labels: what most of its detections said, weighed by score.
        score: of its last detection.
        confirmed: seen often enough to be believed; stays so.
        hits: how many frames showed it.
        age: seconds since it was first seen.
        unseen: seconds since it was last seen.
        seen_now: whether this frame shows it.
    """

    track_id: int
    box: Box
    label: int
    score: float
    confirmed: bool
    hits: int
    age: float
    unseen: float
    seen_now: bool


class Followed:
    """A track as the tracker keeps it; times in monotonic seconds.

    Args:
        track_id: its number.
        sighting: the first.
        at: when that was.
        aspect: width over height of the picture.
        confirmed: whether it is believed at once.
    """

    __slots__ = (
        "aspect",
        "born",
        "box",
        "coasted",
        "confirmed",
        "hits",
        "misses",
        "motion",
        "score",
        "seen_at",
        "seen_now",
        "track_id",
        "votes",
    )

    def __init__(self, track_id: int, sighting: Sighting, at: float, aspect: float, *, confirmed: bool) -> None:
        self.track_id = track_id
        self.aspect = aspect
        self.motion = Motion(*centre_and_size(sighting.box, aspect))
        self.box, self.score = sighting.box, sighting.score
        self.votes = dict(sighting.votes)
        self.hits, self.confirmed = 1, confirmed
        self.born = self.seen_at = at
        self.seen_now, self.misses, self.coasted = True, 0, 0.0

    def predict(self, seconds: float) -> None:
        """Move on to the next frame, ``seconds`` later; unseen there as yet."""
        self.motion.predict(seconds)
        self.misses = 0 if self.seen_now else self.misses + 1
        self.coasted += self.motion.speed * seconds if self.misses else 0.0
        self.seen_now = False

    def see(self, sighting: Sighting, at: float, confirm_hits: int) -> None:
        """Take in a sighting of this frame."""
        self.motion.correct(*centre_and_size(sighting.box, self.aspect))
        self.box, self.score = sighting.box, sighting.score
        for label, weight in sighting.votes.items():
            self.votes[label] = self.votes.get(label, 0.0) + weight
        self.hits += 1
        self.confirmed = self.confirmed or self.hits >= confirm_hits
        self.seen_at, self.seen_now, self.coasted = at, True, 0.0

    @property
    def label(self) -> int:
        """What most of its detections said, weighed by score; the lower index of equals."""
        return max(self.votes, key=lambda label: (self.votes[label], -label))

    @property
    def expected(self) -> Box:
        """The box that it had last, where it should be now."""
        x1, y1, x2, y2 = self.box
        x, y = self.motion.x / self.aspect, self.motion.y
        half_width, half_height = (x2 - x1) / 2, (y2 - y1) / 2
        return x - half_width, y - half_height, x + half_width, y + half_height

    @property
    def left_picture(self) -> bool:
        """Whether this frame does not show it, and it is expected outside."""
        inside = 0.0 <= self.motion.x <= self.aspect and 0.0 <= self.motion.y <= 1.0
        return not self.seen_now and not inside

    def as_track(self, at: float) -> Track:
        """What the world is told."""
        return Track(
            track_id=self.track_id,
            box=self.box if self.seen_now else self.expected,
            label=self.label,
            score=self.score,
            confirmed=self.confirmed,
            hits=self.hits,
            age=at - self.born,
            unseen=at - self.seen_at,
            seen_now=self.seen_now,
        )


def centre_and_size(box: Box, aspect: float) -> tuple[float, float, float]:
    """Centre x and y, and the side of the square of the same area: all in picture heights."""
    x1, y1, x2, y2 = box
    area = max(0.0, x2 - x1) * aspect * max(0.0, y2 - y1)
    return (x1 + x2) / 2 * aspect, (y1 + y2) / 2, max(area**0.5, _SMALLEST)
