"""Makes a Debian package of a laid out tree: the control file is ours, the archive dpkg-deb's."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import textwrap
from pathlib import Path

from contracts.errors import ToolchainMissingError
from tools.packages.catalogue import Package
from tools.packages.scripts import maintainer_scripts
from tools.packages.tree import Ingredients, lay_out, settle

# Wheels are compressed already: of the agent's 168 MB gzip took 1.1 % off, and xz 1.2 % in 100 s. Without, no version
# of a compressor changes the bytes, and a small box unpacks faster.
_COMPRESSION = "-Znone"
_MAINTAINER = "edgetally <edgetally@localhost>"


def debian_version(version: str) -> str:
    """Semver's ``1.0.0-rc.1`` comes before ``1.0.0``; dpkg says that with a tilde."""
    return version.replace("-", "~", 1)


def build_deb(package: Package, made_of: Ingredients, work: Path, out: Path) -> Path:
    """Build one package.

    Args:
        package: which.
        made_of: from what.
        work: an empty folder to lay it out in; gone afterwards.
        out: folder for the package.

    Returns:
        The file, ``NAME_VERSION_ARCHITECTURE.deb``.

    Raises:
        EdgetallyError: a lock cannot be read, a wheel not had, or dpkg-deb is missing or failed.
    """
    if shutil.which("dpkg-deb") is None:
        raise ToolchainMissingError("dpkg-deb", "not found", "on Debian it is there; elsewhere install dpkg")
    root = work / package.name
    glibc = lay_out(package, made_of, root)
    size = sum(path.lstat().st_size for path in root.rglob("*") if path.is_file()) // 1024 + 1
    sums = _sums(root)
    control = root / "DEBIAN"
    control.mkdir()
    (control / "control").write_text(control_file(package, made_of, glibc, size))
    (control / "md5sums").write_text(sums)
    if package.service is not None:
        (control / "triggers").write_text(_triggers(package))
        for name, text in maintainer_scripts(package, made_of.source / "packaging" / "scripts").items():
            (control / name).write_text(text)
            (control / name).chmod(0o755)
    settle(root, made_of.epoch)
    out.mkdir(parents=True, exist_ok=True)
    target = out / f"{package.name}_{debian_version(made_of.version)}_{made_of.architecture}.deb"
    _archive(root, target, made_of.epoch)
    shutil.rmtree(root)
    return target


def control_file(package: Package, made_of: Ingredients, glibc: int, size: int) -> str:
    """What dpkg and apt know about the package.

    Args:
        package: which.
        made_of: gives version, architecture and Pythons.
        glibc: minor version of glibc 2 that its wheels need.
        size: KiB on the disk.
    """
    version = debian_version(made_of.version)
    fields = {
        "Package": package.name,
        "Version": version,
        "Architecture": made_of.architecture,
        "Maintainer": _MAINTAINER,
        "Installed-Size": str(size),
        "Depends": ", ".join(_depends(package, version, made_of.pythons, glibc)),
        "Section": "net",
        "Priority": "optional",
        "Description": package.summary,
    }
    if package.component == "agent":
        fields["Recommends"] = "edgetally-runtime-onnxruntime | edgetally-runtime"
    elif package.service is None:
        fields["Provides"] = "edgetally-runtime"
    description = fields.pop("Description")
    lines = [f"{name}: {value}" for name, value in fields.items()]
    body = textwrap.wrap(package.description, 76, initial_indent=" ", subsequent_indent=" ")
    return "\n".join([*lines, f"Description: {description}", *body]) + "\n"


def _depends(package: Package, version: str, pythons: tuple[str, ...], glibc: int) -> list[str]:
    needs = [f"libc6 (>= 2.{glibc})"] if glibc else []
    if package.service is None:
        # Their pins agree only within one version.
        return [f"edgetally-agent (= {version})", *needs, "libstdc++6"]
    oldest, newest = pythons[0], pythons[-1]
    others = [f"python{python}" for python in pythons]
    after = ".".join([newest.split(".")[0], str(int(newest.split(".")[1]) + 1)])
    return [
        " | ".join([f"python3 (>= {oldest})", *others]),
        " | ".join([f"python3 (<< {after})", *others]),
        *needs,
        "libstdc++6",
        "passwd",
    ]


def _triggers(package: Package) -> str:
    """A runtime that comes or goes, and another Python of the system, ask for another environment."""
    return f"interest {package.home}/components\ninterest-noawait /usr/bin/python3\n"


def _sums(root: Path) -> str:
    files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    return "".join(
        f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  {path.relative_to(root)}\n"
        for path in files
    )


def _archive(root: Path, target: Path, epoch: int) -> None:
    command = ["dpkg-deb", "--root-owner-group", "--uniform-compression", _COMPRESSION, "--build"]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
    done = subprocess.run(
        [*command, str(root), str(target)], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ToolchainMissingError("dpkg-deb", done.stderr.strip()[-500:], "see what it says")
