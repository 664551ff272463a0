"""Putting a frame together: background, vehicles from far to near, what stands in front, sensor noise."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from runtime.synthetic.background import Backdrop, paint_backdrop
from runtime.synthetic.scene import Occluder, Rect, Scene, generator
from runtime.synthetic.settings import RoadSettings
from runtime.synthetic.sprites import VehicleSprites, blend
from runtime.synthetic.truth import Placed

NOISE_SHIFTS = 65521  # a prime: the noise repeats after so many frames


class Picture:
    """Paints frames of one size.

    Args:
        settings: Size, hour and noise.
        scene: What there is to see.
    """

    def __init__(self, settings: RoadSettings, scene: Scene) -> None:
        self._settings = settings
        self._scene = scene
        self.sprites = VehicleSprites(settings, scene)

    def paint(self, vehicles: tuple[Placed, ...], index: int) -> NDArray[np.uint8]:
        """Frame `index` with these vehicles: uint8 BGR (height, width, 3)."""
        frame = self._backdrop.color.copy()
        for number in far_to_near(vehicles):
            vehicle = vehicles[number]
            touched = self.sprites.draw(frame, vehicle)
            for thing in self._scene.occluders:
                if thing.distance < vehicle.near or thing.distance <= 0.0:
                    self._cover(frame, thing, touched)
        if self._settings.noise:
            self._add_noise(frame, index)
        return frame

    @cached_property
    def _backdrop(self) -> Backdrop:
        """The empty road; painted when the first frame is asked for, for many only want the truth."""
        return paint_backdrop(self._settings, self._scene)

    @cached_property
    def _noise(self) -> NDArray[np.uint8]:
        """Noise for one frame and all its shifts; negative values as their two's complement."""
        size = self._settings.width * self._settings.height * 3 + NOISE_SHIFTS
        rng, most = generator(self._settings, 4), self._settings.noise
        up = rng.integers(0, most + 1, size, dtype=np.uint8)
        up -= rng.integers(0, most + 1, size, dtype=np.uint8)
        return up

    def _add_noise(self, frame: NDArray[np.uint8], index: int) -> None:
        """Add the noise of frame `index`; bytes may wrap, as every pixel keeps its distance from 0 and 255."""
        shift = (index * 40503 + self._settings.seed) % NOISE_SHIFTS
        flat = frame.reshape(-1)
        flat += self._noise[shift : shift + flat.size]

    def _cover(self, frame: NDArray[np.uint8], thing: Occluder, touched: Rect) -> None:
        """Put an occluder back in front of a vehicle that has just been drawn over it."""
        piece = self._backdrop.occluders[thing.kind]
        height, width = piece.light.shape[:2]
        left, right = max(int(touched[0]), piece.left), min(int(touched[2]), piece.left + width)
        top, bottom = max(int(touched[1]), piece.top), min(int(touched[3]), piece.top + height)
        if left < right and top < bottom:
            rows, columns = slice(top - piece.top, bottom - piece.top), slice(left - piece.left, right - piece.left)
            blend(frame[top:bottom, left:right], piece.light[rows, columns], piece.rest[rows, columns])


def far_to_near(vehicles: tuple[Placed, ...]) -> list[int]:
    """An order of drawing in which every vehicle comes after those behind it."""
    order: list[int] = []
    seen: set[int] = set()

    def visit(number: int) -> None:
        if number in seen:
            return
        seen.add(number)
        for hidden in vehicles[number].behind:
            visit(hidden)
        order.append(number)

    for number in sorted(range(len(vehicles)), key=lambda k: -vehicles[k].near):
        visit(number)
    return order
