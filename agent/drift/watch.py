"""One camera watched for drift: looks at a frame now and then, and hands whole hours to the judge."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import deque
from collections.abc import Callable

from agent.counting.clock import ClockWindow
from agent.counting.totals import in_all
from agent.counting.window import WindowCounts
from agent.drift.baseline import Baseline
from agent.drift.counts import UsualHours
from agent.drift.hours import SECONDS, Hour, HourOfWeek, HourTally, LocalTime, Looks, local_time
from agent.drift.judge import Judge, Learned
from agent.drift.sight import Sight, sight_of
from agent.drift.spread import bins_of, is_empty, spread_of
from agent.host import clock_synced
from contracts.config import CameraConfig
from contracts.health import CameraDrift
from contracts.model_spec import ModelSpec
from runtime.results import Picture, Result

_EVERY = (
    5.0  # seconds between two looks: most of what passes is then seen once, so that looks differ by more than chance
)
_HOURS_AHEAD = 24
_MOST_UNKEPT = 48  # hours that wait while the disk refuses them
_LOGIN = re.compile(r"//[^/]*@")


class DriftWatch:
    """Frames come from the lanes' threads, windows from the daemon's, the disk is another's: all may come at once.

    Args:
        camera: what is counted.
        model: what counts.
        synced: whether the wall clock can be believed.
        local: the box's own time.

    Attributes:
        camera: its id.
        definition: digest of all that decides what the camera shows and counts; with another the past is void.
    """

    def __init__(
        self,
        camera: CameraConfig,
        model: ModelSpec,
        synced: Callable[[], bool | None] = clock_synced,
        local: LocalTime = local_time,
    ) -> None:
        self.camera = camera.id
        self._model = model
        self.definition = definition_of(camera, model)
        self._bins = bins_of(model)
        self._crossings = bool(camera.line)
        self._synced, self._local = synced, local
        self._lock = threading.Lock()
        self._looks = Looks(self._bins.empty)
        self._look_at = float("-inf")
        self._now: Sight | None = None
        self._hour: HourTally | None = None
        self._unkept: deque[Learned] = deque(maxlen=_MOST_UNKEPT)
        self.resume(Baseline())

    def resume(self, baseline: Baseline) -> None:
        """Go on from what was known of the camera."""
        with self._lock:
            self._judge = Judge(baseline, self._bins, crossings=self._crossings)

    def begin_anew(self, baseline: Baseline) -> None:
        """Forget what was seen so far, also of the hour under way: the camera shows something else now."""
        with self._lock:
            self._unkept.clear()
            self._hour = self._now = None
            self._looks = Looks(self._bins.empty)
        self.resume(baseline)

    def changed(self, camera: CameraConfig) -> DriftWatch:
        """The watch of the same camera with other settings: itself where the past still says what is usual."""
        if definition_of(camera, self._model) == self.definition:
            return self
        return DriftWatch(camera, self._model, self._synced, self._local)

    def see(self, picture: Picture, result: Result, count: float | None, at: float) -> None:
        """A frame was counted; most are passed over, and so is all that a classifier sees.

        Args:
            picture: uint8 ``(height, width, 3)`` BGR.
            result: what the model saw in it.
            count: things in the picture; None where nothing is counted.
            at: when it was taken, in monotonic seconds.
        """
        if at < self._look_at or count is None:
            return
        self._look_at = at + _EVERY
        sight, spread = sight_of(picture), spread_of(result, count, self._bins)
        with self._lock:
            self._looks.look(sight, spread, empty=is_empty(count))

    def close(self, window: ClockWindow, counts: WindowCounts) -> None:
        """A window ended.

        Args:
            window: its borders.
            counts: what it adds up to; where its quality is not ``ok`` it says nothing about the camera's usual.
        """
        with self._lock:
            looks, self._looks = self._looks, Looks(self._bins.empty)
            self._begin_hour(window.start)
            if self._hour is not None and counts.quality == "ok" and counts.count is not None:
                observed = counts.coverage * window.seconds
                self._hour.add(looks, self._counted(counts, counts.count.mean * observed), observed)
                self._now = looks.mean or self._now
            else:
                self._now = None
            self._begin_hour(window.utc(window.ends))

    def report(self) -> CameraDrift:
        """How things are."""
        with self._lock:
            now = self._now
            return self._judge.report(*(None, None) if now is None else (now.brightness, now.sharpness))

    def usual(self, wall: float) -> UsualHours | None:
        """What the camera is expected to count from a moment on, for some hours; None where that is not known.

        Args:
            wall: seconds since 1970.
        """
        if self._synced() is not True:
            return None
        begins = self._start_of_hour(wall)
        places = [HourOfWeek.of(self._local(begins + hour * SECONDS)) for hour in range(_HOURS_AHEAD)]
        with self._lock:
            return self._judge.usual(places, begins + SECONDS - wall)

    def unkept(self) -> list[Learned]:
        """What was learned and is not known to be on the disk."""
        with self._lock:
            return list(self._unkept)

    def kept(self, learned: list[Learned]) -> None:
        """These are on the disk."""
        with self._lock:
            self._unkept = deque((one for one in self._unkept if one not in learned), maxlen=_MOST_UNKEPT)

    def _counted(self, counts: WindowCounts, level: float) -> float:
        if not self._crossings:
            return level
        return float(sum(in_all(crossed, way) for crossed in counts.lines.values() for way in ("in", "out")))

    def _begin_hour(self, start: float) -> None:
        """Finish the hour under way where a window belongs to another one."""
        hour, begins = self._hour, self._start_of_hour(start)
        if hour is not None and hour.start != begins:
            self._finish(hour)
        if hour is None or hour.start != begins:
            self._hour = HourTally(begins, Looks(self._bins.empty))

    def _finish(self, tally: HourTally) -> None:
        # Judged only where nobody doubts the clock: an hour that is filed wrongly would be wrong for weeks.
        place = HourOfWeek.of(self._local(tally.start)) if self._synced() is True else None
        hour = tally.finish(place, crossings=self._crossings)
        if isinstance(hour, Hour):
            self._unkept.append(self._judge.take(hour))
        else:
            self._judge.miss(hour)

    def _start_of_hour(self, moment: float) -> float:
        """By local time, which may be half an hour off from UTC's."""
        local = self._local(moment)
        return moment - (local.minute * 60 + local.second + moment % 1) % SECONDS


def definition_of(camera: CameraConfig, model: ModelSpec) -> str:
    """SHA-256, in hexadecimal, of all that decides what a camera shows and counts.

    Not the artifact: forms of one model count the same, and one may serve until another is built. Nor a password.
    """
    definition = {
        "source": _LOGIN.sub("//", camera.source),
        "score": camera.score,
        "scale": camera.scale,
        "lines": [line.model_dump(mode="json") for line in camera.line],
        "model": model.model_dump(mode="json"),
        "bins": bins_of(model).inner,
    }
    return hashlib.sha256(json.dumps(definition, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
