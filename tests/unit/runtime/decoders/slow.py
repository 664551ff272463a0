"""Decoding once more, box by box in plain Python as the projects describe it, to compare with.

Boxes come as x1, y1, x2, y2 in pixels of the input, with score and label, best first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from tests.unit.runtime.decoders.models import HEIGHT, WIDTH, Thing, cells, ultraface_priors

Rows = NDArray[Any]


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))


def softmax(values: Sequence[float]) -> list[float]:
    powers = [math.exp(value - max(values)) for value in values]
    return [power / sum(powers) for power in powers]


def around(cx: float, cy: float, width: float, height: float) -> tuple[float, float, float, float]:
    return cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2


def overlap(a: Sequence[float], b: Sequence[float]) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union if union > 0 else 0.0


def suppressed(things: Sequence[Thing], iou: float) -> list[Thing]:
    kept: list[Thing] = []
    for thing in sorted(things, key=lambda thing: -thing.score):
        if not any(other.label == thing.label and overlap(other, thing) > iou for other in kept):
            kept.append(thing)
    return kept


def best(values: Sequence[float]) -> tuple[float, int]:
    top = max(values)
    return top, list(values).index(top)


def yolo_anchors(rows: Rows, score: float, *, logits: bool) -> list[Thing]:
    things = []
    for cx, cy, width, height, objectness, *classes in rows.tolist():
        top, label = best([sigmoid(value) for value in classes] if logits else classes)
        total = top * (sigmoid(objectness) if logits else objectness)
        if total >= score:
            things.append(Thing(*around(cx, cy, width, height), total, label))
    return things


def yolo_anchor_free(columns: Rows, score: float, *, logits: bool) -> list[Thing]:
    things = []
    for number in range(columns.shape[1]):
        cx, cy, width, height, *classes = columns[:, number].tolist()
        top, label = best([sigmoid(value) for value in classes] if logits else classes)
        if top >= score:
            things.append(Thing(*around(cx, cy, width, height), top, label))
    return things


def yolo_end_to_end(rows: Rows, score: float) -> list[Thing]:
    things = [Thing(x1, y1, x2, y2, s, int(label)) for x1, y1, x2, y2, s, label in rows.tolist() if s >= score]
    return sorted(things, key=lambda thing: -thing.score)


def yolox(rows: Rows, score: float) -> list[Thing]:
    things = []
    for (x, y, s), (dx, dy, lw, lh, objectness, *classes) in zip(cells((8, 16, 32)), rows.tolist(), strict=True):
        top, label = best(classes)
        if top * objectness >= score:
            box = around((dx + x) * s, (dy + y) * s, math.exp(lw) * s, math.exp(lh) * s)
            things.append(Thing(*box, top * objectness, label))
    return things


def nanodet(rows: Rows, score: float, labels: int, bins: int, origin: float, *, logits: bool) -> list[Thing]:
    things = []
    for (x, y, s), row in zip(cells((8, 16, 32, 64)), rows.tolist(), strict=True):
        top, label = best([sigmoid(value) for value in row[:labels]] if logits else row[:labels])
        if top < score:
            continue
        sides = [row[labels + side * bins : labels + (side + 1) * bins] for side in range(4)]
        left, above, right, below = (sum(i * share for i, share in enumerate(softmax(side))) * s for side in sides)
        px, py = (x + origin) * s, (y + origin) * s
        things.append(Thing(px - left, py - above, px + right, py + below, top, label))
    return things


def detr(logits: Rows, boxes: Rows, score: float, *, activation: str) -> list[Thing]:
    things = []
    for values, (cx, cy, width, height) in zip(logits.tolist(), boxes.tolist(), strict=True):
        chances = softmax(values)[:-1] if activation == "softmax" else [sigmoid(value) for value in values]
        top, label = best(chances)
        if top >= score:
            box = around(cx * WIDTH, cy * HEIGHT, width * WIDTH, height * HEIGHT)
            things.append(Thing(*box, top, label))
    return sorted(things, key=lambda thing: -thing.score)


def ssd_tflite(boxes: Rows, classes: Rows, scores: Rows, count: int, score: float) -> list[Thing]:
    things = []
    for (y1, x1, y2, x2), label, value in list(zip(boxes.tolist(), classes, scores.tolist(), strict=True))[:count]:
        if value >= score:
            things.append(Thing(x1 * WIDTH, y1 * HEIGHT, x2 * WIDTH, y2 * HEIGHT, value, int(label)))
    return sorted(things, key=lambda thing: -thing.score)


def ultraface(scores: Rows, offsets: Rows, score: float) -> list[Thing]:
    things = []
    for (_, value), (dx, dy, lw, lh), prior in zip(scores.tolist(), offsets.tolist(), ultraface_priors(), strict=True):
        if value >= score:
            px, py, pw, ph = prior
            width, height = math.exp(lw * 0.2) * pw, math.exp(lh * 0.2) * ph
            x1, y1, x2, y2 = around(px + dx * 0.1 * pw, py + dy * 0.1 * ph, width, height)
            things.append(Thing(x1 * WIDTH, y1 * HEIGHT, x2 * WIDTH, y2 * HEIGHT, value, 0))
    return things


def yunet(outputs: dict[str, Rows], score: float) -> list[tuple[Thing, list[tuple[float, float]]]]:
    """Faces with their five points in pixels, before suppression."""
    faces = []
    for stride in (8, 16, 32):
        cls, obj, bbox, kps = (outputs[f"{part}_{stride}"][0].tolist() for part in ("cls", "obj", "bbox", "kps"))
        for number, (x, y, _) in enumerate(cells((stride,))):
            total = math.sqrt(min(max(cls[number][0], 0), 1) * min(max(obj[number][0], 0), 1))
            if total >= score:
                dx, dy, lw, lh = bbox[number]
                box = around((x + dx) * stride, (y + dy) * stride, math.exp(lw) * stride, math.exp(lh) * stride)
                pairs = zip(kps[number][::2], kps[number][1::2], strict=True)
                faces.append((Thing(*box, total, 0), [((x + px) * stride, (y + py) * stride) for px, py in pairs]))
    return faces


def pasted(mask: Rows, box: Sequence[float], width: int, height: int) -> list[list[float]]:
    """A mask over its box, looked up bilinearly at each pixel's centre; zeros around it."""
    rows, columns = mask.shape

    def at(row: int, column: int) -> float:
        return float(mask[row, column]) if 0 <= row < rows and 0 <= column < columns else 0.0

    picture = []
    for y in range(height):
        v = ((y + 0.5) / height - box[1]) / (box[3] - box[1]) * rows - 0.5
        line = []
        for x in range(width):
            u = ((x + 0.5) / width - box[0]) / (box[2] - box[0]) * columns - 0.5
            left, top = math.floor(u), math.floor(v)
            a, b = u - left, v - top
            line.append(
                (1 - b) * ((1 - a) * at(top, left) + a * at(top, left + 1))
                + b * ((1 - a) * at(top + 1, left) + a * at(top + 1, left + 1))
            )
        picture.append(line)
    return picture
