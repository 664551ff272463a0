"""The agent's state, read once for all who look, and never waited for longer than a moment."""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import Executor
from dataclasses import dataclass

from agent.limited_log import LimitedLog
from agent.page.ports import AgentState, State
from contracts.errors import DeviceError

_log = LimitedLog(logging.getLogger(__name__), seconds=60.0)

_FRESH = 0.5  # seconds that a state is shown again instead of reading a new one
_PATIENCE = 3.0  # seconds that the agent may take to tell


class SilentAgentError(DeviceError):
    """The agent does not tell how it is."""


@dataclass(frozen=True)
class Seen:
    """A state and its JSON.

    Args:
        at: monotonic seconds.
        state: of the agent.
        text: the same as JSON.
    """

    at: float
    state: AgentState
    text: str


class Watch:
    """Reads the state in a thread, at most one reading at a time.

    Args:
        state: whose.
        worker: runs the readings.
    """

    def __init__(self, state: State, worker: Executor) -> None:
        self._state = state
        self._worker = worker
        self._seen: Seen | None = None
        self._reading: asyncio.Future[Seen] | None = None

    async def look(self) -> Seen:
        """The state of just now.

        Raises:
            SilentAgentError: it could not be read.
        """
        if self._seen is not None and time.monotonic() - self._seen.at < _FRESH:
            return self._seen
        if self._reading is None:
            self._reading = asyncio.get_running_loop().run_in_executor(self._worker, self._read)
        reading = self._reading
        done, _ = await asyncio.wait({reading}, timeout=_PATIENCE)
        if not done:  # goes on; the next who asks waits for the same one
            raise SilentAgentError(f"the agent does not answer within {_PATIENCE:.0f} s; see its log")
        if self._reading is reading:
            self._reading = None
        try:
            self._seen = reading.result()
        except Exception as error:
            _log.exception("the page could not read the agent's state")
            raise SilentAgentError(f"the agent's state cannot be read ({error}); see its log") from error
        return self._seen

    def _read(self) -> Seen:
        state = self._state.read()
        return Seen(time.monotonic(), state, state.model_dump_json(by_alias=True))
