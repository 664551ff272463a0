"""How vehicles look: boxes with roof, glass, wheels and lights, painted as the camera sees them."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.synthetic.canvas import Canvas, Color, mix, shade
from runtime.synthetic.scene import Camera
from runtime.synthetic.traffic import Body

PAINT: Color = (0.0, 0.0, 0.0, 255.0)  # the body colour, chosen when the vehicle is drawn
PAINTS: dict[str, tuple[Color, ...]] = {
    "car": (
        (235, 235, 235),
        (228, 230, 228),
        (170, 172, 172),
        (190, 192, 196),
        (95, 92, 90),
        (60, 58, 56),
        (38, 36, 36),
        (46, 44, 44),
        (120, 62, 30),
        (160, 95, 40),
        (40, 36, 160),
        (34, 30, 120),
        (120, 150, 175),
        (70, 90, 60),
        (60, 170, 205),
    ),
    "van": ((238, 238, 236), (232, 232, 232), (60, 60, 62), (150, 90, 40), (40, 190, 230)),
    "lorry": ((225, 228, 230), (160, 80, 35), (45, 40, 170), (70, 110, 60), (215, 215, 210), (40, 120, 215)),
    "bus": ((40, 36, 185), (60, 190, 230), (228, 230, 228), (165, 110, 50)),
}
GLASS: Color = (62, 54, 46)
SKY_IN_GLASS: Color = (205, 190, 172)
RUBBER: Color = (24, 23, 22)
TRIM: Color = (44, 42, 40)
HEADLAMP: Color = (240, 244, 244)
TAIL_LAMP: Color = (36, 30, 190)
HEADLIGHT: Color = (222, 244, 250)
TAIL_LIGHT: Color = (60, 50, 250)
LIGHT_ON_ROAD: Color = (140, 178, 196)
HAZE_DAY: Color = (205, 200, 194)
HAZE_NIGHT: Color = (30, 26, 24)
NIGHT_ON_BODY = 0.28  # what is left of daylight


@dataclass(frozen=True)
class Profile:
    """The outline of a car or van, in shares of its length from the front, and heights in metres."""

    bonnet: float
    screen: float
    roof_end: float
    tail: float
    belt: float
    tail_height: float


PROFILES = {
    "saloon": Profile(0.26, 0.42, 0.72, 0.86, 0.92, 0.98),
    "hatchback": Profile(0.22, 0.38, 0.82, 0.97, 0.94, 0.95),
    "suv": Profile(0.24, 0.36, 0.88, 0.98, 1.08, 1.10),
    "van": Profile(0.14, 0.28, 0.97, 0.99, 1.20, 1.25),
}


@dataclass(frozen=True)
class View:
    """How one vehicle stands before the camera.

    Attributes:
        camera: Who looks.
        body: What is looked at.
        x: Middle of its lane in metres.
        near: Distance of its near face in metres.
        length: Metres to its far face; less than the body's where the near part is out of sight below.
        towards: Whether it shows its front.
        night: Whether lights are on.
    """

    camera: Camera
    body: Body
    x: float
    near: float
    length: float
    towards: bool
    night: bool


class Painter:
    """Paints one vehicle; positions are (x in half widths, y in metres, s in shares of length from the near face).

    Args:
        canvas: Where to paint.
        view: How the vehicle stands.
    """

    def __init__(self, canvas: Canvas, view: View) -> None:
        self._canvas = canvas
        self.view = view
        self.paint = PAINT
        self._haze = min(0.55, view.near / 700.0)
        self.half = view.body.width / 2
        # The side that can be seen is the one turned to the axis of the camera; none where it is looked along.
        self.side = 0 if abs(view.x) < self.half else (-1 if view.x > 0 else 1)

    def point(self, x: float, y: float, s: float) -> tuple[float, float]:
        """A point of the vehicle in the picture."""
        z = self.view.near + s * self.view.length
        return self.view.camera.u(self.view.x + x * self.half, z), self.view.camera.v(y, z)

    def daylight(self, color: Color) -> Color:
        """A colour as the light of the hour and the haze of the distance leave it."""
        if self.view.night:
            return mix(shade(color, NIGHT_ON_BODY), HAZE_NIGHT, self._haze)
        return mix(color, HAZE_DAY, self._haze)

    def quad(
        self, corners: list[tuple[float, float, float]], color: Color, low: Color | None = None, opacity: float = 1.0
    ) -> None:
        """Fill a flat convex part of the vehicle."""
        bottom = self.daylight(low) if low else None
        self._canvas.polygon([self.point(*corner) for corner in corners], self.daylight(color), bottom, opacity)

    def face(
        self, x: tuple[float, float], y: tuple[float, float], color: Color, low: Color | None = None, s: float = 0.0
    ) -> None:
        """Fill a rectangle that looks at the camera."""
        self.quad([(x[0], y[0], s), (x[1], y[0], s), (x[1], y[1], s), (x[0], y[1], s)], color, low)

    def pair(self, x: tuple[float, float], y: tuple[float, float], color: Color, s: float = 0.0) -> None:
        """Fill two rectangles that mirror each other."""
        self.face(x, y, color, s=s)
        self.face((-x[1], -x[0]), y, color, s=s)

    def top(
        self,
        s: tuple[float, float],
        y: tuple[float, float],
        x: tuple[float, float],
        color: Color,
        low: Color | None = None,
    ) -> None:
        """Fill a surface seen from above that climbs from y[0] (half width x[0]) to y[1] (half width x[1])."""
        self.quad([(-x[0], y[0], s[0]), (x[0], y[0], s[0]), (x[1], y[1], s[1]), (-x[1], y[1], s[1])], color, low)

    def flank(self, outline: list[tuple[float, float]], color: Color, low: Color | None = None, x: float = 1.0) -> None:
        """Fill a part of the visible side, its outline given as (s, y)."""
        if self.side:
            self.quad([(self.side * x, y, s) for s, y in outline], color, low)

    def cabin_side(self, outline: list[tuple[float, float]], color: Color, belt: float) -> None:
        """Fill a part of a car's upper side, which leans in from its belt line to the roof."""
        lean = 0.18 / (self.view.body.height - belt)
        if self.side:
            self.quad([(self.side * (0.94 - lean * (y - belt)), y, s) for s, y in outline], color)

    def wheel(self, s: float, radius: float) -> None:
        """One wheel of the visible side."""
        if not self.side:
            return
        u, v = self.point(self.side * 1.0, radius, s)
        reach = radius / self.view.length
        width = abs(self.point(self.side, radius, s - reach)[0] - self.point(self.side, radius, s + reach)[0]) / 2
        height = abs(self.point(self.side, 2 * radius, s)[1] - self.point(self.side, 0.0, s)[1]) / 2
        slant = abs(self.point(self.side, 0.0, s - reach)[1] - self.point(self.side, 0.0, s + reach)[1]) / 4
        self._canvas.ellipse((u, v), (width, height + slant), self.daylight(RUBBER))
        self._canvas.ellipse((u, v), (width * 0.5, height * 0.5), self.daylight((120, 120, 120)))

    def shadow(self, strength: float) -> None:
        """The dark of the road under and beside the vehicle, darkest underneath."""
        reach = 0.35 / self.view.length
        for spread, share in ((1.22, 0.35), (1.12, 0.5), (1.02, 0.8)):
            grown = reach * (spread - 1.0) * 6
            corners = [
                (-spread, 0.0, -grown),
                (spread + 0.1, 0.0, -grown),
                (spread + 0.1, 0.0, 1 + grown),
                (-spread, 0.0, 1 + grown),
            ]
            self.quad(corners, (26, 24, 22), opacity=strength * share)

    def glow(self, x: float, y: float, s: float, color: Color, radius: tuple[float, float], opacity: float) -> None:
        """A soft light, `radius` in metres across and up."""
        z = self.view.near + s * self.view.length
        camera = self.view.camera
        size = radius[0] * camera.focal / z, radius[1] * camera.drop / z
        self._canvas.ellipse(self.point(x, y, s), size, color, opacity, soft=True)


