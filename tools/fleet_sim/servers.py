"""The programs that a simulation needs, each a process of its own that ends with it, and what they cost."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from contracts.errors import WrittenError

_PATIENCE = 60.0  # seconds
_SEARCHED = os.pathsep.join(
    [os.environ.get("PATH", ""), "/usr/sbin", *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin")))]
)
_ROOT = Path(__file__).resolve().parents[2]
_MB = 1024  # kB, as /proc has it


@dataclass(frozen=True)
class Cost:
    """What a process has used.

    Args:
        cpu_seconds: of all cores, with those of the children that have ended.
        peak_mb: of memory that was resident; of children that have ended nothing is known.
    """

    cpu_seconds: float = 0.0
    peak_mb: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.cpu_seconds + other.cpu_seconds, max(self.peak_mb, other.peak_mb))

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.cpu_seconds - other.cpu_seconds, self.peak_mb)


def cost(pid: int) -> Cost:
    """Of a process and those that it started; nothing of one that is gone."""
    total = Cost()
    for each in (pid, *_children(pid)):
        with contextlib.suppress(OSError):
            total += _own(each)
    return total


def own_cost() -> Cost:
    """Of this process alone."""
    return _own(os.getpid()) - _children_ended()


def _children_ended() -> Cost:
    times = os.times()
    return Cost(times.children_user + times.children_system)


def _own(pid: int) -> Cost:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = sum(int(field) for field in fields[11:15])  # proc(5): utime, stime and those of children waited for
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    peak = next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)
    return Cost(ticks / os.sysconf("SC_CLK_TCK"), peak / _MB)


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


@contextlib.contextmanager
def mosquitto(folder: Path) -> Iterator[tuple[int, int]]:
    """A broker that drops nothing: its port, and its process.

    Raises:
        WrittenError: there is no Mosquitto here.
    """
    port, config = _free_port(), folder / "mosquitto.conf"
    lines = (
        "user root",
        f"listener {port} 127.0.0.1",
        "allow_anonymous true",
        "max_queued_messages 0",  # what a controller that is away has to take in later, as docs/fleet.md says
        "max_inflight_messages 500",  # else 20 go into each of its transactions
        "log_type error",
    )
    config.write_text("\n".join(lines) + "\n")
    program = [_program("mosquitto", "mosquitto"), "-c", str(config)]
    with _process(program, signal.SIGTERM) as process:
        _wait_until(lambda: _listens(port), "Mosquitto did not start")
        yield port, process.pid


@contextlib.contextmanager
def postgres() -> Iterator[tuple[str, int]]:
    """An empty database: its address, and its process; as root the server runs as another user, for it wants no root.

    Raises:
        WrittenError: there is no PostgreSQL here.
    """
    initdb, server = _program("initdb", "postgresql"), _program("postgres", "postgresql")
    with tempfile.TemporaryDirectory() as folder:
        port, data, user = _free_port(), Path(folder) / "data", "postgres" if os.geteuid() == 0 else None
        if user is not None:
            shutil.chown(folder, user)
        made = [initdb, "-D", str(data), "-U", "fleet", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(made, user=user, check=True, capture_output=True, cwd="/")
        options = ["-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", folder]
        with _process([server, *options], signal.SIGINT, user) as process:
            _wait_until(lambda: _listens(port), "PostgreSQL did not start")
            yield f"postgresql://fleet@127.0.0.1:{port}/postgres", process.pid


class ControllerProcess:
    """A controller.

    Args:
        options: of ``tools.fleet_sim.controller``.
        log: file that it logs to.
    """

    def __init__(self, options: Sequence[str], log: Path) -> None:
        self._command = [sys.executable, "-m", "tools.fleet_sim.controller", *options]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._earlier = Cost()

    @property
    def pid(self) -> int | None:
        """Of its process; None while it does not run."""
        return None if self._process is None else self._process.pid

    @property
    def cost(self) -> Cost:
        """Of all its lives."""
        return self._earlier if self._process is None else self._earlier + cost(self._process.pid)

    def start(self) -> None:
        """Start it."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, cwd=_ROOT)

    def end(self, how: signal.Signals) -> None:
        """End it, and wait until it has ended."""
        if self._process is not None:
            self._earlier = self.cost
            self._process.send_signal(how)
            self._process.wait(_PATIENCE)
            self._process = None


@contextlib.contextmanager
def _process(command: Sequence[str], end: signal.Signals, user: str | None = None) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, user=user, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(end)
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _program(name: str, package: str) -> str:
    found = shutil.which(name, path=_SEARCHED)
    if found is None:
        raise WrittenError(f"no {name} here; run: apt-get install {package}")
    return found


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
        return True
    return False


def _wait_until(condition: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise WrittenError(f"{otherwise} within {_PATIENCE:.0f} s")
        time.sleep(0.05)
