"""Where a thing will be: a constant-velocity Kalman filter on the centre of its box, in real seconds.

Lengths are in picture heights, both ways, so that a distance is a distance in every direction. The noise is in
units of the thing's own size, as in SORT and DeepSORT (Bewley et al. 2016, Wojke et al. 2017). Unlike there the
velocity wanders in continuous time (white-noise acceleration: Bar-Shalom et al. 2001, 6.2.2), so that one step of 0.2 s
expects the same as ten of 0.02 s.
"""

from __future__ import annotations

_MEASURED = 0.05
"""Standard deviation of a detected centre, in sizes: box jitter of small detectors is 2 to 6 % of the box."""

_WANDERS = 3.0
"""By how much the speed of something that stands wanders in a second, in sizes/s: people set off at about 3."""

_WANDERS_MOVING = 0.8
"""The same for each size/s of its speed: a vehicle at 20 m/s, 15 m away, becomes faster by 2.7 times its speed a second
through perspective alone, but so it does steadily, and the filter follows."""

_FIRST_SPEED = 20.0
"""Standard deviation of a speed not yet seen, in sizes/s: 0.7 sizes a frame at 30 fps, and three times that is looked
for."""


class Motion:
    """Centre and velocity of one thing.

    Both axes share one covariance: they are measured and disturbed alike.

    Args:
        x: centre in picture heights from the left.
        y: centre in picture heights from the top.
        size: side of the square as large as its box, in picture heights.
    """

    __slots__ = ("_cross", "_place", "_speed", "size", "vx", "vy", "x", "y")

    def __init__(self, x: float, y: float, size: float) -> None:
        self.x, self.y, self.size = x, y, size
        self.vx = self.vy = 0.0
        self._place = (_MEASURED * size) ** 2
        self._cross = 0.0
        self._speed = (_FIRST_SPEED * size) ** 2

    @property
    def uncertainty(self) -> float:
        """Standard deviation of the centre, in picture heights."""
        return float(self._place**0.5)

    @property
    def speed(self) -> float:
        """Picture heights a second."""
        return float((self.vx * self.vx + self.vy * self.vy) ** 0.5)

    def predict(self, seconds: float) -> None:
        """Move on by ``seconds``, 0 or more."""
        self.x += self.vx * seconds
        self.y += self.vy * seconds
        noise = (_WANDERS * self.size) ** 2 + (_WANDERS_MOVING * self.speed) ** 2
        self._place += seconds * (2 * self._cross + seconds * self._speed) + noise * seconds**3 / 3
        self._cross += seconds * self._speed + noise * seconds**2 / 2
        self._speed += noise * seconds

    def correct(self, x: float, y: float, size: float) -> None:
        """Take in a centre that was seen, and the size it was seen with."""
        self.size = size
        innovation = self._place + (_MEASURED * size) ** 2
        gain, speed_gain = self._place / innovation, self._cross / innovation
        off_x, off_y = x - self.x, y - self.y
        self.x += gain * off_x
        self.y += gain * off_y
        self.vx += speed_gain * off_x
        self.vy += speed_gain * off_y
        self._speed -= speed_gain * self._cross
        self._place *= 1 - gain
        self._cross *= 1 - gain
