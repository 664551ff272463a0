"""Putting a bundle in its place in one step: whoever looks there sees the old one, the new one or none, never half.

The bundle grows in a hidden folder beside its place, is written through to the disk, and changes places with what was
there. Killed at any moment, all that is left behind is that hidden folder, which the next build removes.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from contracts.errors import BundleError, DocumentError, StorageError
from contracts.manifest import FileEntry
from runtime.bundle import open_bundle, sha256

_FRESH_S = 60.0  # a hidden folder younger than this may belong to a build that has not locked it yet
_AT_FDCWD = -100  # <fcntl.h>
_RENAME_EXCHANGE = 2  # <linux/fs.h>


def check_place(out: Path) -> None:
    """See before the long work whether a bundle may be put there.

    Raises:
        DocumentError: something else than a bundle is there.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    try:
        open_bundle(out)
    except BundleError:
        raise DocumentError(
            "--out", [f"expected a new path or an existing bundle, {out} holds something else; choose another folder"]
        ) from None


@contextlib.contextmanager
def new_bundle(out: Path) -> Iterator[Path]:
    """A folder to write a bundle into; it takes its place when the block ends well, and is removed when it does not.

    Args:
        out: where the bundle goes; an existing bundle there is replaced.

    Raises:
        DocumentError: something else than a bundle is there.
        StorageError: the disk is full, read-only or not writable.
    """
    check_place(out)
    # Named before it is made, so that a signal at any moment finds it removed below.
    folder = out.parent / f"{_prefix(out)}{secrets.token_hex(4)}"
    try:
        with _as_storage_error(out):
            out.parent.mkdir(parents=True, exist_ok=True)
            remove_abandoned(out.parent, f"{_prefix(out)}*")
            folder.mkdir()
            with locked(folder):
                yield folder
                write_through(folder)
                _put(folder, out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def file_entry(bundle: Path, file: Path) -> FileEntry:
    """What the manifest says of a file of the bundle."""
    return FileEntry(path=file.relative_to(bundle).as_posix(), sha256=sha256(file), size=file.stat().st_size)


@contextlib.contextmanager
def _as_storage_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(str(error.filename or path), error) from error


def _prefix(out: Path) -> str:
    return f".{out.name}.building-"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a lock, which a killed process loses, so that others see whether the folder is in use.

    Raises:
        OSError: another process holds it.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def remove_abandoned(place: Path, pattern: str) -> None:
    """Remove the folders that killed builds left in a place."""
    for folder in place.glob(pattern):
        if time.time() - folder.stat().st_mtime < _FRESH_S:
            continue
        # Where another build holds the lock, the folder stays.
        with contextlib.suppress(OSError), locked(folder):
            shutil.rmtree(folder, ignore_errors=True)


def write_through(folder: Path) -> None:
    """Have the disk, not only its cache, hold everything before the name points to it."""
    for path in (*folder.rglob("*"), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _put(folder: Path, out: Path) -> None:
    """Make ``folder`` be ``out``; what was there is then at ``folder``, to be removed."""
    if out.exists() and any(out.iterdir()):
        check_place(out)  # it may have changed during the build
        if not _exchange(folder, out):
            _replace_in_two_steps(folder, out)
    else:
        folder.rename(out)
    descriptor = os.open(out.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders change places in one step; False where the kernel or file system has no such step."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in {errno.EINVAL, errno.ENOSYS}:
        return False
    raise OSError(code, os.strerror(code), str(other))


def _replace_in_two_steps(folder: Path, out: Path) -> None:
    """For file systems without an exchange: for a moment there is no bundle, but never half of one."""
    old = out.parent / f"{_prefix(out)}{secrets.token_hex(4)}"
    out.rename(old)
    try:
        folder.rename(out)
    except OSError:
        old.rename(out)
        raise
    shutil.rmtree(old, ignore_errors=True)
