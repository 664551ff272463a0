"""Counting what crosses a line, once each time it truly does.

A crossing is the passage from clearly one side to clearly the other, over the line's own length. Clearly means beyond
a band on both sides of it, as wide as a share of the thing's box; within the band a box jitters without meaning.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from agent.counting.boxes import Box, anchor_point
from agent.counting.tracks import Track
from contracts.config import LineConfig, Point

Direction = Literal["in", "out"]

_BAND = 0.12
"""Half the band's width, in extents of the box across the line. Boxes of small detectors jitter by 2 to 6 %."""

_BAND_AT_BIRTH = 2 * _BAND
"""The same for a thing that was first seen within the band: its first side may itself be jitter."""

_TRAVEL = 0.5
"""How far, in extents of the box across the line, something must have come since it was first seen, found again or last
counted, for a crossing to be believed: parts that are detected for a moment, and things that stand, do not."""

_FOUND_AGAIN = 0.3
"""Seconds unseen after which a track is on trial again, if it is not where it was expected: it may have been found on
another thing."""

_AS_EXPECTED = 0.75  # extents of the box across the line

_GOES_ON = 0.4
"""What came over the line in its first step ever must go on at this share of that speed: two parts of something large
that were taken for one small thing do not."""

_LEAST_EXTENT = 0.02  # of the picture; smaller boxes jitter by more than their share


@dataclass(frozen=True)
class Crossing:
    """One thing crossed a line.

    Args:
        line: the line's name.
        direction: ``in`` is from the line's left to its right, looking from its start to its end.
        label: what the track was voted to be by then; a later change of mind alters no count.
        track_id: which track.
        at: monotonic seconds of the frame in which it became certain.
    """

    line: str
    direction: Direction
    label: str
    track_id: int
    at: float


@dataclass
class _Passage:
    """What is known of one track and the line.

    Args:
        right: the side that it is known to have been on.
        settled: whether it was there beyond the band, not only first seen there.
        value: of the last sighting, see `_Straight.value`.
        point: anchor of the last sighting.
        track: as it was at the last sighting.
        at: monotonic seconds of the last sighting.
        expected: value of where it was expected when it was last missed.
        origin: value where it was first seen, found again or last counted.
        has_travelled: whether it came far enough from there.
        sightings: how many were on that side.
        leap: change of value a second when it came beyond the band, if that was the first step it was seen to take.
        is_beyond: whether the last sighting was the first one beyond the band on the other side.
        over_line: whether it last changed sides within the line's length.
        owed: crossings not yet believed, all in one direction.
    """

    right: bool
    settled: bool
    value: float
    point: Point
    track: Track
    at: float
    expected: float
    origin: float
    has_travelled: bool = False
    sightings: int = 1
    leap: float = 0.0
    is_beyond: bool = False
    over_line: bool = False
    owed: list[Direction] = field(default_factory=list)


