"""The empty road: sky, land, carriageway, barriers, trees, lamps and what stands in front. Painted once per size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.synthetic.canvas import Canvas, Color, shade
from runtime.synthetic.ground import choose_look, paint_ground
from runtime.synthetic.roadside import paint_lamp_heads, paint_occluder, paint_roadside, street_light
from runtime.synthetic.scene import Kind, Scene
from runtime.synthetic.settings import RoadSettings
from runtime.synthetic.sky import paint_sky
from runtime.synthetic.sprites import BRIGHTEST, DARKEST, blend, make_sprite

NIGHT: Color = (0.27, 0.225, 0.21)  # what is left of daylight, per channel
LAMPLIGHT: Color = (0.26, 0.4, 0.48)  # and what a street lamp adds right below it


@dataclass(frozen=True)
class Piece:
    """An occluder, ready to be laid over a frame.

    Attributes:
        light: uint8 BGR (height, width, 3), weighted by how much it covers.
        rest: uint16 (height, width, 3): how much of what lies beneath still shows, in 1/256.
        left: Its first column in the picture.
        top: Its first row.
    """

    light: NDArray[np.uint8]
    rest: NDArray[np.uint16]
    left: int
    top: int


@dataclass(frozen=True)
class Backdrop:
    """The empty road as uint8 BGR (height, width, 3), and the occluders in it by kind."""

    color: NDArray[np.uint8]
    occluders: dict[Kind, Piece]


def paint_backdrop(settings: RoadSettings, scene: Scene) -> Backdrop:
    """Paint the empty road of one scene at one size."""
    canvas = Canvas(settings.width, settings.height)
    look = choose_look(settings)
    paint_sky(canvas, scene, look)
    paint_ground(canvas, scene, look)
    paint_roadside(canvas, scene, look)
    if settings.night:
        _darken(canvas, street_light(canvas, scene))
        paint_lamp_heads(canvas, scene)
    color = (np.clip(canvas.color, DARKEST, BRIGHTEST) + 0.5).astype(np.uint8)
    pieces: dict[Kind, Piece] = {}
    for thing in scene.occluders:
        layer = Canvas(settings.width, settings.height)
        paint_occluder(layer, thing, look)
        if settings.night:
            layer.layers[..., :3] *= np.array(shade(NIGHT, 1.2), np.float32)
        piece = pieces[thing.kind] = _crop(layer)
        height, width = piece.light.shape[:2]
        blend(color[piece.top : piece.top + height, piece.left : piece.left + width], piece.light, piece.rest)
    return Backdrop(color, pieces)


def _crop(layer: Canvas) -> Piece:
    """Cut a painted layer down to what is not empty."""
    rows = np.flatnonzero((layer.alpha > 0.0).any(axis=(1, 2)))
    columns = np.flatnonzero((layer.alpha > 0.0).any(axis=(0, 2)))
    top, bottom = (int(rows[0]), int(rows[-1]) + 1) if rows.size else (0, 1)
    left, right = (int(columns[0]), int(columns[-1]) + 1) if columns.size else (0, 1)
    part = Canvas(right - left, bottom - top)
    part.layers = layer.layers[top:bottom, left:right]
    sprite = make_sprite(part)
    return Piece(np.ascontiguousarray(sprite.light[..., :3]), sprite.rest, left, top)


def _darken(canvas: Canvas, light: NDArray[np.float32]) -> None:
    """Turn day into night: little of everything, more where `light` (height, width), 0..1, falls."""
    for channel in range(3):
        share = np.float32(NIGHT[channel]) + np.float32(LAMPLIGHT[channel]) * light
        canvas.layers[..., channel] *= share
