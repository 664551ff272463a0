"""An agent of which one part breaks while it counts: ``python -m tests.integration.faulty_agent PART run --config …``.

The part hangs, or fails once or every time from then on, with an error that nobody foresaw. Where it is a `Panic`,
which no ``except Exception`` holds up (extensions written in Rust raise such), it ends the thread.
"""

from __future__ import annotations

import resource
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent import ending
from agent.camera_set import CameraSet
from agent.camera_unit import CameraUnit
from agent.cameras.mjpeg import MjpegSource
from agent.cameras.synthetic import SyntheticSource
from agent.counting.box_counter import BoxCounter
from agent.ledger import Ledger
from agent.mqtt.pump import Pump
from agent.page.server import PageServer
from agent.service.service import Service
from agent.store import Store
from agent.view import ViewWatch
from runtime.prepare import Preparer


class Panic(BaseException):
    """What no net of the agent's holds up."""


@dataclass(frozen=True)
class Break:
    """How a part breaks.

    Args:
        owner: the class.
        method: of it.
        error: what it raises; None where it hangs, for ever.
        after: calls that work before.
        times: calls that fail, None for all that follow.
    """

    owner: type
    method: str
    error: type[BaseException] | None = RuntimeError
    after: int = 30
    times: int | None = None

    def install(self) -> None:
        """Have it break."""
        whole: Callable[..., Any] = getattr(self.owner, self.method)
        calls = 0

        def breaks(*arguments: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls > self.after and (self.times is None or calls <= self.after + self.times):
                if self.error is None:
                    sys.stderr.write(f"{self.owner.__name__}.{self.method} hangs from here on\n")
                    threading.Event().wait()
                    return None
                raise self.error("rtsp://me:secret@camera/ broke")
            return whole(*arguments, **named)

        setattr(self.owner, self.method, breaks)


@dataclass(frozen=True)
class Short:
    """Short of memory from the start.

    Args:
        room: bytes beside what it has when it begins.
    """

    room: int

    def install(self) -> None:
        """Limit it."""
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + self.room
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


@dataclass(frozen=True)
class Endless:
    """Parts of it hang, and it has less patience with them.

    Args:
        breaks: what hangs.
        seconds: of the end, in order and as the last resort.
    """

    breaks: tuple[Break, ...]
    seconds: tuple[float, float]

    def install(self) -> None:
        """Have them hang."""
        for one in self.breaks:
            one.install()
        in_order, at_last = self.seconds
        ending.Ending.__init__.__defaults__ = (in_order, time.monotonic)
        ending.LastResort.__init__.__defaults__ = (at_last, None)


@dataclass(frozen=True)
class Lasts:
    """A start has lasted sooner.

    Args:
        seconds: after which.
    """

    seconds: float

    def install(self) -> None:
        """Have it so."""
        Service.__init__.__defaults__ = (None, None, None, self.seconds)


PARTS: Mapping[str, Break | Short | Endless | Lasts] = {
    "memory": Short(8_000_000),
    "more-memory": Short(90_000_000),
    "most-memory": Short(100_000_000),
    "camera": Break(MjpegSource, "read", times=1),
    "camera-ends": Break(SyntheticSource, "read", Panic),
    "view": Break(ViewWatch, "look", times=5),
    "lane": Break(Preparer, "prepare", times=5),
    "lane-hangs": Break(Preparer, "prepare", error=None, times=1),
    "counter-hangs": Break(BoxCounter, "update", error=None, times=1),
    "view-hangs": Break(ViewWatch, "look", error=None, times=1),
    "daemon-hangs": Break(CameraSet, "look", error=None, after=3),
    "lasts-soon": Lasts(seconds=0.5),
    "lane-ends": Break(Preparer, "prepare", Panic, times=1),
    "counter": Break(BoxCounter, "update", times=5),
    "committer": Break(Ledger, "commit", after=1),
    "mqtt": Break(Pump, "feed", after=20, times=1),
    "mqtt-ends": Break(Pump, "feed", Panic, after=20),
    "page": Break(PageServer, "_serve", after=0),
    "end-slow": Endless(
        (
            Break(SyntheticSource, "read", error=None),
            Break(Preparer, "prepare", error=None),
            Break(Ledger, "commit", error=None, after=3),
        ),
        seconds=(6.0, 40.0),
    ),
    "end-never": Endless((Break(Store, "close", error=None, after=0),), seconds=(3.0, 3.0)),
    "main": Break(CameraUnit, "close_window", after=2, times=1),
}


def main() -> None:
    """Break the part, then be an agent."""
    from agent.cli import main as run_agent

    PARTS[sys.argv.pop(1)].install()
    run_agent()


if __name__ == "__main__":
    main()
