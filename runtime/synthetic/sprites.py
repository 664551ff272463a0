"""Vehicle pictures painted once per kind, lane and distance step, then scaled and coloured into the frame."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from runtime.synthetic.bodies import View, paint_color, paint_vehicle
from runtime.synthetic.canvas import Canvas, Color
from runtime.synthetic.scene import LISTED_HEIGHT, Rect, Scene
from runtime.synthetic.settings import RoadSettings
from runtime.synthetic.traffic import Body
from runtime.synthetic.truth import Placed

DARKEST, BRIGHTEST = 14, 241  # grey levels that leave room for noise, which may then be added without saturation
CACHED_SHAPES = 384
CACHED_SPRITES = 192
MAX_SPRITE_PIXELS = 60_000  # of 10 bytes; the nearest vehicles of large pictures are scaled up a little
MAX_SPRITE_SHARE = 0.14  # of the picture
FARTHEST_STEP = 2000.0  # metres
STEP = 1.2  # ratio between neighbouring distance steps
FADE_UNTIL = 0.019  # of the picture's height: from here down to the smallest listed, vehicles dissolve in haze
NEAREST_PAINTED = 0.42  # of the distance at which the roof leaves the picture: nearer parts are never seen
MARGIN_DAY = (0.22, 0.03, 0.22, 0.1)  # room around the box for shadow: left, top, right, bottom, in box sizes
MARGIN_NIGHT = (0.5, 0.25, 0.5, 0.6)  # and for glow


@dataclass(frozen=True)
class Sprite:
    """A picture with transparency.

    Attributes:
        light: uint8 (height, width, 4): blue, green, red and share of paint, weighted by how much they cover.
        rest: uint16 (height, width, 3): how much of what lies beneath still shows, in 1/256.
        upper: Share of the vehicle's window that it shows, from the top; the rest is always below the picture.
    """

    light: NDArray[np.uint8]
    rest: NDArray[np.uint16]
    upper: float = 1.0

    def part(self, rows: slice | NDArray[np.int64], columns: slice | NDArray[np.int64]) -> Sprite:
        """Some rows and columns of it."""
        # As one word a pixel, NumPy gathers several times faster than as four bytes.
        words = self.light.view(np.uint32)[..., 0][rows][:, columns]
        return Sprite(words[..., None].view(np.uint8), self.rest[rows][:, columns], self.upper)

    def painted(self, color: Color) -> Sprite:
        """The same with the paint in one colour (blue, green, red, 0..255)."""
        light = self.light.copy()
        share = self.light[..., 3].astype(np.uint16)
        for channel, value in enumerate(color):
            light[..., channel] += ((share * np.uint16(value) + np.uint16(128)) >> 8).astype(np.uint8)
        return Sprite(light, self.rest, self.upper)


def make_sprite(canvas: Canvas) -> Sprite:
    """Turn a painted canvas into a sprite."""
    cover = np.clip(canvas.alpha, 0.0, 1.0)
    share = (cover * 256.0 + 0.5).astype(np.uint16)
    paint = canvas.layers[..., 3:4]
    color = np.clip(canvas.color, np.maximum(cover - paint / 255.0, 0.0) * DARKEST, cover * BRIGHTEST)
    light = np.concatenate((color, np.clip(paint, 0.0, 255.0)), axis=-1)
    rest = np.ascontiguousarray(np.broadcast_to(256 - share, canvas.color.shape), dtype=np.uint16)
    return Sprite((light + 0.5).astype(np.uint8), rest)


def blend(frame: NDArray[np.uint8], light: NDArray[np.uint8], rest: NDArray[np.uint16]) -> None:
    """Lay a sprite's pixels over the part of a frame that has the same shape."""
    mixed = np.multiply(frame, rest, dtype=np.uint16)
    mixed += 128
    mixed >>= 8
    np.add(mixed, light, out=frame, casting="unsafe")


def _steps() -> list[float]:
    """Distances in metres at which the next sprite is taken."""
    steps = [1.5]
    while steps[-1] < FARTHEST_STEP:
        steps.append(steps[-1] * STEP)
    return steps


STEPS = _steps()


