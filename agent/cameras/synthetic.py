"""A road that does not exist, for demonstrations and tests: ``synthetic[:key=value,...]``."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.cameras.frame import Frame, Wanted
from agent.cameras.pacing import Pacer
from agent.cameras.played import KEYS, PlayedFault, parse_fault, seen
from contracts.config import CameraConfig
from contracts.errors import CameraError, DocumentError, UnknownNameError
from runtime.prepare import Placement
from runtime.synthetic_road import RoadSettings, SyntheticRoad

NAME = "synthetic"

_DEFAULTS: Mapping[str, int | float | bool] = {
    setting.name: getattr(RoadSettings(), setting.name) for setting in dataclasses.fields(RoadSettings)
}
_FRAMES = "frames"
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class SyntheticOptions:
    """What stands behind ``synthetic:``.

    Args:
        road: the road; its width and height are those of the camera, not those of the frames.
        frames: it ends after so many; None lets it go on for ever.
        fault: what goes wrong with it.
    """

    road: RoadSettings
    frames: int | None = None
    fault: PlayedFault = field(default_factory=PlayedFault)


def parse_synthetic(source: str) -> SyntheticOptions:
    """Read ``synthetic[:key=value,...]``.

    Raises:
        UnknownNameError: there is no such key.
        DocumentError: a value cannot be used.
    """
    text = source.partition(":")[2]
    settings: dict[str, int | float | bool] = {}
    fault: dict[str, str] = {}
    known = (*_DEFAULTS, _FRAMES, *KEYS)
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if key not in known:
            raise UnknownNameError("key of a synthetic source", key, known)
        if not equals:
            raise DocumentError(source, [f"expected {key}=VALUE, got {part!r}"])
        if key in KEYS:
            fault[key] = value
        else:
            settings[key] = _value(source, key, value)
    frames = settings.pop(_FRAMES, None)
    if frames is not None and frames < 1:
        raise DocumentError(source, [f"{_FRAMES}: expected at least 1, got {frames}"])
    return SyntheticOptions(
        _road(source, settings), None if frames is None else int(frames), parse_fault(source, fault)
    )


class SyntheticSource:
    """The road as a camera: the frames of its own rate, each drawn in the size that the model wants.

    Where it cannot keep up with real time it leaves frames out, as a camera would; without ``realtime``, never.

    Args:
        camera: what the user wants of it.
        wanted: the model's input.
        stop: ends a wait between two frames.
        pacer: holds the frames back in real time.

    Raises:
        UnknownNameError: the source has an unknown key.
        DocumentError: the source has a value that cannot be used.
    """

    def __init__(self, camera: CameraConfig, wanted: Wanted, stop: threading.Event, pacer: Pacer | None = None) -> None:
        self.dropped: Counter[str] = Counter()
        options = parse_synthetic(camera.source)
        self._fps = options.road.fps
        self._frames = options.frames
        self._fault = options.fault
        self._id = camera.id
        self._loop = camera.loop
        self._stop = stop
        self._pacer = (pacer or Pacer(stop)) if camera.realtime else None
        self._gate = wanted.gate(camera.fps)
        self._placement = wanted.placement(options.road.width, options.road.height)
        self._road = _road_for(camera, options.road, self._placement)
        self._next = 0
        self._opened_at = time.monotonic()

    def read(self) -> Frame | None:
        """The next frame, or None after ``frames`` of them, and where it was told to stop.

        Raises:
            CameraError: it plays a camera that is lost.
        """
        while not self._stop.is_set():
            sequence = self._skip_late(self._next)
            if self._frames is not None and sequence >= self._frames and not self._loop:
                return None
            self._next = sequence + 1
            left_out = self._gate.left_out(sequence / self._fps)
            if left_out is not None:
                self.dropped[left_out] += 1
            elif self._pacer is None or self._pacer.hold(sequence / self._fps):
                fault = self._fault.at(sequence / self._fps)
                if fault == "lost":
                    raise CameraError(self._id, "the synthetic camera plays 'lost'", "take 'fault' out of 'source'")
                if fault != "stalled":
                    return self._frame(sequence, fault)
                self._stop.wait(0 if self._pacer else 1 / self._fps)
        return None

    def close(self) -> None:
        """Nothing is held open."""

    def _skip_late(self, sequence: int) -> int:
        """The frame that is due now, where ``sequence`` was due more than a frame ago."""
        if self._pacer is None:
            return sequence
        due = int(self._pacer.elapsed * self._fps)
        if self._frames is not None and not self._loop:
            due = min(due, self._frames)
        if due <= sequence:
            return sequence
        self.dropped["late"] += due - sequence
        return due

    def _frame(self, sequence: int, fault: str | None) -> Frame:
        captured_at, wall_time = time.monotonic(), time.time()
        index = sequence if self._frames is None else sequence % self._frames
        shown_at = self._opened_at + sequence / self._fps
        image = self._road.frame(index)
        if fault is not None:
            image = seen(fault, image, self._road.frame(int(self._fault.begins * self._fps)), sequence)
        return Frame(image, self._placement, sequence, captured_at, wall_time, shown_at)


def _road_for(camera: CameraConfig, road: RoadSettings, placement: Placement) -> SyntheticRoad:
    """The road drawn in the placement's size, so that nothing has to be scaled."""
    try:
        return SyntheticRoad(dataclasses.replace(road, width=placement.width, height=placement.height))
    except ValueError as error:
        problem = f"it cannot be drawn {placement.width}x{placement.height} as the model wants it: {error}"
        raise DocumentError(f"camera {camera.id!r}", [problem]) from None


def _road(source: str, settings: Mapping[str, int | float | bool]) -> RoadSettings:
    try:
        return RoadSettings(**settings)  # type: ignore[arg-type] # checked by the settings themselves
    except ValueError as error:
        raise DocumentError(source, [str(error)]) from None


def _value(source: str, key: str, text: str) -> int | float | bool:
    """A value of the type that the key's default has."""
    kind = type(_DEFAULTS.get(key, 0))
    try:
        return _WORDS[text.lower()] if kind is bool else kind(text)
    except (KeyError, ValueError):
        wanted = {bool: "true or false", int: "an integer", float: "a number"}[kind]
        raise DocumentError(source, [f"{key}: expected {wanted}, got {text!r}"]) from None
