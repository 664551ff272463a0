"""How well sightings fit tracks: the costs that the tracker's assignment minimises."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agent.counting.assignment import Costs
from agent.counting.boxes import overlap
from agent.counting.sightings import Sighting
from agent.counting.tracks import Followed, centre_and_size

ALONE = 1.3
"""What it costs to leave a track without a sighting: more than any pair that is allowed, so that a track rather
moves far than dies and is born again."""

_FARTHEST_NEW = 2.5
"""Sizes, beyond `_NEAR`, within which a thing is looked for that was seen but once, so that its velocity is not known;
farther, the next in the queue is as likely as this one."""

_FARTHEST = 1.0
"""The same for one whose velocity is known; what is farther from where it should be is another thing."""

_COASTED = 0.35
"""Added to that, of the way that it was expected to go unseen: perspective alone makes it longer by about that."""

_SURE = 3.0  # standard deviations of the prediction
_NEAR = 0.5  # sizes added to that: a box that loses half of itself behind something moves its centre by a quarter
_CHANGES = 0.15  # by area, from one sighting to the next; less alike is another thing
_OVERLAP, _DISTANCE, _SHAPE, _LABEL, _LOST = 0.4, 0.4, 0.2, 0.1, 0.1  # weights; their sum is below ALONE


def motion_costs(followed: Sequence[Followed], sightings: Sequence[Sighting]) -> Costs:
    """Cost ``(n, m)`` of giving each track each sighting, infinite where it cannot be the same thing.

    Overlap alone, as in SORT and ByteTrack, loses what moves by more than its own size between two frames; so a pair
    is allowed by distance, up to the prediction's uncertainty, and overlap only makes it cheaper.
    """
    aspect = followed[0].aspect
    seen = np.array([centre_and_size(sighting.box, aspect) for sighting in sightings])
    motions = [one.motion for one in followed]
    expected = np.array([(motion.x, motion.y) for motion in motions])
    own = np.array([motion.size for motion in motions])[:, None]
    unsure = np.array([motion.uncertainty for motion in motions])[:, None]
    size = np.sqrt(own * seen[None, :, 2])
    reach = _NEAR * size + np.minimum(_farthest(followed)[:, None] * size + _coasted(followed), _SURE * unsure)
    away = np.linalg.norm(expected[:, None, :] - seen[None, :, :2], axis=2) / reach
    alike = (np.minimum(own, seen[None, :, 2]) / np.maximum(own, seen[None, :, 2])) ** 2
    costs = _OVERLAP * (1 - overlap(_expected(followed), _boxes(sightings))) + _DISTANCE * away + _SHAPE * (1 - alike)
    costs += _LABEL * _differs(followed, sightings)
    costs += _LOST * np.array([one.misses > 0 for one in followed])[:, None]
    return np.where((away <= 1.0) & (alike >= _CHANGES), costs, np.inf)


def _farthest(followed: Sequence[Followed]) -> Costs:
    """Sizes beyond `_NEAR` within which each is looked for, ``(n,)``."""
    return np.array([_FARTHEST if one.hits > 1 else _FARTHEST_NEW for one in followed])


def _coasted(followed: Sequence[Followed]) -> Costs:
    """What is added to that for the way each has gone unseen, ``(n, 1)``, in picture heights."""
    return _COASTED * np.array([[one.coasted] for one in followed])


def overlap_costs(followed: Sequence[Followed], sightings: Sequence[Sighting], least: float) -> Costs:
    """Cost ``(n, m)`` by overlap with the expected place alone, infinite below ``least``."""
    shared = overlap(_expected(followed), _boxes(sightings))
    return np.where(shared >= least, 1 - shared, np.inf)


def _expected(followed: Sequence[Followed]) -> Costs:
    return np.array([one.expected for one in followed])


def _boxes(sightings: Sequence[Sighting]) -> Costs:
    return np.array([sighting.box for sighting in sightings])


def _differs(followed: Sequence[Followed], sightings: Sequence[Sighting]) -> Costs:
    """1.0 where the labels differ, else 0.0."""
    given = np.array([sighting.label for sighting in sightings])
    voted = np.array([one.label for one in followed])
    return np.where(voted[:, None] == given[None, :], 0.0, 1.0)