class LineCounter:
    """Counts the crossings of one line; remembers nothing of tracks that are gone.

    Args:
        line: where it lies and what it counts.
        labels: the model's labels.
    """

    def __init__(self, line: LineConfig, labels: Sequence[str]) -> None:
        self.line = line
        self._labels = tuple(labels)
        self._straight = _Straight(line.start, line.end)
        self._passages: dict[int, _Passage] = {}

    def update(self, tracks: Iterable[Track], at: float) -> list[Crossing]:
        """Take in one frame's tracks.

        A track that ends within the band, having come over the line from beyond it, has crossed: it left the picture
        or was lost there, and will not be seen to go on.

        Args:
            tracks: all that the tracker gave, unseen ones too.
            at: monotonic seconds of the frame.

        Returns:
            The crossings that became certain in this frame, of the labels that the line counts.
        """
        found: list[Crossing] = []
        present = set()
        for track in tracks:
            present.add(track.track_id)
            if track.seen_now:
                found += self._follow(track, at)
            elif track.track_id in self._passages:
                self._passages[track.track_id].expected = self._value(track)
        for track_id in self._passages.keys() - present:
            found += self._end(self._passages.pop(track_id), at)
        return found

    def _value(self, track: Track) -> float:
        return self._straight.value(anchor_point(track.box, self.line.anchor))

    def _follow(self, track: Track, at: float) -> list[Crossing]:
        point = anchor_point(track.box, self.line.anchor)
        value = self._straight.value(point)
        extent = self._straight.extent(track.box)
        distance = abs(value) / extent
        passage = self._passages.get(track.track_id)
        if passage is None:
            self._passages[track.track_id] = _Passage(
                value >= 0, distance >= _BAND, value, point, track, at, expected=value, origin=value
            )
            return []
        if at - passage.at > _FOUND_AGAIN and abs(value - passage.expected) > _AS_EXPECTED * extent:
            passage.origin, passage.has_travelled = value, False
        self._advance(passage, point, value, distance, abs(value - passage.value) / max(at - passage.at, 1e-3))
        passage.has_travelled |= abs(value - passage.origin) >= _TRAVEL * extent
        passage.track, passage.at = track, at
        return self._pay(passage, at)

    def _advance(self, passage: _Passage, point: Point, value: float, distance: float, speed: float) -> None:
        """Move a passage on to a new sighting, reached at a speed in values a second."""
        right = value >= 0
        if right != (passage.value >= 0):
            passage.over_line = self._straight.is_within(passage.point, passage.value, point, value)
        if right == passage.right:
            passage.settled |= distance >= _BAND
            passage.is_beyond = False
            passage.sightings += 1
        elif passage.is_beyond:
            self._cross(passage, right=right, counts=speed >= passage.leap * _GOES_ON)
        else:
            passage.leap = speed if passage.sightings == 1 and not passage.owed else 0.0
            passage.is_beyond = distance >= (_BAND if passage.settled else _BAND_AT_BIRTH)
        passage.point, passage.value = point, value

    def _cross(self, passage: _Passage, *, right: bool, counts: bool = True) -> None:
        """It is on the other side for certain."""
        if passage.over_line and counts:
            direction = self._straight.direction(to_right=right)
            if passage.owed and passage.owed[-1] != direction:
                passage.owed.pop()  # back before the first was believed: neither was one
            else:
                passage.owed.append(direction)
        passage.right, passage.settled, passage.is_beyond, passage.sightings = right, True, False, 2

    def _end(self, passage: _Passage, at: float) -> list[Crossing]:
        """The last word on a track that is gone."""
        right = passage.value >= 0
        if right != passage.right and (passage.settled or passage.is_beyond):
            self._cross(passage, right=right)
        return self._pay(passage, at)

    def _pay(self, passage: _Passage, at: float) -> list[Crossing]:
        """Tell what is owed, once the track is believed."""
        track = passage.track
        if not (track.confirmed and passage.has_travelled and passage.owed):
            return []
        owed, passage.owed = passage.owed, []
        passage.origin, passage.has_travelled = passage.value, False
        label = self._labels[track.label]
        if self.line.labels and label not in self.line.labels:
            return []
        return [Crossing(self.line.name, direction, label, track.track_id, at) for direction in owed]


class _Straight:
    """The line's geometry, in 0 to 1 of the picture.

    Sides are told by a value that grows to the right; compared with a box's own extent in it, it does not change with
    the picture's shape. The line is turned so that its smaller end comes first: what lies exactly on it is then on
    one fixed side, and turning the line round swaps in and out and changes nothing else.
    """

    def __init__(self, start: Point, end: Point) -> None:
        self._turned = start > end
        self._start, self._end = (end, start) if self._turned else (start, end)
        self._along = self._end[0] - self._start[0], self._end[1] - self._start[1]

    def value(self, point: Point) -> float:
        """Zero on the line, positive to its right."""
        return self._along[0] * (point[1] - self._start[1]) - self._along[1] * (point[0] - self._start[0])

    def extent(self, box: Box) -> float:
        """How far a box reaches across the line, in units of `value`."""
        width, height = max(box[2] - box[0], _LEAST_EXTENT), max(box[3] - box[1], _LEAST_EXTENT)
        return abs(self._along[0]) * height + abs(self._along[1]) * width

    def is_within(self, one: Point, one_value: float, other: Point, other_value: float) -> bool:
        """Whether the way from one point to another, on different sides, leads over the line between its ends."""
        share = one_value / (one_value - other_value)
        x = one[0] + share * (other[0] - one[0]) - self._start[0]
        y = one[1] + share * (other[1] - one[1]) - self._start[1]
        along_x, along_y = self._along
        return 0.0 <= (x * along_x + y * along_y) / (along_x * along_x + along_y * along_y) <= 1.0

    def direction(self, *, to_right: bool) -> Direction:
        """What a passage to the right (as turned) is for the line as it was written."""
        return "in" if to_right != self._turned else "out"
