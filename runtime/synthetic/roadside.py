"""What stands beside and in front of the road: barriers, trees, street lamps, and the occluders."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from runtime.synthetic.canvas import Canvas, Color, Layer, mix, shade
from runtime.synthetic.ground import CONCRETE, HAZE, Look
from runtime.synthetic.scene import Occluder, Rect, Scene, between, chance, generator

STEEL: Color = (168, 172, 174)
LAMP_SPACING = 38.0
LAMP_HEIGHT = 8.5
FARTHEST = 420.0  # metres; beyond, the roadside is too small to see
SIGN_COLORS: tuple[Color, ...] = ((150, 80, 20), (80, 110, 20), (40, 38, 36))


def paint_roadside(canvas: Canvas, scene: Scene, look: Look) -> None:
    """Paint from far to near: trees, lamps, guard rails; then the barrier between the directions."""
    rng = generator(look.settings, 7)
    nearest = scene.camera.nearest(0.0)
    trees = [(between(rng, nearest * 0.7, FARTHEST), chance(rng, 0.5), rng.random()) for _ in range(70)]
    for z, on_left, aside in sorted(trees, reverse=True):
        away = 5.0 + 26.0 * aside
        x = scene.left - away if on_left else scene.right + away
        _paint_tree(canvas, scene, look, (x, z), rng)
    for side, edge in ((-1, scene.left), (1, scene.right)):
        _paint_wall(canvas, scene, edge + side * 0.5, (0.45, 0.75), STEEL)
        _paint_posts(canvas, scene, edge + side * 0.5)
        _paint_lamps(canvas, scene, edge, side)
    if scene.median is not None:
        _paint_wall(canvas, scene, scene.median, (0.0, 0.8), CONCRETE)


def street_light(canvas: Canvas, scene: Scene) -> Layer:
    """How much lamplight falls on each pixel of the empty road, 0..1: (height, width)."""
    light = Canvas(canvas.width, canvas.height)
    camera = scene.camera
    for z in _lamp_distances(scene):
        for x in (scene.left + 2.0, scene.right - 2.0):
            radius = 8.5 * camera.focal / z, 9.0 * camera.drop * camera.height / (z * z)
            light.ellipse((camera.u(x, z), camera.v(0.0, z)), radius, (255, 255, 255), 0.8, soft=True)
    return light.color[..., 0] / np.float32(255.0)


def paint_lamp_heads(canvas: Canvas, scene: Scene) -> None:
    """The burning street lamps themselves."""
    camera = scene.camera
    for z in _lamp_distances(scene):
        for x in (scene.left + 1.6, scene.right - 1.6):
            for radius, color, opacity in ((1.3, (70, 130, 165), 0.5), (0.45, (190, 232, 250), 1.0)):
                size = radius * camera.focal / z, radius * 0.8 * camera.drop / z
                canvas.ellipse((camera.u(x, z), camera.v(LAMP_HEIGHT, z)), size, color, opacity, soft=True)


def _lamp_distances(scene: Scene) -> list[float]:
    """Where the street lamps stand, far to near, in metres."""
    start = scene.camera.nearest(0.0) * 1.1
    return [start + LAMP_SPACING * number for number in range(int(FARTHEST / LAMP_SPACING), -1, -1)]


def _hazy(color: Color, z: float) -> Color:
    """A colour seen through `z` metres of air."""
    return mix(color, HAZE, min(0.6, z / 700.0))


def _paint_wall(canvas: Canvas, scene: Scene, x: float, y: tuple[float, float], color: Color) -> None:
    """An upright band along the whole road, between two heights in metres."""
    camera = scene.camera
    z = camera.nearest(y[1]) * 0.8
    steps = [z]
    while steps[-1] < FARTHEST * 2:
        steps.append(steps[-1] * 1.12)
    for near, far in reversed(list(pairwise(steps))):
        corners = [(x, y[0], near), (x, y[1], near), (x, y[1], far), (x, y[0], far)]
        points = [(camera.u(px, pz), camera.v(py, pz)) for px, py, pz in corners]
        canvas.polygon(points, _hazy(color, near), _hazy(shade(color, 0.72), near))
        top = [(x - 0.12, y[1], near), (x + 0.12, y[1], near), (x + 0.12, y[1], far), (x - 0.12, y[1], far)]
        canvas.polygon([(camera.u(px, pz), camera.v(py, pz)) for px, py, pz in top], _hazy(shade(color, 1.12), near))


def _paint_upright(
    canvas: Canvas, scene: Scene, place: tuple[float, float], size: tuple[float, float], color: Color
) -> None:
    """A thin post at (x, z) of (width, height) metres."""
    camera, (x, z), (width, height) = scene.camera, place, size
    left, right = camera.u(x - width / 2, z), camera.u(x + width / 2, z)
    top, bottom = camera.v(height, z), camera.v(0.0, z)
    canvas.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], _hazy(color, z))


def _paint_posts(canvas: Canvas, scene: Scene, x: float) -> None:
    """The posts that carry a guard rail."""
    z = FARTHEST / 2
    while z > scene.camera.nearest(0.0) * 0.8:
        _paint_upright(canvas, scene, (x, z), (0.14, 0.6), shade(STEEL, 0.6))
        z -= 4.0


def _paint_lamps(canvas: Canvas, scene: Scene, edge: float, side: int) -> None:
    """Street lamps behind one guard rail, their arms over the road."""
    camera = scene.camera
    for z in _lamp_distances(scene):
        foot = edge + side * 1.1
        _paint_upright(canvas, scene, (foot, z), (0.2, LAMP_HEIGHT), shade(STEEL, 0.7))
        arm = [
            (foot, LAMP_HEIGHT),
            (edge - side * 2.0, LAMP_HEIGHT),
            (edge - side * 2.0, LAMP_HEIGHT - 0.15),
            (foot, LAMP_HEIGHT - 0.2),
        ]
        canvas.polygon([(camera.u(x, z), camera.v(y, z)) for x, y in arm], _hazy(shade(STEEL, 0.7), z))


def _paint_tree(canvas: Canvas, scene: Scene, look: Look, place: tuple[float, float], rng: np.random.Generator) -> None:
    """A tree or bush at (x, z) metres."""
    camera, (x, z) = scene.camera, place
    height = between(rng, 2.0, 8.0)
    leaf = mix(shade(look.grass, 0.62), (60, 84, 52), 0.5)
    u, ground, top = camera.u(x, z), camera.v(0.0, z), camera.v(height, z)
    canvas.ellipse(
        (u, ground), (height * 0.45 * camera.focal / z, (ground - top) * 0.12), shade(look.grass, 0.4), 0.5, soft=True
    )
    _paint_upright(canvas, scene, place, (0.3, height * 0.6), (50, 62, 74))
    crown = (
        u - height * 0.38 * camera.focal / z,
        top,
        u + height * 0.38 * camera.focal / z,
        ground - (ground - top) * 0.15,
    )
    paint_crown(canvas, crown, _hazy(leaf, z), rng, 16)


def paint_crown(canvas: Canvas, box: Rect, leaf: Color, rng: np.random.Generator, blobs: int) -> None:
    """Foliage that fills a box: blobs, darker below and lighter above."""
    width, height = box[2] - box[0], box[3] - box[1]
    for number in range(blobs):
        x, y = between(rng, -0.32, 0.32), between(rng, -0.32, 0.32)
        size = between(rng, 0.16, 0.3) if number else 0.46
        light = 0.78 - 0.55 * y + 0.25 * rng.random()
        center = box[0] + width * (0.5 + x * (number > 0)), box[1] + height * (0.5 + y * (number > 0))
        canvas.ellipse(center, (width * size, height * size), shade(leaf, light if number else 0.8))


def paint_occluder(canvas: Canvas, thing: Occluder, look: Look) -> None:
    """Paint something that stands in front, so that it covers just the rectangles that the truth says."""
    rng = generator(look.settings, 8)
    if thing.kind == "tree":
        _paint_leaves(canvas, thing.rects, look, rng)
    elif thing.kind == "post":
        _paint_bar(canvas, thing.rects[0], shade(STEEL, 0.62))
    else:
        for rect in thing.rects[2:]:
            _paint_bar(canvas, rect, shade(STEEL, 0.8))
        for rect in thing.rects[:2]:
            _paint_sign(canvas, rect, SIGN_COLORS[int(rng.integers(0, len(SIGN_COLORS)))])


def _corners(rect: Rect) -> list[tuple[float, float]]:
    """The four corners of a rectangle in order."""
    return [(rect[0], rect[1]), (rect[2], rect[1]), (rect[2], rect[3]), (rect[0], rect[3])]


def _paint_bar(canvas: Canvas, rect: Rect, color: Color) -> None:
    """A round bar: lighter along one third."""
    canvas.polygon(_corners(rect), color, shade(color, 0.85))
    width = rect[2] - rect[0]
    canvas.polygon(_corners((rect[0] + width * 0.2, rect[1], rect[0] + width * 0.45, rect[3])), shade(color, 1.3))


def _paint_sign(canvas: Canvas, rect: Rect, color: Color) -> None:
    """A sign panel: white border, lines of lettering."""
    width, height = rect[2] - rect[0], rect[3] - rect[1]
    canvas.polygon(_corners(rect), (226, 228, 228))
    inner = (rect[0] + width * 0.02, rect[1] + height * 0.05, rect[2] - width * 0.02, rect[3] - height * 0.05)
    canvas.polygon(_corners(inner), color)
    for line, (start, stop) in enumerate(((0.1, 0.6), (0.1, 0.75), (0.1, 0.45))):
        top = rect[1] + height * (0.16 + 0.26 * line)
        letter = width * 0.045
        x = rect[0] + width * start
        while x < rect[0] + width * stop:
            canvas.polygon(_corners((x, top, x + letter * 0.7, top + height * 0.14)), (222, 224, 224))
            x += letter


def _paint_leaves(canvas: Canvas, rects: tuple[Rect, ...], look: Look, rng: np.random.Generator) -> None:
    """Near foliage: solid in the middle, loose leaves towards the rim."""
    leaf = mix(shade(look.grass, 0.6), (52, 80, 48), 0.5)
    for rect in rects:
        canvas.polygon(_corners(rect), shade(leaf, 0.7))
    for rect in rects:
        width, height = rect[2] - rect[0], rect[3] - rect[1]
        for _ in range(260):
            center = rect[0] + width * between(rng, -0.02, 1.02), rect[1] + height * between(rng, -0.02, 1.02)
            size = between(rng, 0.005, 0.012)
            canvas.ellipse(center, (size, size * 1.5), shade(leaf, between(rng, 0.55, 1.35)))
