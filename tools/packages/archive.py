"""Makes an archive with install.sh of laid out trees, for boxes without a package repository."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Sequence
from pathlib import Path

from runtime.bundle import sha256
from tools.packages.catalogue import ARCHITECTURES, Package
from tools.packages.scripts import filled
from tools.packages.tree import Ingredients, lay_out, settle


def build_archive(package: Package, runtimes: Sequence[Package], made_of: Ingredients, work: Path, out: Path) -> Path:
    """Build one archive; wheels are compressed already, so it is not.

    Args:
        package: one with a service.
        runtimes: what is carried beside it, to choose from.
        made_of: from what.
        work: an empty folder to lay it out in.
        out: folder for the archive.

    Returns:
        The file, ``NAME_VERSION_ARCHITECTURE.tar``.

    Raises:
        EdgetallyError: a lock cannot be read or a wheel not had.
    """
    name = f"{package.name}_{made_of.version}_{made_of.architecture}"
    root = work / name
    lay_out(package, made_of, root / "files")
    (root / "runtimes").mkdir()
    for runtime in runtimes:
        lay_out(runtime, made_of, root / "runtimes" / runtime.component)
    script = root / "install.sh"
    script.write_text(filled(package, made_of.source / "packaging" / "install.sh"))
    script.chmod(0o755)
    (root / "machine").write_text(f"{ARCHITECTURES[made_of.architecture]}\n")
    files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    (root / "SHA256SUMS").write_text("".join(f"{sha256(path)}  ./{path.relative_to(root)}\n" for path in files))
    settle(root, made_of.epoch)
    out.mkdir(parents=True, exist_ok=True)
    target = out / f"{name}.tar"
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as archive:
        for path in (root, *sorted(root.rglob("*"))):
            archive.add(path, os.path.relpath(path, work), recursive=False, filter=_of_root)
    return target


def _of_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member
