"""Pictures of the synthetic road, whose true count is known; for who gives none."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from contracts.model_spec import InputSpec
from converters.pictures.item import Item
from runtime.prepare import Placement, place
from runtime.results import Picture
from runtime.synthetic.settings import MIN_SIDE
from runtime.synthetic_road import RoadSettings, SyntheticRoad

_EVERY = 97  # frames of the road between two pictures, 3.2 s: other vehicles, and no divisor of its 30 fps
_SHAPE = (1920, 1080)  # pixels; what the road would be seen with


def road_items(spec: InputSpec, count: int, seed: int) -> list[Item]:
    """Pictures of one road; another seed is another road."""
    placement = place(spec, *_SHAPE)
    drawn = _drawn(placement, count, seed)
    return [_item(placement, *one) for one in drawn]


def _item(placement: Placement, name: str, index: int, digest: str, picture: Picture, true: float | None) -> Item:
    return Item(f"{name}, frame {index}", digest, lambda _spec: (picture, placement), name, true)


@lru_cache(maxsize=4)
def _drawn(placement: Placement, count: int, seed: int) -> tuple[tuple[str, int, str, Picture, float | None], ...]:
    width, height = max(MIN_SIDE, placement.width), max(MIN_SIDE, placement.height)
    road = SyntheticRoad(RoadSettings(width=width, height=height, seed=seed))
    cut = (width, height) != (placement.width, placement.height)  # vehicles are cut off with it: no truth is known
    drawn = []
    for index in range(0, count * _EVERY, _EVERY):
        picture = road.frame(index)[: placement.height, : placement.width]
        digest = hashlib.sha256(picture.tobytes()).hexdigest()
        drawn.append(
            (f"synthetic road, seed {seed}", index, digest, picture, None if cut else float(road.count(index)))
        )
    return tuple(drawn)
