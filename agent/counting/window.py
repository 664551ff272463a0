"""What one camera's frames add up to over a window."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agent.counting.clock import ClockWindow, utc_text
from agent.counting.frame_counts import FrameCounts
from agent.counting.gaps import longest_gap
from agent.counting.levels import Levels, ZoneSums
from agent.counting.lines import Crossing
from agent.counting.state_sums import StateSums
from agent.counting.states import Question, StateChange
from agent.counting.totals import Tally, entries_tally, state_key, tally
from contracts.config import CameraConfig
from contracts.messages import Level, Quality, Window, ZoneCounts

_WORST_FIRST: Sequence[Quality] = ("model_error", "no_camera", "obscured", "stale", "ok")
_HELD = 5.0  # seconds for which it stays open in which window something falls: the longest that a close may come late
_MOST_CHANGES = 32  # of the quality, told one by one in a window; a camera that flickers must not fill the outbox


@dataclass(frozen=True)
class TimedCrossing:
    """A crossing and when its frame was taken, in seconds since 1970."""

    crossing: Crossing
    at: float


@dataclass(frozen=True)
class TimedStateChange:
    """A change of a state and when its frame was taken, in seconds since 1970."""

    change: StateChange
    at: float


@dataclass(frozen=True)
class QualityChange:
    """From when on another quality held, in seconds since 1970."""

    before: Quality
    quality: Quality
    at: float


@dataclass(frozen=True)
class WindowCounts:
    """What a CountReport says of one camera and window, apart from what the store adds.

    Args:
        camera: its id.
        window: its borders.
        frames_seen: frames that were counted.
        frames_dropped: frames that were not, by cause.
        coverage: observed seconds over the window's, 0 to 1; 0 where no frame was counted.
        quality: what held for most of the window, the worse of equals; never ``ok`` where no frame was counted.
        count: things in the picture; None where no frame was counted, which is not the same as zero, and of a model
            that classifies.
        zones: things in each zone, and visits; None likewise.
        lines: crossings of the window; every line is there, and with no frame counted it is empty with coverage 0.
        artifacts: digests of what counted its frames, in the order in which they did.
        crossings: one by one, in their order; the same that ``lines`` adds up.
        changes: of the quality, in their order; of very many the first and the last.
        states: of every question; with no frame counted they are empty.
        state_changes: one by one, in their order.
        scale: what the model's counts were multiplied with; None where they are as it gave them.
        newest: monotonic seconds at which the last frame counted in it was taken; None where none was.
    """

    camera: str
    window: Window
    frames_seen: int
    frames_dropped: Mapping[str, int]
    coverage: float
    quality: Quality
    count: Level | None
    zones: Mapping[str, ZoneCounts | None]
    lines: Mapping[str, Tally]
    artifacts: tuple[str, ...] = ()
    crossings: tuple[TimedCrossing, ...] = ()
    changes: tuple[QualityChange, ...] = ()
    states: Mapping[str, StateSums] = field(default_factory=dict)
    state_changes: tuple[TimedStateChange, ...] = ()
    scale: float | None = None
    newest: float | None = None

    @property
    def tallies(self) -> dict[str, Tally]:
        """What each counter of the camera rises by, under the names that `agent.counting.totals` gives them."""
        entries = {state_key(name): entries_tally(sums.entries) for name, sums in self.states.items()}
        return {**self.lines, **entries}

    @property
    def events(self) -> int:
        """How many events it tells of."""
        return len(self.crossings) + len(self.changes) + len(self.state_changes)


@dataclass(frozen=True)
class _Note:
    """Something that holds from a moment on: a frame's counts, or a quality without one."""

    at: float
    quality: Quality
    frame: FrameCounts | None = None
    artifact: str | None = None