def paint_color(body: Body, choice: int) -> Color:
    """Body colour number `choice`, modulo the number of colours that such vehicles have."""
    colors = PAINTS.get(body.shape, PAINTS["car"])
    return colors[choice % len(colors)]


def paint_vehicle(canvas: Canvas, view: View) -> None:
    """Paint one vehicle with its shadow and, at night, its lights."""
    shape = view.body.shape
    painter = Painter(canvas, view)
    if view.night and view.towards:
        _light_on_road(painter)
    painter.shadow(0.35 if view.night else 0.6)
    if shape == "bus":
        _paint_bus(painter)
    elif shape == "lorry":
        _paint_lorry(painter)
    elif view.towards:
        _paint_car_front(painter, PROFILES[shape])
    else:
        _paint_car_rear(painter, PROFILES[shape])
    if view.night:
        _paint_lights(painter)


def _light_on_road(p: Painter) -> None:
    """What the headlamps of a vehicle towards the camera throw on the road before it."""
    ahead, reach = 1.5, 2.2  # metres
    z = p.view.near - ahead
    flat = p.view.camera.height * reach / max(z, 1.0)  # an upright as high as the light is deep on the road
    for x in (-0.6, 0.6):
        p.glow(x, 0.0, -ahead / p.view.length, LIGHT_ON_ROAD, (1.3, flat), 0.42)


