"""Measuring processes: each a Python of its own, so that none warms another's caches or keeps its memory."""

from __future__ import annotations

import subprocess
import sys
from typing import TypeVar

from contracts.documents import MachineModel
from contracts.errors import EdgetallyError

Answer = TypeVar("Answer", bound=MachineModel)


def measured_by(module: str, job: str, answer: type[Answer], timeout: float | None = None) -> Answer:
    """Run a module on a job and read the last line that it prints.

    Args:
        module: what is run.
        job: its one argument, JSON.
        answer: what it prints as JSON.
        timeout: seconds that it gets.

    Raises:
        EdgetallyError: it failed; the end of what it said is in it.
    """
    command = [sys.executable, "-m", module, job]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise EdgetallyError(f"{module} did not end within {timeout:g} s; give it a quieter machine") from None
    if run.returncode:
        raise EdgetallyError(f"{module} failed: {run.stderr.strip()[-500:]}")
    return answer.model_validate_json(run.stdout.strip().splitlines()[-1])
