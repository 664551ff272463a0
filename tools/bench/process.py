"""Measuring processes: each a Python of its own, so that none warms another's caches or keeps its memory."""

from __future__ import annotations

import contextlib
import resource
import signal
import subprocess
import sys
from typing import TypeVar

from contracts.documents import MachineModel
from contracts.errors import EdgetallyError

_LAST_WORDS = 10.0  # seconds in which a process that hangs writes where
_LONGEST = 6000  # characters of that

Answer = TypeVar("Answer", bound=MachineModel)


def measured_by(module: str, job: str, answer: type[Answer], timeout: float | None = None) -> Answer:
    """Run a module on a job and read the last line that it prints.

    Args:
        module: what is run.
        job: its one argument, JSON.
        answer: what it prints as JSON.
        timeout: seconds that it gets.

    Raises:
        EdgetallyError: it failed, and the end of what it said is in it; or it hung, and where is in it.
    """
    command = [sys.executable, "-X", "faulthandler", "-m", module, job]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            printed, said = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            where = _stacks(process)
            raise EdgetallyError(f"{module} did not end within {timeout:g} s; where it was:\n{where}") from None
        finally:
            process.kill()
    if process.returncode:
        raise EdgetallyError(f"{module} failed: {said.strip()[-500:]}")
    return answer.model_validate_json(printed.strip().splitlines()[-1])


def _stacks(process: subprocess.Popen[str]) -> str:
    """End a process that hangs; what it said, and the stack of each of its threads."""
    with contextlib.suppress(ProcessLookupError):  # it ends just now
        resource.prlimit(process.pid, resource.RLIMIT_CORE, (0, 0))  # its memory is not wanted on the disk
    process.send_signal(signal.SIGABRT)
    try:
        _, said = process.communicate(timeout=_LAST_WORDS)
    except subprocess.TimeoutExpired:  # not even that; what is in the pipe is read once it is gone
        process.kill()
        _, said = process.communicate()
    return said.strip()[-_LONGEST:]
