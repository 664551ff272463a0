"""Runs programs of 64-bit Arm on this machine: QEMU of Debian 13, registered with the kernel while it is needed.

Under Debian 12's QEMU (7.2) ONNX Runtime and LiteRT end with a segmentation fault when a model is opened.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.packaging.roots import mirror

BINFMT = Path("/proc/sys/fs/binfmt_misc")
NAME = "edgetally-aarch64"
# An ELF file for little-endian AArch64, executable or shared (elf.h; the same bytes as in QEMU's own binfmt.d).
MAGIC = r"\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"


def qemu(cache: Path) -> Path:
    """The program, which needs no library; fetched once.

    Raises:
        subprocess.CalledProcessError: mmdebstrap failed.
    """
    program = cache / "qemu-aarch64"
    if not program.exists():
        cache.mkdir(parents=True, exist_ok=True)
        tar = cache / "qemu.tar"
        command = ["mmdebstrap", "--quiet", "--variant=extract", "--include=qemu-user", "trixie", str(tar), *mirror()]
        subprocess.run(command, check=True)
        subprocess.run(
            ["tar", "-xf", str(tar), "-C", str(cache), "--strip-components=3", "./usr/bin/qemu-aarch64"], check=True
        )
        tar.unlink()
    return program


@contextmanager
def arm64_runs(cache: Path) -> Iterator[None]:
    """Programs for Arm can be started meanwhile, in other roots too: the kernel keeps QEMU open.

    Raises:
        OSError: the kernel lets nobody register.
    """
    program = qemu(cache)
    if not (BINFMT / "register").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", str(BINFMT)], check=True)
    # The newest entry is asked first, so another one for Arm may be there.
    (BINFMT / "register").write_text(f":{NAME}:M::{MAGIC}:{MASK}:{program}:OF")
    try:
        yield
    finally:
        (BINFMT / NAME).write_text("-1")