def _paint_lights(p: Painter) -> None:
    """Burning lamps and the glow around them."""
    y = 0.68 if p.view.body.label == "car" else 0.85
    for x in (-0.78, 0.78):
        if p.view.towards:
            p.glow(x, y, 0.0, HEADLIGHT, (0.95, 0.95), 0.55)
            p.glow(x, y, 0.0, (250, 252, 252), (0.3, 0.3), 1.0)
        else:
            p.glow(x, y, 0.0, TAIL_LIGHT, (0.75, 0.6), 0.5)
            p.glow(x, y, 0.0, (110, 100, 252), (0.24, 0.18), 1.0)


def _flanks(p: Painter, f: Profile, *, reverse: bool) -> None:
    """Side, side windows and wheels of a car or van; `reverse` where the rear is the near end."""
    h = p.view.body.height

    def along(s: float) -> float:
        return 1.0 - s if reverse else s

    body = [
        (along(0.0), 0.28),
        (along(0.0), f.belt - 0.16),
        (along(f.bonnet), f.belt),
        (along(1.0), f.tail_height),
        (along(1.0), 0.28),
    ]
    p.flank(body, shade(p.paint, 0.78), shade(p.paint, 0.48))
    cabin = [
        (along(f.bonnet), f.belt),
        (along(f.screen), h - 0.04),
        (along(f.roof_end), h - 0.04),
        (along(f.tail), f.tail_height),
    ]
    p.cabin_side(cabin, shade(p.paint, 0.7), f.belt)
    van = p.view.body.shape == "van"
    cut = 0.012 if van else 0.03
    stop = min(f.tail - 0.05, 0.36 if van else 1.0)
    window = [
        (along(f.bonnet + cut), f.belt + 0.04),
        (along(f.screen + 0.015), h - 0.14),
        (along(min(f.roof_end, stop)), h - 0.14),
        (along(stop), f.belt + 0.06),
    ]
    p.cabin_side(window, mix(GLASS, SKY_IN_GLASS, 0.25), f.belt)
    p.wheel(along(0.17), 0.33)
    p.wheel(along(0.82), 0.33)


def _lower_face(p: Painter, high: float) -> None:
    """Tyres, bumper and the upright part of a car's near end."""
    p.pair((0.66, 0.96), (0.0, 0.4), RUBBER, s=0.03)
    p.face((-0.97, 0.97), (0.2, 0.36), TRIM)
    p.face((-1.0, 1.0), (0.33, high), shade(p.paint, 0.92), shade(p.paint, 0.66))


def _paint_car_front(p: Painter, f: Profile) -> None:
    """A car or van towards the camera."""
    h, nose = p.view.body.height, f.belt - 0.16
    p.top((f.tail, 1.0), (f.tail_height, f.tail_height), (0.95, 0.92), p.paint)
    _flanks(p, f, reverse=False)
    _lower_face(p, nose)
    p.face((-0.5, 0.5), (nose - 0.24, nose - 0.08), TRIM)
    p.face((-0.42, 0.42), (0.24, 0.33), TRIM)
    p.face((-0.26, 0.26), (0.36, 0.47), (225, 228, 230))
    p.pair((0.6, 0.97), (nose - 0.24, nose - 0.07), HEADLAMP)
    p.top((0.0, f.bonnet), (nose, f.belt), (0.97, 0.94), shade(p.paint, 1.0), shade(p.paint, 0.9))
    p.top((f.bonnet, f.screen), (f.belt, h), (0.94, 0.76), shade(p.paint, 0.72))
    p.top(
        (f.bonnet + 0.01, f.screen - 0.008),
        (f.belt + 0.02, h - 0.05),
        (0.86, 0.7),
        mix(GLASS, SKY_IN_GLASS, 0.55),
        GLASS,
    )
    p.top((f.screen, f.roof_end), (h, h), (0.76, 0.74), mix(p.paint, (255, 255, 255), 0.16), p.paint)


