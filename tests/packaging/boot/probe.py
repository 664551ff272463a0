"""Runs in the box in the agent's place, under its unit: tries what a service that was broken into would try."""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
NEW_USER, NEW_NETWORK = 0x10000000, 0x40000000  # of unshare(2)


def write(folder: str) -> Callable[[], object]:
    """Make a file there."""
    return lambda: Path(folder, "tried").write_text("x")


def call(name: str, *arguments: object) -> Callable[[], object]:
    """Call the C library."""

    def do() -> None:
        if getattr(_libc, name)(*arguments) == -1:
            raise OSError(ctypes.get_errno(), name)

    return do


def executable_memory() -> None:
    """Memory that is written and run."""
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def other_processes() -> None:
    """See what else runs."""
    others = [path for path in Path("/proc").iterdir() if path.name.isdecimal() and int(path.name) != os.getpid()]
    if not others:
        raise PermissionError("none is seen")


TRIES: dict[str, Callable[[], object]] = {
    "write its state": write("/var/lib/edgetally"),
    "write its cache": write("/var/cache/edgetally"),
    "write its own /tmp": write("/tmp"),
    "connect to any broker": lambda: socket.socket(socket.AF_INET).close(),
    "write its configuration": write("/etc/edgetally"),
    "write its program": write("/opt/edgetally"),
    "write /etc": write("/etc"),
    "write /usr": write("/usr/lib"),
    "write others' state": write("/var/lib"),
    "write the journal": write("/var/log/journal"),
    "write /root": write("/root"),
    "read /root": lambda: list(Path("/root").iterdir()),
    "read passwords": lambda: Path("/etc/shadow").read_text(),
    "read the disk": lambda: Path("/dev/vda").open("rb").close(),
    "change the kernel": lambda: Path("/proc/sys/kernel/hostname").write_text("x"),
    "change a group of processes": lambda: Path("/sys/fs/cgroup/cgroup.procs").write_text(str(os.getpid())),
    "see other processes": other_processes,
    "write code into memory": executable_memory,
    "send raw packets": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close(),
    "become root": call("setuid", 0),
    "make a namespace": call("unshare", NEW_USER | NEW_NETWORK),
    "mount": call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
    "trace itself": call("ptrace", 0, 0, None, None),
    "set the clock": call("settimeofday", bytes(16), None),
    "set its name": call("sethostname", b"x", 1),
    "restart the box": call("reboot", 0x01234567),
}


def tried(do: Callable[[], object]) -> str:
    """What came of it."""
    try:
        do()
    except OSError as error:
        return f"{type(error).__name__}: {error}"
    return "done"


def main() -> None:
    """Print what worked, by name, as JSON."""
    found = {name: tried(do) for name, do in TRIES.items()}
    json.dump(found, sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
