"""Land and carriageway, computed for each pixel from the place on the ground that it shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.synthetic.canvas import Canvas, Color, Layer
from runtime.synthetic.scene import LANE_WIDTH, MEDIAN_WIDTH, SHOULDER_WIDTH, Scene, between, chance, generator
from runtime.synthetic.settings import RoadSettings

DASH_METRES, DASH_PERIOD = 3.0, 9.0
BAND = 32  # rows computed at a time, so that the work stays in the processor's cache
TABLE = 256
PAINT: Color = (222, 226, 226)
YELLOW: Color = (70, 178, 214)
CONCRETE: Color = (158, 166, 170)
HAZE: Color = (214, 208, 200)


@dataclass(frozen=True)
class Look:
    """Colours and chances of one seed's landscape.

    Attributes:
        settings: Seed, size and hour.
        grass: Land beside the road.
        asphalt: Grey level of the road, 0..255.
        sky: Colour high up.
        overcast: Share of cloud grey in the sky, 0..1.
        city: Buildings rather than hills behind the road.
        inner_line: Colour of the line next to the median.
        table: Random numbers in -1..1, (256, 256), that all textures are looked up in.
    """

    settings: RoadSettings
    grass: Color
    asphalt: float
    sky: Color
    overcast: float
    city: bool
    inner_line: Color
    table: Layer


def choose_look(settings: RoadSettings) -> Look:
    """Draw the landscape of a seed."""
    rng = generator(settings, 5)
    dry = rng.random()
    return Look(
        settings=settings,
        grass=(58 + 28 * dry, 112 + 22 * dry, 84 + 62 * dry),
        asphalt=between(rng, 88.0, 138.0),
        sky=(between(rng, 205, 230), between(rng, 165, 190), between(rng, 120, 150)),
        overcast=rng.random(),
        city=chance(rng, 0.45),
        inner_line=YELLOW if chance(rng, 0.5) else PAINT,
        table=(rng.random((TABLE, TABLE)) * 2.0 - 1.0).astype(np.float32),
    )


def paint_ground(canvas: Canvas, scene: Scene, look: Look) -> None:
    """Paint all rows below the horizon."""
    camera = scene.camera
    first = max(0, int(camera.horizon * canvas.height + 1.0))
    u = ((np.arange(canvas.width) + 0.5) / canvas.width - 0.5)[None, :]
    for top in range(first, canvas.height, BAND):
        rows = np.arange(top, min(top + BAND, canvas.height))
        v = ((rows + 0.5) / canvas.height)[:, None]
        z = camera.drop * camera.height / np.maximum(v - camera.horizon, 1e-4)
        x = z * (u / camera.focal - camera.curve * z)
        spot = Spot(
            x.astype(np.float32),
            z.astype(np.float32),
            (z / (camera.focal * canvas.width)).astype(np.float32),
            (z * z / (camera.drop * camera.height * canvas.height)).astype(np.float32),
        )
        canvas.color[rows[0] : rows[-1] + 1] = _ground_color(spot, scene, look)


@dataclass(frozen=True)
class Spot:
    """Where the pixels of some rows meet the ground, all in metres.

    Attributes:
        x: To the right of the camera axis, (rows, columns).
        z: Away from the camera, (rows, 1).
        width: Of a pixel on the ground, (rows, 1).
        depth: Of a pixel along the road, (rows, 1).
    """

    x: Layer
    z: Layer
    width: Layer
    depth: Layer

    def strip(self, middle: float, width: float) -> Layer:
        """How much of each pixel lies in a strip along the road, 0..1."""
        return self.between(middle - width / 2, middle + width / 2)

    def between(self, left: float, right: float) -> Layer:
        """How much of each pixel lies between two lines along the road, 0..1."""
        after = np.clip((self.x - np.float32(left)) / self.width + np.float32(0.5), 0.0, 1.0)
        cover: Layer = after - np.clip((self.x - np.float32(right)) / self.width + np.float32(0.5), 0.0, 1.0)
        return cover

    def dashes(self) -> Layer:
        """How much of each row lies on a dash, (rows, 1); far away, where dashes blur, their mean."""
        phase = self.z - np.floor(self.z / np.float32(DASH_PERIOD)) * np.float32(DASH_PERIOD)
        edge = np.minimum(phase, np.float32(DASH_METRES) - phase)
        sharp = np.clip(edge / self.depth + np.float32(0.5), 0.0, 1.0)
        blur = np.clip(self.depth / np.float32(DASH_PERIOD) * np.float32(1.6), 0.0, 1.0)
        cover: Layer = sharp + (np.float32(DASH_METRES / DASH_PERIOD) - sharp) * blur
        return cover


def lookup(table: Layer, x: NDArray[np.floating], y: NDArray[np.floating]) -> Layer:
    """Random values at places that broadcast together, one per unit square."""
    columns = np.floor(x).astype(np.int64) & (TABLE - 1)
    rows = np.floor(y).astype(np.int64) & (TABLE - 1)
    values: Layer = table[rows, columns]
    return values


def smooth(table: Layer, x: Layer, y: Layer) -> Layer:
    """Random values that change gently between the corners of unit squares."""
    share_x, share_y = x - np.floor(x), y - np.floor(y)
    upper = lookup(table, x, y) * (1 - share_x) + lookup(table, x + 1, y) * share_x
    lower = lookup(table, x, y + 1) * (1 - share_x) + lookup(table, x + 1, y + 1) * share_x
    return np.asarray(upper * (1 - share_y) + lower * share_y, np.float32)


def _ground_color(spot: Spot, scene: Scene, look: Look) -> Layer:
    """Colour of the ground, (rows, columns, 3)."""
    color = _grass(spot, look)
    _mix_in(color, np.array((118, 130, 140), np.float32), spot.between(scene.left - 1.2, scene.right + 1.2))
    _mix_in(color, _asphalt(spot, scene, look), spot.between(scene.left, scene.right))
    if scene.median is not None:
        grime = np.array(CONCRETE, np.float32) * np.float32(0.82)
        _mix_in(color, grime, spot.strip(scene.median, MEDIAN_WIDTH * 0.6))
    for edge in (scene.left, scene.right):
        _mix_in(color, np.array(CONCRETE, np.float32), spot.strip(edge, 0.3))
    _paint_lines(color, spot, scene, look)
    haze = np.clip(spot.z / np.float32(900.0), 0.0, 0.6)[..., None]
    color += (np.array(HAZE, np.float32) - color) * haze
    return color


def _mix_in(color: Layer, paint: Layer, cover: Layer) -> None:
    """Lay `paint` over `color` where `cover` (rows, columns) says so."""
    color += (paint - color) * cover[..., None]


def _grass(spot: Spot, look: Look) -> Layer:
    """Land: large patches, small tufts."""
    patches = smooth(look.table, spot.x * np.float32(0.11), spot.z * np.float32(0.05))
    tufts = lookup(look.table, spot.x * 5.0, spot.z * 2.0) + lookup(look.table, spot.x * 1.7, spot.z * 0.8)
    light = np.float32(1.0) + patches * np.float32(0.16) + tufts * np.float32(0.07)
    return np.array(look.grass, np.float32) * light[..., None]


def _asphalt(spot: Spot, scene: Scene, look: Look) -> Layer:
    """Road: grain, stains, patches of newer surface, and the two darker tracks of each lane."""
    grain = lookup(look.table, spot.x * 9.0, spot.z * 4.0) * np.float32(5.0)
    stains = smooth(look.table, spot.x * np.float32(0.5), spot.z * np.float32(0.07)) * np.float32(7.0)
    newer = lookup(look.table, spot.x / LANE_WIDTH + 40.3, spot.z / 31.0) > np.float32(0.72)
    grey: Layer = np.float32(look.asphalt) + grain + stains - newer * np.float32(11.0)
    for lane in scene.lanes:
        for track in (-0.8, 0.8):
            away = (spot.x - np.float32(lane.x + track)) / np.float32(0.55)
            grey -= np.maximum(np.float32(1.0) - away * away, np.float32(0.0)) * np.float32(8.0)
    return grey[..., None] * np.array((1.0, 1.0, 0.985), np.float32)


def _paint_lines(color: Layer, spot: Spot, scene: Scene, look: Look) -> None:
    """Edge lines, and dashes between lanes of one direction."""
    worn = np.float32(0.82) + lookup(look.table, spot.x * 6.0, spot.z * 1.3) * np.float32(0.12)
    white = np.array(PAINT, np.float32)
    dashes = spot.dashes()
    for one, other in zip(scene.lanes, scene.lanes[1:], strict=False):
        if one.direction == other.direction:
            _mix_in(color, white, spot.strip((one.x + other.x) / 2, 0.16) * dashes * worn)
    for edge in (scene.left + SHOULDER_WIDTH, scene.right - SHOULDER_WIDTH):
        _mix_in(color, white, spot.strip(edge, 0.18) * worn)
    if scene.median is not None:
        inner = np.array(look.inner_line, np.float32)
        for side in (-1, 1):
            _mix_in(color, inner, spot.strip(scene.median + side * (MEDIAN_WIDTH / 2 - 0.1), 0.16) * worn)