def _paint_car_rear(p: Painter, f: Profile) -> None:
    """A car or van away from the camera."""
    h, tail = p.view.body.height, f.tail_height
    p.top((1.0 - f.bonnet, 1.0), (f.belt, f.belt - 0.14), (0.94, 0.94), p.paint)
    _flanks(p, f, reverse=True)
    _lower_face(p, tail)
    p.face((-0.26, 0.26), (0.52, 0.64), (90, 205, 225))
    p.pair((0.64, 0.98), (tail - 0.3, tail - 0.1), TAIL_LAMP)
    p.top((0.0, 1.0 - f.tail), (tail, tail), (0.97, 0.94), shade(p.paint, 1.0))
    p.top((1.0 - f.tail, 1.0 - f.roof_end), (tail, h), (0.94, 0.76), shade(p.paint, 0.66))
    p.top(
        (1.0 - f.tail + 0.004, 1.0 - f.roof_end - 0.004),
        (tail + 0.08, h - 0.08),
        (0.82, 0.7),
        mix(GLASS, SKY_IN_GLASS, 0.35),
        GLASS,
    )
    p.top((1.0 - f.roof_end, 1.0 - f.screen), (h, h), (0.76, 0.74), mix(p.paint, (255, 255, 255), 0.16), p.paint)


def _box(p: Painter, s: tuple[float, float], y: tuple[float, float], color: Color) -> None:
    """A closed box: roof, visible side and near face."""
    p.flank([(s[0], y[0]), (s[0], y[1]), (s[1], y[1]), (s[1], y[0])], shade(color, 0.76), shade(color, 0.58))
    p.top(s, (y[1], y[1]), (1.0, 1.0), mix(color, (255, 255, 255), 0.18), color)
    p.face((-1.0, 1.0), y, shade(color, 0.95), shade(color, 0.78), s=s[0])


def _paint_lorry(p: Painter) -> None:
    """A cab and a load box on a frame."""
    h = p.view.body.height
    cab = mix(p.paint, (210, 210, 210), 0.25)
    p.flank([(0.0, 0.45), (0.0, 0.95), (1.0, 0.95), (1.0, 0.45)], TRIM)
    if p.view.towards:
        _box(p, (0.23, 1.0), (0.95, h), p.paint)
        _box(p, (0.0, 0.2), (0.5, 2.75), cab)
        p.flank([(0.02, 1.65), (0.02, 2.45), (0.13, 2.45), (0.13, 1.65)], GLASS, x=1.01)
        p.face((-0.9, 0.9), (1.6, 2.5), mix(GLASS, SKY_IN_GLASS, 0.5), GLASS)
        p.face((-0.6, 0.6), (0.85, 1.4), TRIM)
        p.face((-1.0, 1.0), (0.35, 0.62), TRIM)
        p.pair((0.66, 0.95), (0.66, 0.9), HEADLAMP)
    else:
        _box(p, (0.8, 1.0), (0.5, 2.75), cab)
        _box(p, (0.0, 0.78), (0.95, h), p.paint)
        p.face((-0.02, 0.02), (0.98, h - 0.08), shade(p.paint, 0.5))
        p.face((-0.92, 0.92), (0.45, 0.6), TRIM)
        p.pair((0.66, 0.95), (0.72, 0.92), TAIL_LAMP)
    p.pair((0.6, 0.96), (0.0, 0.5), RUBBER, s=0.03)
    for s in (0.1, 0.76, 0.88) if p.view.towards else (0.12, 0.24, 0.9):
        p.wheel(s, 0.48)


def _paint_bus(p: Painter) -> None:
    """One long box with a band of windows."""
    h = p.view.body.height
    _box(p, (0.0, 1.0), (0.4, h), p.paint)
    p.top((0.3, 0.45), (h + 0.02, h + 0.02), (0.5, 0.5), shade(p.paint, 0.75))
    p.flank(
        [(0.03, 1.4), (0.03, h - 0.45), (0.97, h - 0.45), (0.97, 1.4)], mix(GLASS, SKY_IN_GLASS, 0.3), GLASS, x=1.01
    )
    for post in (0.18, 0.34, 0.5, 0.66, 0.82):
        p.flank(
            [(post, 1.4), (post, h - 0.45), (post + 0.012, h - 0.45), (post + 0.012, 1.4)], shade(p.paint, 0.6), x=1.01
        )
    if p.view.towards:
        p.face((-0.92, 0.92), (1.1, 2.5), mix(GLASS, SKY_IN_GLASS, 0.5), GLASS)
        p.face((-0.6, 0.6), (2.62, 2.9), (40, 190, 250))
        p.pair((0.62, 0.92), (0.6, 0.82), HEADLAMP)
    else:
        p.face((-0.75, 0.75), (1.7, 2.5), mix(GLASS, SKY_IN_GLASS, 0.3), GLASS)
        p.face((-0.7, 0.7), (0.8, 1.5), shade(p.paint, 0.55))
        p.pair((0.8, 0.96), (0.8, 1.3), TAIL_LAMP)
    p.face((-1.0, 1.0), (0.3, 0.48), TRIM)
    p.pair((0.6, 0.96), (0.0, 0.4), RUBBER, s=0.03)
    for s in (0.18, 0.76):
        p.wheel(s, 0.46)
