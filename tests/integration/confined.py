"""A program of ours under what its unit allows: ``python -m tests.integration.confined UNIT MODULE ARGUMENTS…``.

The unit's filter of system calls is set by libseccomp, as systemd does it, and memory that is written is never run
(PR_SET_MDWE, Linux 6.3). No service manager is needed for that, nor root.
"""

from __future__ import annotations

import ctypes
import errno
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

UNITS = Path(__file__).parents[2] / "systemd"
_LIBRARY = "libseccomp.so.2"
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000  # seccomp.h
_SET_MDWE, _NO_NEW_PRIVS = 65, 38  # prctl(2)
_UNKNOWN = -1  # of a system call that this architecture has not


def missing() -> str | None:
    """What is not here that it needs; None where all is."""
    if shutil.which("systemd-analyze") is None:
        return "systemd-analyze is not here"
    try:
        ctypes.CDLL(_LIBRARY)
    except OSError:
        return f"{_LIBRARY} is not here"
    return None


def allowed(unit: str) -> set[str]:
    """The system calls that a unit's filter leaves."""
    calls: set[str] = set()
    for line in re.findall(r"^SystemCallFilter=(.*)$", unit, re.MULTILINE):
        names = _expanded(line.removeprefix("~").split())
        calls = calls - names if line.startswith("~") else calls | names
    return calls


def _expanded(names: list[str]) -> set[str]:
    found: set[str] = set()
    while names:
        name = names.pop()
        if not name.startswith("@"):
            found.add(name)
            continue
        command = ["systemd-analyze", "syscall-filter", name]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[1:]
        names += [line.strip() for line in told if line.strip() and not line.strip().startswith("#")]
    return found


def confine(calls: set[str], *, no_machine_code: bool) -> None:
    """Let this process, and all that it starts, do no other system calls.

    Args:
        calls: their names; any other one fails with EPERM.
        no_machine_code: whether memory that is written may never be run.
    """
    libc, seccomp = ctypes.CDLL(None), ctypes.CDLL(_LIBRARY)
    seccomp.seccomp_init.restype = ctypes.c_void_p
    rules = ctypes.c_void_p(seccomp.seccomp_init(_ERRNO | errno.EPERM))
    for name in sorted(calls):
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number != _UNKNOWN:
            assert seccomp.seccomp_rule_add(rules, _ALLOW, number, 0) == 0, name
    if no_machine_code:
        assert libc.prctl(_SET_MDWE, 1, 0, 0, 0) == 0
    assert libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert seccomp.seccomp_load(rules) == 0


def main() -> None:
    """Be confined, then be the program."""
    unit, module = (sys.argv.pop(1) for _ in range(2))
    text = (UNITS / unit).read_text()
    confine(allowed(text), no_machine_code="MemoryDenyWriteExecute=yes" in text)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
