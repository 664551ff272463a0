"""Trying a new bundle on this very box before it may count: in a process that may crash, hang or be ended."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from agent.beside import Beside, ProcessDiedError, ProcessSilentError
from agent.tuning.ground import Ground
from agent.update.errors import UpdateError, UpdateStoppedError
from agent.update.ports import Stopped
from agent.update.selftest_child import Answer, SelfTestJob, SelfTestResult
from contracts.config import CameraConfig
from contracts.documents import without_credentials

TIME_LIMIT = 600.0
"""Seconds for all of it: a large model is loaded from a slow card while a small board counts at full load."""

NICE = 10  # as measuring settings does; docs/tuning.md has what it costs

PROCESSOR_SLACK = 1.2
"""A model is too slow only where so many times its measured rate is not enough: a short measurement is not exact."""

ACCELERATOR_SLACK = 2.4
"""The same on an accelerator, which the model that counts uses meanwhile: what was left of it may be half."""

_CHILD = "agent.update.selftest_child"
_REASON = 2000  # characters of what came back


def run_selftest(
    job: SelfTestJob, stopped: Stopped = lambda: False, *, need: float | None = None, limit: float = TIME_LIMIT
) -> SelfTestResult:
    """Have a bundle opened, proven and measured as the agent would run it.

    Args:
        job: what is tested.
        stopped: asked a few times a second; true ends it.
        need: frames a second that it has to count, see `needed_fps`; None where nobody knows.
        limit: seconds that it may take.

    Raises:
        UpdateError: ``golden_mismatch``, ``no_artifact_fits``, ``bundle_invalid``, ``build_failed``,
            ``selftest_crashed`` (also where it hangs) or ``too_slow``; with every reason.
        UpdateStoppedError: it was stopped.
        OSError: no process can be started.
    """
    job = job.model_copy(update={"bundle": job.bundle.resolve(), "engines": job.engines.resolve()})
    result = _asked(job, stopped, limit)
    problem = too_slow(result, need)
    if problem is not None:
        raise UpdateError("too_slow", problem)
    return result


def job_of(ground: Ground, engines: Path) -> SelfTestJob:
    """The test of what there is to be run of a bundle.

    Args:
        ground: the bundle on this box.
        engines: folder of the box's engines, `agent.settings.engines_dir`.
    """
    preference = ground.preference()
    return SelfTestJob(
        bundle=ground.bundle.path,
        facts=dict(ground.facts),
        wanted=ground.wanted,
        engines=engines,
        measured=None if preference is None else preference.first,
    )


def needed_fps(cameras: Sequence[CameraConfig], coming: Mapping[str, float]) -> float | None:
    """Frames a second that a model has to count at the least; None where nothing is known of any camera.

    Args:
        cameras: those that it counts.
        coming: camera id to frames a second that come now. A camera of which none come is expected to give what it is
            set to; one that gives fewer than it is set to needs no more than it gives.
    """
    needs = (_need(camera, coming.get(camera.id, 0.0)) for camera in cameras)
    known = [need for need in needs if need is not None]
    return sum(known) if known else None


def _need(camera: CameraConfig, coming: float) -> float | None:
    wanted = camera.fps or camera.capture_fps
    if coming <= 0:
        return wanted
    return coming if wanted is None else min(wanted, coming)


def too_slow(result: SelfTestResult, need: float | None) -> str | None:
    """Why a model cannot keep up, for sure; None where it may."""
    slack = PROCESSOR_SLACK if result.on_processor else ACCELERATOR_SLACK
    if need is None or result.figures.fps * slack >= need:
        return None
    return (
        f"its cameras give {need:.1f} frames a second, {result.setting} was measured to count {result.figures.fps:.1f} "
        f"here ({result.frame_ms:.1f} ms a frame); give the cameras a lower `fps`, or release a smaller model"
    )


def _asked(job: SelfTestJob, stopped: Stopped, limit: float) -> SelfTestResult:
    try:
        with Beside(_CHILD, "the self-test of the new model", stopped, limit, nice=NICE) as process:
            process.ask(job.model_dump_json())
            line = process.answer()
    except ProcessDiedError as error:
        raise UpdateError("selftest_crashed", _crashed(error)) from error
    except ProcessSilentError as error:
        raise UpdateError(
            "selftest_crashed",
            f"the new model did not finish its self-test within {limit:.0f} s, and would hang the agent; "
            "try it on such a box by hand: edgetally-agent check",
        ) from error
    if line is None:
        raise UpdateStoppedError("the self-test was stopped")
    return _read(line)


def _read(line: bytes) -> SelfTestResult:
    try:
        answer = Answer.model_validate_json(line)
    except ValidationError:
        raise UpdateError(
            "selftest_crashed", f"the self-test said {line[:60]!r}, expected a result; see the model's runtime"
        ) from None
    if answer.result is None:
        reason = without_credentials(answer.problem)[:_REASON]
        raise UpdateError(answer.code or "selftest_crashed", reason)
    return answer.result


def _crashed(error: ProcessDiedError) -> str:
    words = f"; the last it said: {error.words}" if error.words else ", and it said nothing"
    if error.code >= 0:
        return f"the self-test of the new model ended with exit code {error.code}{words}"
    why = ", which the kernel does where memory runs out" if error.code == -signal.SIGKILL else ""
    return f"the self-test of the new model was ended by signal {_name(-error.code)}{why}{words}"


def _name(number: int) -> str:
    try:
        return f"{number} ({signal.Signals(number).name})"
    except ValueError:  # a real-time signal has no name
        return str(number)
