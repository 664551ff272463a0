"""The heartbeat: the service manager hears that the counting loops turn over, and hears nothing once one stands still.

A camera that gives no frames, or a broker that is away, is no standstill: starting the agent anew would mend neither. A
frame that does not come out of the lanes is one, and so is a daemon that does not come round.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from agent.service.manager import ServiceManager

_log = logging.getLogger(__name__)

_HANGS = 0.5  # of the watchdog's time, in the lanes
_BEATS = 4.0  # in the watchdog's time
_SAY_SECONDS = 10.0  # between two lines of status, where nothing watches


@dataclass(frozen=True)
class Pulse:
    """How the agent does.

    Args:
        standstill: seconds that the oldest frame under way is in the lanes, or that one waits and none is taken.
        counting: cameras of which fresh frames are counted.
        cameras: all.
        fps: frames counted a second, of all cameras.
        connected: whether the broker is.
    """

    standstill: float
    counting: int
    cameras: int
    fps: float
    connected: bool

    @property
    def words(self) -> str:
        """For a person who looks at the service."""
        broker = "broker connected" if self.connected else "broker away, reports wait"
        return f"counting {self.counting} of {self.cameras} cameras, {self.fps:.0f} frames/s; {broker}"


class Heart:
    """Beats for one thread, apart from `stop`.

    Args:
        manager: hears it.
        pulse: tells how the agent does at a moment, in monotonic seconds.
        note: what a person should know of this run beside it; None where nothing is.
    """

    def __init__(self, manager: ServiceManager, pulse: Callable[[float], Pulse], note: str | None = None) -> None:
        self._manager = manager
        self._pulse = pulse
        self._note = "" if note is None else f"{note}; "
        self._patience = None if manager.watchdog is None else manager.watchdog * _HANGS
        self._every = _SAY_SECONDS if manager.watchdog is None else manager.watchdog / _BEATS
        self._next: float | None = None
        self._stands = False

    def beat(self, now: float) -> None:
        """The daemon came round; the first time says that the agent is ready.

        Args:
            now: monotonic seconds.
        """
        if self._next is not None and now < self._next:
            return
        ready = "READY=1\n" if self._next is None else ""
        self._next = now + self._every
        pulse = self._pulse(now)
        words = f"{ready}STATUS={self._note}{pulse.words}\n"
        if self._patience is None or pulse.standstill < self._patience:
            self._stands = False
            self._manager.tell(f"{words}WATCHDOG=1\n")
            return
        if not self._stands:
            _log.critical("a lane stands still for %.0f s; the watchdog is not fed any more", pulse.standstill)
        self._stands = True
        self._manager.tell(f"{ready}STATUS=a lane stands still for {pulse.standstill:.0f} s; a restart is due\n")

    def stop(self) -> None:
        """The end begins; any thread may say so, and a signal's handler."""
        self._manager.tell("STOPPING=1\nSTATUS=closing the open window\n")
