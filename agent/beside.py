"""A process of ours beside this one: it is asked line by line, stands back, and takes nobody with it where it dies."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from typing_extensions import Self

from contracts.documents import without_credentials
from contracts.errors import DeviceError

_LOOK = 0.2  # seconds between two looks at whether it is still wanted
_LONGEST_LINE = 1 << 20  # bytes of an answer
_LONGEST_WORDS = 1 << 16  # bytes that are looked at of what a process said that died
_LAST_WORDS = 300  # characters of them that are told
_FIRST_TO_DIE = "1000"  # of oom_score_adj, proc(5)
_ROOT = Path(__file__).parents[1]  # our packages; nothing that lies about elsewhere is imported


class ProcessDiedError(DeviceError):
    """The process ended instead of answering.

    Args:
        name: what it is.
        code: its exit code; below 0 the signal that ended it, as `subprocess.Popen.returncode` has it.
        words: the last that it said on stderr, without credentials; may be empty.
    """

    def __init__(self, name: str, code: int, words: str) -> None:
        self.code = code
        self.words = words
        super().__init__(f"{name} ended with {code}: {words or 'it said nothing'}")


class ProcessSilentError(DeviceError):
    """The process gave no answer in time."""


class Beside:
    """A module of ours that runs in a process of its own; to be entered and left. It ends with its pipe, or is killed.

    Args:
        module: what it runs.
        name: what it is, for errors.
        stopped: asked a few times a second; true ends the waiting for an answer.
        time_limit: seconds that one answer may take.
        nice: by how much it stands back, 0 to 19.
    """

    def __init__(
        self, module: str, name: str, stopped: Callable[[], bool], time_limit: float, *, nice: int = 0
    ) -> None:
        self._module = module
        self._name = name
        self._stopped = stopped
        self._time_limit = time_limit
        self._nice = nice
        self._pending = b""

    def __enter__(self) -> Self:
        self._said = tempfile.TemporaryFile()
        self._process = subprocess.Popen(  # noqa: S603 - a module of ours
            [sys.executable, "-m", self._module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            cwd=_ROOT,
        )
        _stand_back(self._process.pid, self._nice)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._said):
            if pipe is not None:
                pipe.close()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def ask(self, line: str) -> None:
        """Send one line.

        Raises:
            ProcessDiedError: nobody is there to take it.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._died() from None

    def answer(self) -> bytes | None:
        """The next line that comes back; None where it was stopped before.

        Raises:
            ProcessDiedError: the process ended.
            ProcessSilentError: it took too long.
        """
        assert self._process.stdout is not None
        file = self._process.stdout.fileno()
        deadline = time.monotonic() + self._time_limit
        poll = select.poll()
        poll.register(file, select.POLLIN)
        while b"\n" not in self._pending:
            if self._stopped():
                return None
            if time.monotonic() > deadline:
                raise ProcessSilentError(f"it gave no answer within {self._time_limit:.0f} s")
            if poll.poll(_LOOK * 1000):
                part = os.read(file, 1 << 16)
                if not part or len(self._pending) > _LONGEST_LINE:
                    raise self._died()
                self._pending += part
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def _died(self) -> ProcessDiedError:
        with contextlib.suppress(subprocess.TimeoutExpired):  # its pipe closes a moment before it has ended
            self._process.wait(_LOOK * 5)
        self._process.kill()
        code = self._process.wait()
        length = self._said.seek(0, os.SEEK_END)
        self._said.seek(max(0, length - _LONGEST_WORDS))
        words = without_credentials(self._said.read().decode(errors="replace")).strip()
        return ProcessDiedError(self._name, code, words[-_LAST_WORDS:])


def _stand_back(pid: int, nice: int) -> None:
    """Have a process take the processor and the memory last; one that has ended already, or a system that refuses."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text(_FIRST_TO_DIE, encoding="ascii")
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, nice)
