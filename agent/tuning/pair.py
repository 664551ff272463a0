"""Two settings measured in turn, in a process beside this one."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from pydantic import ValidationError
from typing_extensions import Self

from agent.beside import Beside
from agent.tuning.child import Answer, PairJob
from agent.tuning.rules import Round
from contracts.errors import DeviceError

TIME_LIMIT = 300.0
"""Seconds that one answer may take; the first one opens both settings, on a board that has its hands full."""


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
        self._process = Beside("agent.tuning.child", "the measuring process", stopped, time_limit, nice=job.nice)
        self.cpu_s = 0.0

    def __enter__(self) -> Self:
        self._process.__enter__()
        try:
            self._process.ask(self._job.model_dump_json())
        except DeviceError as error:
            self._process.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.__exit__(kind, error, at)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def round(self) -> Round:
        """Measure both once.

        Raises:
            DeviceError: one of them does not run here, the process died or took too long.
            MeasuringStoppedError: it was stopped.
        """
        self._process.ask("")
        line = self._process.answer()
        if line is None:
            raise MeasuringStoppedError("measuring was stopped")
        try:
            answer = Answer.model_validate_json(line)
        except ValidationError:
            raise DeviceError(f"the measuring process said {line[:60]!r}, expected figures; see its runtime") from None
        if answer.round is None:
            raise DeviceError(answer.problem)
        self.cpu_s = answer.cpu_s
        return answer.round
