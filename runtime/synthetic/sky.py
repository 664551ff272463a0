"""What lies at and above the horizon: sky, hills or a town, a row of trees."""

from __future__ import annotations

import numpy as np

from runtime.synthetic.canvas import Canvas, Color, Layer, mix, shade
from runtime.synthetic.ground import HAZE, Look, smooth
from runtime.synthetic.scene import Scene, between, generator

CLOUD: Color = (226, 224, 222)


def paint_sky(canvas: Canvas, scene: Scene, look: Look) -> None:
    """Paint everything above the horizon, where that is in the picture."""
    horizon = scene.camera.horizon
    rows = min(canvas.height, int(horizon * canvas.height + 2.0))
    if rows <= 0:
        return
    v = ((np.arange(rows) + 0.5) / canvas.height).astype(np.float32)[:, None]
    u = ((np.arange(canvas.width) + 0.5) / canvas.width).astype(np.float32)[None, :]
    high = np.array(mix(look.sky, CLOUD, look.overcast), np.float32)
    share = np.clip(v / np.float32(horizon), 0.0, 1.0)[..., None]
    color = high + (np.array(HAZE, np.float32) - high) * share
    clouds = np.clip(smooth(look.table, u * np.float32(5.0), v * np.float32(28.0)), 0.0, 1.0)[..., None]
    color = color + (np.array(CLOUD, np.float32) - color) * clouds * np.float32(0.7)
    for ridge, tone in ((0.075, 0.5), (0.045, 0.75)):
        _mix_ridge(color, u, v, horizon, ridge, mix(HAZE, shade(look.grass, 0.75), tone), look.table)
    canvas.color[:rows] = color
    if look.city:
        _paint_town(canvas, scene, look)


def _mix_ridge(color: Layer, u: Layer, v: Layer, horizon: float, height: float, tone: Color, table: Layer) -> None:
    """A row of hills that reach `height` of the picture above the horizon."""
    place = u * np.float32(0.17 / height)
    shape = smooth(table, place + np.float32(height * 1000), np.zeros_like(u))
    detail = smooth(table, place * np.float32(9.0), np.ones_like(u))
    top = np.float32(horizon) - np.float32(height) * (
        np.float32(0.5) + np.float32(0.5) * shape + np.float32(0.07) * detail
    )
    cover = np.clip((v - top) * np.float32(400.0), 0.0, 1.0)[..., None]
    color += (np.array(tone, np.float32) - color) * cover


def _paint_town(canvas: Canvas, scene: Scene, look: Look) -> None:
    """Buildings with rows of windows along the horizon, lower towards the road's end."""
    rng = generator(look.settings, 6)
    horizon = scene.camera.horizon
    for _ in range(26):
        u, width = rng.random(), between(rng, 0.02, 0.06)
        aside = min(1.0, abs(u - 0.5) * 2.5)
        height = (0.03 + 0.14 * rng.random() * aside) * (0.4 + 0.6 * aside)
        wall = mix((150, 158, 164), (90, 104, 128), rng.random())
        wall = mix(wall, HAZE, 0.25)
        _paint_building(canvas, (u, horizon - height, u + width, horizon + 0.01), wall)


def _paint_building(canvas: Canvas, box: tuple[float, float, float, float], wall: Color) -> None:
    """One building with its windows."""
    left, top, right, bottom = box
    canvas.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], wall, shade(wall, 0.9))
    dark = shade(wall, 0.68)
    rows = max(1, int((bottom - top) / 0.014))
    for row in range(rows):
        y = top + 0.005 + row * 0.014
        for column in range(1, 6):
            x = left + (right - left) * column / 6.4
            w = (right - left) * 0.09
            canvas.polygon([(x, y), (x + w, y), (x + w, y + 0.007), (x, y + 0.007)], dark)
