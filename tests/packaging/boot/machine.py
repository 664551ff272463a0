"""A virtual box under QEMU: switched on, told what to do without its network, and cut off from power."""

from __future__ import annotations

import json
import os
import select
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.integration.brokers import wait_until
from tests.packaging.boot.image import Bare

PATIENCE = 600.0  # seconds, without hardware virtualisation on a busy machine
HOST = "10.0.2.2"
"""This machine's loopback, as QEMU's own network shows it to the box."""
_SILENCE = 20.0  # seconds in which a kernel says its first word, under hardware virtualisation

_PROCESSORS = {"kvm": "host,arch-capabilities=off", "tcg": "max"}  # the feature needs a register that a guest lacks


def acceleration(bare: Bare) -> str:
    """``kvm`` where a kernel comes up under it, else ``tcg``: the processor in software.

    Machines that are virtual themselves may have a ``/dev/kvm`` under which nothing runs. EDGETALLY_BOOT_ACCEL says
    which one to take.
    """
    said = os.environ.get("EDGETALLY_BOOT_ACCEL")
    if said:
        return said
    return "kvm" if os.access("/dev/kvm", os.R_OK | os.W_OK) and _speaks(bare, "kvm") else "tcg"


def _speaks(bare: Bare, kind: str) -> bool:
    """Whether a kernel says anything before its disk is missed."""
    command = [*_computer(bare, kind), "-append", "console=ttyS0 panic=-1"]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], _SILENCE)
        speaks = bool(readable) and bool(process.stdout.read(1))
        process.kill()
    return speaks


def _computer(bare: Bare, kind: str) -> list[str]:
    program = shutil.which("qemu-system-x86_64")
    assert program is not None
    command = [program, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio"]
    command += ["-machine", f"q35,accel={kind}", "-cpu", _PROCESSORS[kind], "-smp", "2", "-m", "1536"]
    return [*command, "-kernel", str(bare.kernel), "-initrd", str(bare.initrd)]


@dataclass(frozen=True)
class Said:
    """What a script came to.

    Args:
        code: its exit code.
        text: what it wrote, on both ways.
    """

    code: int
    text: str


class Machine:
    """One box.

    Args:
        bare: its kernel.
        disk: its disk, qcow2.
        handed_in: a second disk, only read.
        folder: for its socket and its console's log.
        kind: of `acceleration`.
    """

    def __init__(self, bare: Bare, disk: Path, handed_in: Path, folder: Path, kind: str) -> None:
        self.console = folder / "console.log"
        self._bare = bare
        self._kind = kind
        self._disks = (f"file={disk},format=qcow2", f"file={handed_in},format=raw,readonly=on")
        self._socket = folder / "shell"
        self._process: subprocess.Popen[bytes] | None = None
        self._shell: socket.socket | None = None
        self._waiting = b""

    @property
    def is_on(self) -> bool:
        """Whether it has power."""
        return self._process is not None

    def switch_on(self, *, network: bool = True) -> float:
        """Boot it; returns after how many seconds it takes orders."""
        self._socket.unlink(missing_ok=True)
        began = time.monotonic()
        command = self._command(network)
        with self.console.open("ab") as log:
            log.write(f"\n# {' '.join(command)}\n".encode())
            log.flush()
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._shell = self._connect()
        self._waiting = b""
        assert json.loads(self._line()) == {"ready": True}
        return time.monotonic() - began

    def run(self, script: str, *, check: bool = True) -> Said:
        """Run a script for sh as root in the box.

        Raises:
            AssertionError: it failed, and should not have.
        """
        assert self._shell is not None, "it is off"
        self._shell.sendall(json.dumps({"script": script}).encode() + b"\n")
        answer = json.loads(self._line())
        said = Said(answer["code"], answer["said"])
        assert not check or said.code == 0, f"{script}: {said.code}\n{said.text}"
        return said

    def wait_until(self, script: str, patience: float = PATIENCE) -> None:
        """Wait until a script comes to 0."""
        try:
            wait_until(lambda: self.run(script, check=False).code == 0, patience)
        except AssertionError:
            raise AssertionError(f"{script}: {self.run(script, check=False)}") from None

    def write(self, path: str, text: str) -> None:
        """A file of the box."""
        self.run(f"mkdir -p $(dirname {path}) && cat >{path} <<'END_OF_FILE'\n{text}END_OF_FILE\n")

    def cut_power(self) -> None:
        """Off, at once: what the box had not written to its disk is gone."""
        self._end(lambda process: process.kill())

    def shut_down(self) -> None:
        """Off, in order."""
        if self._process is None:
            return
        self.run("systemctl --no-block poweroff")
        self._end(lambda process: process.wait(PATIENCE))

    def close(self) -> None:
        """Off, if it is on."""
        if self._process is not None:
            self.cut_power()

    def _end(self, how: object) -> None:
        assert self._process is not None
        assert self._shell is not None
        assert callable(how)
        how(self._process)
        self._process.wait(PATIENCE)
        self._shell.close()
        self._process = self._shell = None

    def _command(self, network: bool) -> list[str]:
        command = _computer(self._bare, self._kind)
        command += ["-append", "root=/dev/vda rw console=ttyS0 systemd.show_status=1"]
        for disk in self._disks:
            command += ["-drive", f"{disk},if=virtio"]
        command += ["-device", "virtio-rng-pci", "-device", "virtio-serial-pci"]
        command += ["-chardev", f"socket,id=shell,path={self._socket},server=on,wait=off"]
        command += ["-device", "virtserialport,chardev=shell,name=edgetally.shell"]
        return [*command, *(["-nic", "user,model=virtio-net-pci"] if network else ["-nic", "none"])]

    def _connect(self) -> socket.socket:
        shell = socket.socket(socket.AF_UNIX)
        shell.settimeout(PATIENCE)

        def connected() -> bool:
            assert self._process is not None
            assert self._process.poll() is None, f"QEMU ended; {self.console} says why"
            try:
                shell.connect(str(self._socket))
            except (FileNotFoundError, ConnectionRefusedError):
                return False
            return True

        wait_until(connected)
        return shell

    def _line(self) -> bytes:
        assert self._shell is not None
        while b"\n" not in self._waiting:
            data = self._shell.recv(65536)
            assert data, f"the box is gone; {self.console} says more"
            self._waiting += data
        line, _, self._waiting = self._waiting.partition(b"\n")
        return line