class WindowAccumulator:
    """Adds up one camera's frames, window by window.

    A frame is taken to show what was there from when it was taken until the next one, at most for `longest_gap`; over
    the end of a window it goes on into the next. So means are over observed time, not over frames, and a burst of
    frames weighs no more than the time that it took. What was taken after a window's end is kept for the next one, also
    where `close` is called a little late (up to 5 s). A frame that is counted only after its window was closed is
    counted in the next one: crossings are never lost, and never counted twice.

    Args:
        camera: whose frames; its lines and zones are reported even where nothing happened.
        begins: monotonic seconds at which the first window begins to be kept.
        quality: what holds until the first frame.
        questions: of a classifier; they are reported even where nothing happened.
    """

    def __init__(
        self,
        camera: CameraConfig,
        begins: float,
        quality: Quality = "no_camera",
        questions: Sequence[Question] = (),
    ) -> None:
        self._camera = camera
        self._questions = [question.name for question in questions]
        self._longest_gap = longest_gap(camera)
        self._now = self._latest = begins
        self._quality: Quality = quality
        self._shown: FrameCounts | None = None
        self._shown_until = begins
        self._dropped: dict[str, int] = {}
        self._notes: deque[_Note] = deque()  # by rising time; of the last moments only
        self._clear()

    def observe(self, frame: FrameCounts, at: float, artifact: str | None = None) -> None:
        """Add a frame that was counted; from now on the quality is ``ok``.

        Args:
            frame: its counts.
            at: when it was taken, in monotonic seconds.
            artifact: digest of what counted it.
        """
        self._take(_Note(max(at, self._latest), "ok", frame, artifact))

    def note(self, quality: Quality, at: float) -> None:
        """Say what holds from ``at`` (monotonic seconds) until the next frame or note; not ``ok`` ends observation."""
        self._take(_Note(max(at, self._latest), quality))

    def close(
        self, window: ClockWindow, dropped: Mapping[str, int] | None = None, *, everything: bool = False
    ) -> WindowCounts:
        """End a window and begin the next.

        Args:
            window: the one that ended.
            dropped: frames dropped since the camera was opened, by cause: a counter that only rises, or begins anew.
            everything: whether frames that were taken after the window's end belong to it too, as no other window of
                this definition comes after it.

        Returns:
            What the frames since the last close add up to.
        """
        self._settle(math.inf if everything else window.ends)
        self._move_to(window.ends)
        counted = self._frames > 0
        counts = WindowCounts(
            camera=self._camera.id,
            window=Window(start=utc_text(window.start), end=utc_text(window.end)),
            frames_seen=self._frames,
            frames_dropped=self._newly_dropped(dropped or {}),
            coverage=min(1.0, self._seconds["ok"] / window.seconds) if counted else 0.0,
            quality=self._prevailing(),
            count=self._count.level() if counted else None,
            zones={name: sums.counts() if counted else None for name, sums in self._zones.items()},
            lines={line.name: self._crossed(line.name) for line in self._camera.line},
            artifacts=tuple(self._artifacts),
            crossings=tuple(TimedCrossing(crossing, window.utc(at)) for crossing, at in self._crossings),
            changes=tuple(QualityChange(before, quality, window.utc(at)) for before, quality, at in self._changes),
            states={name: sums if counted else StateSums() for name, sums in self._states.items()},
            state_changes=tuple(TimedStateChange(change, window.utc(at)) for change, at in self._state_changes),
            scale=self._camera.scale if self._camera.scale != 1 else None,
            newest=self._newest,
        )
        self._clear()
        return counts

    def redefine(self, camera: CameraConfig) -> None:
        """Add up the frames from here on for other lines, zones and limits of the same camera; close the window first.

        What the last frame showed ends here, as it says nothing of what is new.
        """
        self._camera = camera
        self._longest_gap = longest_gap(camera)
        self._shown = None
        self._clear()

    def _clear(self) -> None:
        self._frames = 0
        self._seconds: dict[Quality, float] = dict.fromkeys(_WORST_FIRST, 0.0)
        self._count = Levels()
        self._zones = {zone.name: ZoneSums() for zone in self._camera.zone}
        self._states = {name: StateSums() for name in self._questions}
        self._crossings: list[tuple[Crossing, float]] = []
        self._state_changes: list[tuple[StateChange, float]] = []
        self._changes: list[tuple[Quality, Quality, float]] = []
        self._artifacts: list[str] = []
        self._newest: float | None = None

    def _take(self, note: _Note) -> None:
        self._latest = note.at
        self._notes.append(note)
        self._settle(note.at - _HELD)

    def _settle(self, until: float) -> None:
        """Take into the open window what happened before ``until``."""
        while self._notes and self._notes[0].at < until:
            note = self._notes.popleft()
            self._move_to(note.at)
            self._hold(note.quality, note.at)
            if note.frame is not None:
                self._add(note.frame, note.at, note.artifact)
                self._newest = note.at

    def _hold(self, quality: Quality, at: float) -> None:
        if quality != self._quality:
            del self._changes[_MOST_CHANGES - 1 :]
            self._changes.append((self._quality, quality, at))
        self._quality = quality
        if quality != "ok":
            self._shown = None

    def _add(self, frame: FrameCounts, at: float, artifact: str | None) -> None:
        self._shown, self._shown_until = frame, self._now + self._longest_gap
        self._frames += 1
        self._crossings += [(crossing, at) for crossing in frame.crossings]
        for name, visits in (frame.visits or {}).items():
            self._zones[name].take(visits, frame.stays.get(name, ()))
        for change in frame.changes:
            self._states[change.question].enter(change)
            self._state_changes.append((change, at))
        if artifact is not None and artifact not in self._artifacts[-1:]:
            self._artifacts.append(artifact)
        self._show(frame, 0.0)

    def _move_to(self, at: float) -> None:
        """Give the time since the last move to what held in it."""
        rest = max(0.0, at - self._now)
        if self._shown is not None:
            observed = min(rest, max(0.0, self._shown_until - self._now))
            if observed > 0:
                self._show(self._shown, observed)
            rest -= observed
            self._seconds["ok"] += observed
        self._seconds["stale" if self._quality == "ok" else self._quality] += rest
        self._now = max(at, self._now)

    def _show(self, frame: FrameCounts, seconds: float) -> None:
        if frame.count is not None:
            self._count.add(frame.count, seconds)
        for name, value in frame.zones.items():
            self._zones[name].hold(value, seconds)
        for name, state in frame.states.items():
            self._states[name].hold(state, seconds)

    def _prevailing(self) -> Quality:
        """What held for most of the window; with no frame counted, what is wrong."""
        candidates = _WORST_FIRST if self._frames else _WORST_FIRST[:-1]
        most = max(self._seconds[quality] for quality in candidates)
        if not self._frames and most == 0:
            return "stale"
        return next(quality for quality in candidates if self._seconds[quality] == most)

    def _crossed(self, name: str) -> Tally:
        return tally(crossing for crossing, _ in self._crossings if crossing.line == name)

    def _newly_dropped(self, dropped: Mapping[str, int]) -> dict[str, int]:
        """How many were dropped since the last close; a counter that fell began anew."""
        new = {}
        for cause, number in dropped.items():
            before = self._dropped.get(cause, 0)
            new[cause] = number - before if number >= before else number
        self._dropped = dict(dropped)
        return new
