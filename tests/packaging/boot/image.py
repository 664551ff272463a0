"""Disks for a virtual box: a bare Debian with systemd and a kernel, and files to be handed in."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.packaging.roots import mirror

RELEASE = "bookworm"
BARE = ("systemd", "systemd-sysv", "udev", "dbus", "linux-image-cloud-amd64", "kmod", "iproute2")
"""What makes a system boot; the packages that a box of ours needs beside are those of `tests.packaging.roots`."""
NEEDED = ("python3", "libstdc++6", "passwd")
DISK = "2G"

# Only what finds the disk, so that the kernel comes up in seconds without hardware virtualisation too.
_BEFORE = """\
mkdir -p "$1/etc/initramfs-tools/conf.d"
echo MODULES=list > "$1/etc/initramfs-tools/conf.d/box"
printf 'virtio_pci\\nvirtio_blk\\next4\\n' > "$1/etc/initramfs-tools/modules"
"""
_NETWORK = "[Match]\nType=ether\n[Network]\nDHCP=ipv4\n"
_SHELL_UNIT = """\
[Unit]
Description=Takes what the tests want done
[Service]
ExecStart=/usr/bin/python3 /usr/local/lib/guest_shell.py
Restart=always
RestartSec=1
"""
_SHELL_RULE = """\
SUBSYSTEM=="virtio-ports", ATTR{name}=="edgetally.shell", TAG+="systemd", ENV{SYSTEMD_WANTS}="shell.service"
"""
_FSTAB = "LABEL=root / ext4 rw 0 1\nLABEL=handed-in /mnt ext4 ro 0 0\n"


@dataclass(frozen=True)
class Bare:
    """A bare system.

    Args:
        kernel: Linux, to be loaded without a boot loader.
        initrd: finds the disk for it.
        disk: ext4, raw.
    """

    kernel: Path
    initrd: Path
    disk: Path


def bare_system(cache: Path, work: Path) -> Bare:
    """A disk with a bare system that boots; what is fetched from Debian for it is kept.

    Args:
        cache: folder of what is kept.
        work: folder of the disk.

    Raises:
        subprocess.CalledProcessError: a tool failed.
    """
    root = work / "root"
    root.mkdir(parents=True)
    subprocess.run(["tar", "-xf", str(_fetched(cache)), "-C", str(root)], check=True)
    _put(root)
    bare = Bare(work / "vmlinuz", work / "initrd.img", work / "bare.ext4")
    shutil.copyfile((root / "vmlinuz").resolve(), bare.kernel)
    shutil.copyfile((root / "initrd.img").resolve(), bare.initrd)
    _disk(root, bare.disk, "root", DISK)
    shutil.rmtree(root)
    return bare


def handed_in(folder: Path, disk: Path) -> Path:
    """A disk with a folder's files; the box has them below ``/mnt``."""
    _disk(folder, disk, "handed-in", "400M")
    return disk


def layer(below: Path, disk: Path, kind: str) -> Path:
    """A disk that holds what is written from now on; the one below stays as it is.

    Args:
        below: of ``kind``: raw or qcow2.
        disk: new.
    """
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(below), "-F", kind, str(disk)]
    subprocess.run(command, check=True)
    return disk


def _fetched(cache: Path) -> Path:
    tar = cache / f"{RELEASE}-amd64-boot.tar"
    if not tar.exists():
        cache.mkdir(parents=True, exist_ok=True)
        part = tar.with_suffix(".part.tar")
        command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--setup-hook={_BEFORE}"]
        command += ["--include=" + ",".join((*NEEDED, *BARE)), RELEASE, str(part), *mirror()]
        subprocess.run(command, check=True)
        part.rename(tar)
    return tar


def _put(root: Path) -> None:
    """What makes the tests reach it."""
    files = {
        "etc/fstab": _FSTAB,
        "etc/hostname": "box-1\n",
        "etc/systemd/network/any.network": _NETWORK,
        "etc/systemd/system/shell.service": _SHELL_UNIT,
        "etc/udev/rules.d/90-shell.rules": _SHELL_RULE,
        "usr/local/lib/guest_shell.py": Path(__file__).with_name("guest_shell.py").read_text(),
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "var/log/journal").mkdir(exist_ok=True)  # the journal outlives the power
    subprocess.run(["systemctl", f"--root={root}", "enable", "systemd-networkd"], check=True, capture_output=True)


def _disk(folder: Path, disk: Path, label: str, size: str) -> None:
    command = ["mke2fs", "-q", "-F", "-t", "ext4", "-L", label, "-d", str(folder), str(disk), size]
    subprocess.run(command, check=True)
