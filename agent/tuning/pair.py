"""Two settings measured in turn, in a process beside this one."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from pydantic import ValidationError
from typing_extensions import Self

from agent.tuning.child import Answer, PairJob
from agent.tuning.rules import Round
from contracts.errors import DeviceError

TIME_LIMIT = 300.0
"""Seconds that one answer may take; the first one opens both settings, on a board that has its hands full."""

_LOOK = 0.2  # seconds between two looks at whether it is still wanted
_LONGEST_LINE = 1 << 16  # bytes
_LAST_WORDS = 300  # characters of what a process said that died
_ROOT = Path(__file__).parents[2]  # our packages; nothing that lies about elsewhere is imported


class MeasuringStoppedError(Exception):
    """Nobody waits for the measurement any more; it says nothing about what was measured."""


class Pair:
    """A process that measures two settings; to be entered and left.

    Args:
        job: which ones.
        stopped: asked a few times a second; true ends it.
        time_limit: seconds that one answer may take.

    Attributes:
        cpu_s: CPU seconds that the rounds took so far, opening included.
    """

    def __init__(
        self, job: PairJob, stopped: Callable[[], bool] = lambda: False, time_limit: float = TIME_LIMIT
    ) -> None:
        self._job = job
        self._stopped = stopped
        self._time_limit = time_limit
        self._pending = b""
        self.cpu_s = 0.0

    def __enter__(self) -> Self:
        self._said = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "agent.tuning.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            cwd=_ROOT,
        )
        self._ask(self._job.model_dump_json())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._said):
            if pipe is not None:
                pipe.close()

    def round(self) -> Round:
        """Measure both once.

        Raises:
            DeviceError: one of them does not run here, the process died or took too long.
            MeasuringStoppedError: it was stopped.
        """
        self._ask("")
        answer = self._answer()
        if answer.round is None:
            raise DeviceError(answer.problem)
        self.cpu_s = answer.cpu_s
        return answer.round

    def _ask(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            os.write(self._process.stdin.fileno(), line.encode() + b"\n")
        except BrokenPipeError:
            raise self._died() from None

    def _answer(self) -> Answer:
        assert self._process.stdout is not None
        file = self._process.stdout.fileno()
        deadline = time.monotonic() + self._time_limit
        poll = select.poll()
        poll.register(file, select.POLLIN)
        while b"\n" not in self._pending:
            if self._stopped():
                raise MeasuringStoppedError("measuring was stopped")
            if time.monotonic() > deadline:
                raise DeviceError(f"it gave no answer within {self._time_limit:.0f} s")
            if poll.poll(_LOOK * 1000):
                part = os.read(file, 1 << 16)
                if not part or len(self._pending) > _LONGEST_LINE:
                    raise self._died()
                self._pending += part
        line, _, self._pending = self._pending.partition(b"\n")
        try:
            return Answer.model_validate_json(line)
        except ValidationError:
            raise DeviceError(f"the measuring process said {line[:60]!r}, expected figures; see its runtime") from None

    def _died(self) -> DeviceError:
        self._process.kill()
        code = self._process.wait()
        self._said.seek(0)
        words = self._said.read().decode(errors="replace").strip()[-_LAST_WORDS:]
        return DeviceError(f"the measuring process ended with {code}: {words or 'it said nothing'}")
