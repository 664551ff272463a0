"""``self-test``: the box tries its parts while it counts, and says of each what was done and found."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.camera_unit import CameraUnit
from agent.disk import Disk
from agent.engines.supply import EngineSupply
from agent.host import clock_synced
from agent.limited_log import LimitedLog
from agent.model import RunningForm
from agent.rpc.ports import Agent, Trial, TrialResult
from contracts.documents import without_credentials
from contracts.errors import EdgetallyError, StorageError
from contracts.messages import Quality
from contracts.rpc import CheckedPart, RpcRequest, SelfTest
from runtime.artifact_lanes import open_artifact_lanes
from runtime.bundle import Bundle
from runtime.golden import check_golden

_log = LimitedLog(logging.getLogger(__name__), seconds=60.0)

_PROBE = "self-test"  # the file that is written
_GB = 1e9


@dataclass(frozen=True)
class CameraSeen:
    """How a camera does.

    Args:
        quality: of its counts.
        age: seconds since a frame of it was counted last; None before the first.
        problem: what is wrong with it, without credentials.
    """

    quality: Quality
    age: float | None
    problem: str | None


def run_self_test(request: RpcRequest, agent: Agent) -> SelfTest:
    """Carry it out; every part is tried, whatever became of those before."""
    del request
    parts = tuple(_tried(trial) for trial in agent.trials())
    return SelfTest(passed=all(part.passed is not False for part in parts), parts=parts)


def box_trials(models: Iterable[Trial], state_dir: Path, units: Iterable[CameraUnit]) -> list[Trial]:
    """Everything that a running box can try.

    Args:
        models: `model_trial` of each.
        state_dir: where it keeps what must not be lost.
        units: its cameras.
    """
    now = time.monotonic()
    cameras = {unit.id: _seen(unit, now) for unit in units}
    return [*models, broker_trial(), disk_trial(state_dir), clock_trial(clock_synced), *camera_trials(cameras)]


def _seen(unit: CameraUnit, now: float) -> CameraSeen:
    health, last = unit.health(now), unit.last_counted_at
    return CameraSeen(health.quality, None if last is None else now - last, health.problem)


def model_trial(slot: str, bundle: Bundle, engines: EngineSupply, form: Callable[[], RunningForm | None]) -> Trial:
    """The golden samples on the artifact that counts, through a lane of their own: those that count never wait.

    It takes the memory of one lane more for as long as it lasts.

    Args:
        slot: of the model.
        bundle: its bundle.
        engines: those of this box.
        form: what serves when it is tried; None where nothing does.
    """

    def run() -> TrialResult:
        serving = form()
        if serving is None:
            return TrialResult(passed=False, text="no model counts yet; 'facts' says what each artifact waits for")
        artifact, precision = serving.artifact, serving.execution_precision
        entry = engines.engine(bundle.manifest.model.name, artifact)
        (lane,) = open_artifact_lanes(bundle, artifact, execution_precision=precision, entry=entry)
        try:
            check_golden(lane, bundle, artifact, precision)
        finally:
            lane.close()
        samples = len(bundle.manifest.golden)
        where = "on a lane opened beside those that count"
        return TrialResult(
            passed=True, text=f"{artifact.id} in {precision} passes its {samples} golden samples, {where}"
        )

    return Trial(f"model {slot}", run)


def broker_trial() -> Trial:
    """Nothing is left to try: the request came through the broker."""
    text = "the request came through it, and where you read this the reply went through it too"
    return Trial("broker", lambda: TrialResult(passed=True, text=text))


def disk_trial(state_dir: Path) -> Trial:
    """A small file is written, flushed, read and removed."""

    def run() -> TrialResult:
        disk, data = Disk(state_dir), os.urandom(16)
        disk.replace(_PROBE, data)
        try:
            if disk.read(_PROBE) != data:
                return TrialResult(
                    passed=False, text=f"{state_dir} gives back other bytes than were written; replace the disk"
                )
            (state_dir / _PROBE).unlink()
            room = os.statvfs(state_dir)
        except OSError as error:
            raise StorageError(str(state_dir), error) from error
        free = room.f_bavail * room.f_frsize / _GB
        return TrialResult(passed=True, text=f"{state_dir} takes and gives back a file, {free:.1f} GB are free")

    return Trial("disk", run)


def clock_trial(synced: Callable[[], bool | None]) -> Trial:
    """What the system says of its clock."""

    def run() -> TrialResult:
        found = synced()
        if found is None:
            return TrialResult(passed=None, text="the system does not tell whether its clock is synchronised")
        if not found:
            return TrialResult(
                passed=False, text="the clock is not synchronised; check the time server and the network"
            )
        return TrialResult(passed=True, text="the clock is synchronised")

    return Trial("clock", run)


def camera_trials(cameras: Mapping[str, CameraSeen]) -> list[Trial]:
    """Whether fresh frames of each camera are counted."""
    return [Trial(f"camera {name}", lambda seen=seen: _camera(seen)) for name, seen in cameras.items()]  # type: ignore[misc]


def _camera(seen: CameraSeen) -> TrialResult:
    text = "no frame was counted yet" if seen.age is None else f"the last frame was counted {seen.age:.1f} s ago"
    problem = f": {seen.problem}" if seen.problem else ""
    return TrialResult(passed=seen.quality == "ok", text=f"quality is {seen.quality}, {text}{problem}")


def _tried(trial: Trial) -> CheckedPart:
    begun = time.perf_counter()
    try:
        found = trial.run()
    except EdgetallyError as error:
        found = TrialResult(passed=False, text=without_credentials(str(error)))
    except Exception:  # noqa: BLE001 - the parts after it are tried all the same
        _log.exception("the self-test failed inside on %s", trial.part)
        found = TrialResult(passed=False, text="the test itself failed; see the log")
    seconds = round(time.perf_counter() - begun, 3)
    return CheckedPart(part=trial.part, passed=found.passed, text=found.text, seconds=seconds)
