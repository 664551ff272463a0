"""Having an engine built: the building process started, watched, and ended with whoever asked for it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from contracts.documents import Sha256
from contracts.errors import DeviceError, ModelFileError, StorageError
from runtime.tensorrt.plan import BuildPlan

CHILD = Path(__file__).with_name("build_child.py")
_LOOK = 0.2  # seconds between looks at whether to go on
_LONGEST_LINE = 1 << 16  # bytes
_LAST_WORDS = 2000  # bytes of standard error that are looked at


@dataclass(frozen=True)
class BuildJob:
    """What is to be built.

    Args:
        plan: how.
        onnx: from what.
        engine: the file to write; its folder exists.
        timing_cache: the file of timings to start from and to replace; its folder exists. None keeps none.
        python: the interpreter that has TensorRT; None is this one.
        seconds: how long it may take.
    """

    plan: BuildPlan
    onnx: Path
    engine: Path
    timing_cache: Path | None = None
    python: Path | None = None
    seconds: float = 3 * 3600.0


@dataclass(frozen=True)
class BuildProgress:
    """How far a build is.

    Args:
        seconds: since it began.
        fraction: 0 to 1 as TensorRT tells it, from 10.0 on; None before.
        phase: what it does, as TensorRT calls it.
    """

    seconds: float
    fraction: float | None = None
    phase: str = ""


class Built(BaseModel):
    """What came of a build.

    Attributes:
        sha256: of the engine.
        size: of it, in bytes.
        seconds: that the build took.
        tensorrt: the version that built it.
    """

    sha256: Sha256
    size: int = Field(gt=0)
    seconds: float
    tensorrt: Annotated[str, Field(max_length=64)]


class _Line(BaseModel):
    progress: float | None = Field(None, ge=0, le=1)
    phase: Annotated[str, Field(max_length=200)] = ""
    done: Built | None = None
    error: Annotated[str | None, Field(max_length=20000)] = None
    kind: str = ""


class BuildCancelledError(DeviceError):
    """Whoever asked for the engine does not want it any more."""


def build_engine(
    job: BuildJob,
    on_progress: Callable[[BuildProgress], None] = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Built:
    """Build an engine in a process of its own and wait for it.

    The process ends when this thread does. However it ends, a half engine is at most in ``job.engine``, which is the
    caller's to move into place or remove.

    Args:
        job: what is to be built.
        on_progress: told a few times a second.
        cancelled: asked as often; the process is killed once it is true.

    Raises:
        ModelFileError: TensorRT refuses the model; the sentence names the nodes.
        DeviceError: this box cannot build it, or the process was killed, as the kernel does where memory runs out.
        BuildCancelledError: it was cancelled.
        StorageError: the job cannot be written.
    """
    with tempfile.TemporaryFile() as errors, _started(job, errors.fileno()) as process:
        started = time.monotonic()
        said = _Line()
        progress = BuildProgress(0.0)
        for line in _lines(process):
            said = line or said
            if line and line.progress is not None:
                progress = BuildProgress(0.0, line.progress, line.phase)
            seconds = time.monotonic() - started
            if cancelled():
                raise BuildCancelledError(f"building {job.engine.name} was cancelled after {seconds:.0f} s")
            if seconds > job.seconds:
                raise DeviceError(f"building the engine took more than {job.seconds:g} s; choose another artifact")
            on_progress(BuildProgress(seconds, progress.fraction, progress.phase))
        code = process.wait()
        return _outcome(said, code, _last_line(errors.fileno()))


@contextlib.contextmanager
def _started(job: BuildJob, errors: int) -> Iterator[subprocess.Popen[bytes]]:
    """The running process, in a group of its own that is killed at the end."""
    description = job.engine.with_name(f"{job.engine.name}.job.json")
    document = {
        "plan": job.plan.model_dump(mode="json"),
        "onnx": str(job.onnx.resolve()),
        "engine": str(job.engine.resolve()),
        "timing_cache": str(job.timing_cache.resolve()) if job.timing_cache else None,
        "parent": os.getpid(),
    }
    try:
        description.write_text(json.dumps(document))
    except OSError as error:
        raise StorageError(str(description), error) from error
    command = [str(job.python or sys.executable), str(CHILD), str(description)]
    try:
        process = subprocess.Popen(  # noqa: S603 - the interpreter that the operator named, or this one
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
        )
    except OSError as error:
        raise DeviceError(f"{command[0]} does not start: {error.strerror}; name another Python") from error
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout:
            process.stdout.close()
        description.unlink(missing_ok=True)


def _lines(process: subprocess.Popen[bytes]) -> Iterator[_Line | None]:
    """What the process says, a line at a time, and None a few times a second while it says nothing."""
    assert process.stdout is not None
    file = process.stdout.fileno()
    poll = select.poll()
    poll.register(file, select.POLLIN)
    pending = b""
    while True:
        if not poll.poll(_LOOK * 1000):
            yield None
            continue
        part = os.read(file, 1 << 16)
        if not part:
            return
        *lines, pending = (pending + part).split(b"\n")
        if len(pending) > _LONGEST_LINE:
            raise DeviceError(
                f"the building process says a line of more than {_LONGEST_LINE} bytes; look at its Python"
            )
        yield from (_parsed(line) for line in lines)


def _parsed(line: bytes) -> _Line:
    try:
        return _Line.model_validate_json(line)
    except ValidationError as error:
        raise DeviceError(
            f"the building process should say JSON objects, got {line[:60]!r}; look at its Python"
        ) from error


def _outcome(said: _Line, code: int, last_words: str) -> Built:
    if said.done is not None and code == 0:
        return said.done
    if said.error is not None:
        sentence = f"{said.error}; choose another artifact"
        raise ModelFileError(sentence) if said.kind == "model" else DeviceError(sentence)
    told = f" ({last_words})" if last_words else ""
    if code == -signal.SIGKILL:
        raise DeviceError(
            f"building the engine was ended by SIGKILL{told}, as the kernel does where memory runs out: add swap, or "
            "choose a smaller model"
        )
    how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
    raise DeviceError(f"building the engine ended {how}{told}; choose another artifact")


def _last_line(file: int) -> str:
    size = os.fstat(file).st_size
    text = os.pread(file, _LAST_WORDS, max(0, size - _LAST_WORDS)).decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:500] if lines else ""