class VehicleSprites:
    """Draws vehicles into frames.

    Args:
        settings: Picture size and hour.
        scene: Camera and lanes.
    """

    def __init__(self, settings: RoadSettings, scene: Scene) -> None:
        self._settings = settings
        self._scene = scene
        self._margin = MARGIN_NIGHT if settings.night else MARGIN_DAY
        self._shape = lru_cache(maxsize=CACHED_SHAPES)(self._paint)
        self._sprite = lru_cache(maxsize=CACHED_SPRITES)(self._in_color)

    def cached(self) -> tuple[int, int]:
        """How many shapes and painted sprites are in memory, at most `CACHED_SHAPES` and `CACHED_SPRITES`."""
        return self._shape.cache_info().currsize, self._sprite.cache_info().currsize

    def draw(self, frame: NDArray[np.uint8], vehicle: Placed) -> Rect:
        """Draw one vehicle; returns the part of the picture touched, in pixels (x1, y1, x2, y2)."""
        trip = vehicle.trip
        lane = self._scene.lanes[trip.lane]
        floor = NEAREST_PAINTED * self._scene.camera.nearest(trip.body.height)
        near = max(vehicle.near, floor)
        length = trip.body.length if near == vehicle.near else max(1.0, float(round(vehicle.far - near)))
        step = bisect_right(STEPS, near) - 1
        sprite = self._sprite(paint_color(trip.body, trip.paint), trip.body, trip.lane, step, length)
        view = View(
            self._scene.camera,
            trip.body,
            lane.x,
            near,
            vehicle.far - near,
            lane.direction == "towards",
            self._settings.night,
        )
        fade = (vehicle.box[3] - vehicle.box[1] - LISTED_HEIGHT) / (FADE_UNTIL - LISTED_HEIGHT)
        window = _grow(outline(view), self._margin)
        return _scale_into(frame, sprite, _upper(window, sprite.upper), fade)

    def _in_color(self, color: Color, body: Body, lane_number: int, step: int, length: float) -> Sprite:
        """A shape with its paint in one colour."""
        return self._shape(body, lane_number, step, length).painted(color)

    def _paint(self, body: Body, lane_number: int, step: int, length: float) -> Sprite:
        """Paint the shape of one distance step, as large as its nearest vehicle will need it."""
        lane = self._scene.lanes[lane_number]
        near = STEPS[step] * (1.0 + STEP) / 2
        towards = lane.direction == "towards"
        view = View(self._scene.camera, body, lane.x, near, length, towards, self._settings.night)
        window = _grow(outline(view), self._margin)
        farthest = _grow(outline(replace(view, near=STEPS[step] * STEP)), self._margin)
        upper = max(0.05, min(1.0, (1.02 - farthest[1]) / (farthest[3] - farthest[1])))
        window = _upper(window, upper)
        width = (window[2] - window[0]) * self._settings.width * near / STEPS[step]
        height = (window[3] - window[1]) * self._settings.height * near / STEPS[step]
        most = min(MAX_SPRITE_PIXELS, MAX_SPRITE_SHARE * self._settings.width * self._settings.height)
        shrink = min(1.0, math.sqrt(most / (width * height)))
        canvas = Canvas(max(3, round(width * shrink)), max(3, round(height * shrink)), window)
        paint_vehicle(canvas, view)
        return replace(make_sprite(canvas), upper=upper)


def outline(view: View) -> Rect:
    """The box around a vehicle in 0..1 of the picture."""
    camera, far = view.camera, view.near + view.length
    left, right = view.x - view.body.width / 2, view.x + view.body.width / 2
    return (
        min(camera.u(left, view.near), camera.u(left, far)),
        camera.v(view.body.height, far),
        max(camera.u(right, view.near), camera.u(right, far)),
        camera.v(0.0, view.near),
    )


def _grow(box: Rect, margin: tuple[float, float, float, float]) -> Rect:
    """A box with room around it, in shares of its width and height."""
    width, height = box[2] - box[0], box[3] - box[1]
    return (
        box[0] - margin[0] * width,
        box[1] - margin[1] * height,
        box[2] + margin[2] * width,
        box[3] + margin[3] * height,
    )


def _upper(window: Rect, share: float) -> Rect:
    """The upper part of a window."""
    return window[0], window[1], window[2], window[1] + (window[3] - window[1]) * share


def _scale_into(frame: NDArray[np.uint8], sprite: Sprite, window: Rect, fade: float) -> Rect:
    """Draw a sprite into a window of the picture, nearest pixel; fades below 1 make it transparent."""
    height, width = frame.shape[:2]
    left, source_x = _sampling(window[0] * width, window[2] * width, width, sprite.light.shape[1])
    top, source_y = _sampling(window[1] * height, window[3] * height, height, sprite.light.shape[0])
    right, bottom = left + len(source_x), top + len(source_y)
    if left < right and top < bottom:
        scaled = sprite.part(source_y, source_x)
        light, rest = scaled.light[..., :3], scaled.rest
        if fade < 1.0:
            share = max(0, int(fade * 256.0))
            light = ((light.astype(np.uint16) * share) >> 8).astype(np.uint8)
            rest = (256 - (((256 - rest) * share) >> 8)).astype(np.uint16)
        blend(frame[top:bottom, left:right], light, rest)
    return left, top, right, bottom


def _sampling(start: float, stop: float, limit: int, size: int) -> tuple[int, NDArray[np.int64]]:
    """First pixel of [start, stop) inside [0, limit), and for it and those that follow the sprite's pixel."""
    first, last = max(0, int(start + 0.5)), min(limit, int(stop + 0.5))
    centers = np.arange(first, last) + (0.5 - start)
    source = (centers * (size / (stop - start))).astype(np.int64)
    return first, np.minimum(np.maximum(source, 0), size - 1)
