"""The steps that look whether a model does what it should: proven beside what counts, and watched while it counts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from agent.disk import Disk
from agent.drift.counts import UsualHours
from agent.drift.hours import LocalTime, local_time
from agent.records import RecordDamagedError, Records
from agent.settings import engines_dir
from agent.update.comparison import ShadowJudge
from agent.update.conditions import Now, wait_of
from agent.update.continuity import Past
from agent.update.errors import UpdateError, UpdateStoppedError, UpdateWaitsError
from agent.update.on_site import OnSite
from agent.update.ports import Note, Stopped
from agent.update.probation import Before, Evidence, Failing, NotYet, Passed, judge
from agent.update.rules import Attempt, survived
from agent.update.selftest import job_of, needed_fps, run_selftest
from agent.update.shadow import Pair, ShadowTap, run_shadow
from agent.update.steps import Means
from agent.update.takeover import load
from agent.update.updater import Done
from agent.update.witness import Witness
from contracts.config import CameraConfig
from contracts.documents import MachineModel
from contracts.health import Telemetry
from contracts.model_spec import ModelSpec
from contracts.update_config import UpdateConfig

_BEFORE = "before"
_LOOK_SECONDS = 1.0  # between two looks at what is on probation
_SAMPLE_SECONDS = 5.0  # between two that are kept
_SURVIVED_SECONDS = 120.0  # that it counts before it is believed not to crash the agent
_MOST_SAMPLES = 2000  # a day of long probation is judged on its newest


class KeptBefore(MachineModel):
    """How the box was before an attempt took over, for a start of the agent in the midst of its probation."""

    attempt: int
    before: Before


@dataclass(frozen=True)
class Watching:
    """What the steps look with.

    Args:
        witness: of the box.
        config: of its updates.
        disk: the folder of the update.
        telemetry: what the hardware tells.
        synced: whether the wall clock is synchronised; None where nobody can tell.
        wall: seconds since 1970.
        monotonic: seconds since boot.
        local: the box's own time.
    """

    witness: Witness
    config: UpdateConfig
    disk: Disk
    telemetry: Callable[[], Telemetry | None]
    synced: Callable[[], bool | None]
    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    local: LocalTime = local_time

    def selftest(self, means: Means, attempt: Attempt, note: Note, stopped: Stopped) -> Done:
        """Prove each model on this very box, in a process that may crash."""
        rates = self.witness.rates()
        for slot, model in attempt.resolved.items():
            bundle = means.bundle(model)
            note(f"proving {model.name} {model.version} on this box", None)
            ground = means.box.ground(slot, bundle.path)
            job = job_of(ground, engines_dir(means.box.config))
            cameras = [camera for camera in means.box.config.camera if camera.model == slot]
            try:
                run_selftest(job, stopped, need=needed_fps(cameras, rates))
            except OSError as error:
                reason = f"no process can be started for the self-test ({error.strerror}); free some memory"
                raise UpdateWaitsError(reason, 60.0, "internal") from error
        return Done()

    def shadow(self, means: Means, attempt: Attempt, note: Note, stopped: Stopped) -> Done:
        """Run each new model beside the one that counts, and compare what they see."""
        running = means.journal.active.running.models
        for slot, model in attempt.resolved.items():
            if running.get(slot) != model:
                self._compare(means, slot, means.bundle(model).path, note, stopped)
        return Done()

    def _compare(self, means: Means, slot: str, folder: Path, note: Note, stopped: Stopped) -> None:
        config = self.config.shadow
        assert config is not None, "without it this state has nothing to do"
        opened = load(means.box.ground(slot, folder))
        assert opened.selection.model is not None
        tap = ShadowTap(config.fps)

        def cameras() -> dict[str, CameraConfig]:
            return {camera.id: camera for camera in means.box.config.camera if camera.model == slot}

        def noted(text: str, fraction: float | None) -> None:
            means.box.tap(slot, tap)  # a camera may have been opened anew
            note(text, fraction)

        def old() -> ModelSpec | None:
            form = means.box.form(slot)
            return form.spec if form is not None else None

        try:
            means.box.tap(slot, tap)
            pair = Pair(old, opened.selection.model, cameras)
            judge = ShadowJudge(config, self.monotonic())
            run_shadow(tap, pair, judge, note=noted, stopped=stopped, limit=self.config.patience_hours * 3600)
        finally:
            means.box.tap(slot, None)
            opened.close()

    def gate(self) -> None:
        """Let models take over, or not yet.

        Raises:
            UpdateWaitsError: not yet.
        """
        held = OnSite(self.disk.directory).held()
        now = Now(self.wall(), self.synced(), self.telemetry(), held.why if held is not None else None)
        wait = wait_of(self.config, now, self.local)
        if wait is not None:
            raise UpdateWaitsError(wait.reason, wait.seconds)

    def begin(self, attempt: Attempt) -> None:
        """A model is about to take over: have on the disk how the box is without it.

        Raises:
            StorageError: it could not be written.
        """
        kept = self._kept(attempt)
        # What an earlier run of the agent kept knows more than this one, which has watched for a moment only; what this
        # one kept is of the last try, since when the pointer waited for the disk.
        if kept is None or kept.at == self.witness.begun_at:
            Records(self.disk).write(_BEFORE, KeptBefore(attempt=attempt.number, before=self.witness.before()))

    def probation(self, means: Means, attempt: Attempt, note: Note, stopped: Stopped) -> Done:
        """Watch it count, until it has shown that it does well, or that it does not."""
        before_all = self._before(attempt)
        samples: list[Evidence] = []
        while True:
            if stopped():
                raise UpdateStoppedError("the agent ends")
            cameras = {camera.id for camera in means.box.config.camera if camera.model in attempt.resolved}
            if not cameras and attempt.resolved:
                return Done(settled=("committed", "no camera is counted with it"))
            before = _only(before_all, cameras)
            seen, now = _only(self.witness.evidence(), cameras), self.monotonic()
            if (
                not samples
                or seen.at - samples[-1].at >= _SAMPLE_SECONDS
                or now - before.at >= self.config.probation.seconds
            ):
                samples = [*samples[-_MOST_SAMPLES:], seen]
            verdict = judge(before, samples, self.config.probation, now)
            if isinstance(verdict, Passed):
                return Done(settled=(verdict.code, verdict.text))
            if isinstance(verdict, Failing):
                raise UpdateError(verdict.code, verdict.reason)
            self._be_patient(verdict, now, before)
            self._note_survival(means, seen, now - before.at)
            note(verdict.text, verdict.fraction)
            threading.Event().wait(_LOOK_SECONDS)

    def _be_patient(self, verdict: NotYet, now: float, before: Before) -> None:
        """Raise where it was waited for beyond its time, for longer than the box's patience.

        Raises:
            UpdateError: so it is.
        """
        hours = self.config.patience_hours
        if now - before.at - self.config.probation.seconds > hours * 3600:
            raise UpdateError(verdict.code, f"{verdict.text}, for {hours:g} h ('patience_hours')")

    def _note_survival(self, means: Means, seen: Evidence, elapsed: float) -> None:
        """The agent counts with it, and did not die of it so far: restarts from here on are for other reasons."""
        attempt = means.journal.attempt
        counted = max((camera.counted for camera in seen.cameras.values()), default=0)
        if attempt is not None and attempt.starts and elapsed >= _SURVIVED_SECONDS and counted >= 1:
            means.journal.enter(survived(attempt, 0))

    def _before(self, attempt: Attempt) -> Before:
        """How the box was; of an attempt that was begun by another run of the agent, with the time from here on."""
        kept = self._kept(attempt)
        if kept is not None and kept.at == self.witness.begun_at:
            return kept
        fresh = self.witness.before()
        if kept is None:
            return Before(at=fresh.at, cameras={})
        # What it counted is of another hour by now; how fast it was is not.
        cameras = {
            name: replace(one, past=Past(usual=_usual(fresh, name), crossings=one.past.crossings))
            for name, one in kept.cameras.items()
        }
        return replace(kept, at=fresh.at, cameras=cameras)

    def _kept(self, attempt: Attempt) -> Before | None:
        try:
            kept = Records(self.disk).read(_BEFORE, KeptBefore)
        except RecordDamagedError:
            return None
        return kept.before if kept is not None and kept.attempt == attempt.number else None


def _usual(fresh: Before, camera: str) -> UsualHours | None:
    known = fresh.cameras.get(camera)
    return known.past.usual if known is not None else None


_Seen = TypeVar("_Seen", Before, Evidence)


def _only(seen: _Seen, cameras: Collection[str]) -> _Seen:
    """Of these cameras; of all where none is named."""
    if not cameras:
        return seen
    return replace(seen, cameras={name: one for name, one in seen.cameras.items() if name in cameras})
