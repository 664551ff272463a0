"""Roots of other Debian releases and processors, in which packages are installed as on a bare box.

Each command runs in namespaces of its own, so nothing stays mounted; all but `bootstrap` without a network.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

BARE = ("python3", "libstdc++6", "passwd")
"""What a box has before anything of ours: a system with Python."""

KEPT_ELSEWHERE = (
    *("/var/lib/dpkg/", "/var/log/", "/var/cache/ldconfig", "/etc/.pwd.lock"),
    *("/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-", "/etc/subuid-", "/etc/subgid-"),
)
"""What dpkg and the tools for accounts keep for themselves."""

ENTER = 'mount -t proc proc "$0/proc"; mount -t sysfs sysfs "$0/sys"; exec chroot "$0" "$@"'
"""Runtimes for Arm read in /sys which processors there are."""


@dataclass(frozen=True)
class Release:
    """A release of Debian.

    Args:
        name: its code name.
        python: the Python that it brings.
        architecture: Debian's name of the processor.
    """

    name: str
    python: str
    architecture: str = "amd64"


def mirror() -> list[str]:
    """Where this machine's own apt gets Debian from, or nothing: mmdebstrap then takes Debian's own."""
    said = os.environ.get("EDGETALLY_DEBIAN_MIRROR")
    if said:
        return [said]
    command = ["apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)", "Created-By: Packages"]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = [line.split()[1] for line in told.splitlines() if line.startswith("Debian ") and "security" not in line]
    return found[:1]


def bootstrap(release: Release, cache: Path) -> Path:
    """A tarball of the bare system; made once.

    Raises:
        subprocess.CalledProcessError: mmdebstrap failed.
    """
    tar = cache / f"{release.name}-{release.architecture}.tar"
    if not tar.exists():
        cache.mkdir(parents=True, exist_ok=True)
        part = tar.with_suffix(".part.tar")
        command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--architectures={release.architecture}"]
        command += ["--include=" + ",".join(BARE), release.name, str(part), *mirror()]
        subprocess.run(command, check=True)
        part.rename(tar)
    return tar


class Root:
    """One unpacked system.

    Args:
        path: its root folder; what the tests put into it comes below ``/root``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @staticmethod
    def unpack(tar: Path, path: Path) -> Root:
        """A fresh one."""
        path.mkdir(parents=True)
        subprocess.run(["tar", "-xf", str(tar), "-C", str(path)], check=True)
        (path / "root").chmod(0o755)  # the service's user reads a bundle there
        return Root(path)

    def put(self, *sources: Path) -> list[str]:
        """Copy files and folders in; their paths inside."""
        for source in sources:
            target = self.path / "root" / source.name
            if source.is_dir():
                shutil.copytree(source, target, dirs_exist_ok=True)
            else:
                shutil.copy(source, target)
        return [f"/root/{source.name}" for source in sources]

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run it inside, without a network, as root.

        Raises:
            AssertionError: it failed, and should not have.
        """
        return self._run(command, check)

    def shell(self, script: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a script for sh; see `run`."""
        return self.run("sh", "-euc", script, check=check)

    def files(self) -> set[str]:
        """Every path of the system, without what the tests and dpkg keep for themselves."""
        told = self.run("find", "/", "-xdev", "-not", "-path", "/root/*").stdout
        return {path for path in told.splitlines() if not path.startswith(KEPT_ELSEWHERE)}

    def accounts(self) -> set[str]:
        """Users and groups, and who is in them."""
        return {
            line for name in ("passwd", "group") for line in (self.path / "etc" / name).read_text().splitlines() if line
        }

    def _run(self, command: Sequence[str], check: bool) -> subprocess.CompletedProcess[str]:
        inside = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "sh", "-euc", ENTER, str(self.path)]
        environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "LC_ALL": "C.UTF-8",
            "DEBIAN_FRONTEND": "noninteractive",
        }
        done = subprocess.run(
            [*inside, *command], env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )
        assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done
