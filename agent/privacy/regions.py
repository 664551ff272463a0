"""Where faces, plates and people are, as far as a model that counts tells it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agent.page.ports import Look
from agent.privacy.hiding import Box
from contracts.config import Blurred
from runtime.results import Detections

_PEOPLE = frozenset({"person", "people", "pedestrian", "man", "woman", "child", "rider", "driver", "worker"})
_FACES = frozenset({"face", "head"})
_VEHICLES = frozenset({"vehicle", "car", "truck", "bus", "van", "motorcycle", "motorbike", "taxi", "lorry"})
_PLATES = frozenset({"plate", "license plate", "licence plate", "number plate"})

_HEAD_OF_HEIGHT = 0.2  # of who stands upright: a head is an eighth, with hair, neck and stoop it is more
_HEAD_OF_WIDTH = (
    0.8  # of who is seen from the waist up, sits or lies: a head is as high as the shoulders are wide, almost
)
_PLATE_OF_HEIGHT = 0.5


@dataclass(frozen=True)
class _Part:
    """Which part of a box is hidden.

    Args:
        labels: of the boxes.
        of: the part, of a box and the picture's width over height as the camera sees it.
    """

    labels: frozenset[str]
    of: Callable[[Box, float], Box]


def _whole(box: Box, aspect: float) -> Box:
    del aspect
    return box


def _head(box: Box, aspect: float) -> Box:
    """The upper fifth of who stands; more of a box that is wide for its height."""
    x1, y1, x2, y2 = box
    height = max(_HEAD_OF_HEIGHT * (y2 - y1), _HEAD_OF_WIDTH * (x2 - x1) * aspect)
    return x1, y1, x2, min(y2, y1 + height)


def _lower(box: Box, aspect: float) -> Box:
    del aspect
    x1, y1, x2, y2 = box
    return x1, y2 - _PLATE_OF_HEIGHT * (y2 - y1), x2, y2


_PARTS: Mapping[Blurred, Sequence[_Part]] = {
    "faces": (_Part(_PEOPLE, _head), _Part(_FACES, _whole)),
    "plates": (_Part(_VEHICLES, _lower), _Part(_PLATES, _whole)),
    "people": (_Part(_PEOPLE, _whole),),
}


def parts_of(look: Look, what: Blurred) -> list[Box] | None:
    """What is to be hidden of a picture.

    Args:
        look: the picture, and what the model saw in it.
        what: to hide.

    Returns:
        Boxes; None where the model does not tell: it was not asked, gives no boxes, or knows none of these things.
    """
    found = look.result
    if not isinstance(found, Detections):
        return None
    names = [label.lower().replace("-", " ").replace("_", " ") for label in look.labels]
    parts = [part for part in _PARTS[what] if not part.labels.isdisjoint(names)]
    if not parts:
        return None
    hidden = []
    for values, label in zip(found.boxes, found.class_ids, strict=True):
        x1, y1, x2, y2 = (float(value) for value in values)
        name = names[int(label)] if 0 <= int(label) < len(names) else ""
        hidden += [part.of((x1, y1, x2, y2), look.aspect) for part in parts if name in part.labels]
    return hidden
