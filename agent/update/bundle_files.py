"""Which files a bundle's manifest names, and which of them this box's copy holds."""

from __future__ import annotations

import re
from collections.abc import Collection

from pydantic import ValidationError

from agent.update.errors import UpdateError
from agent.update.shelf_disk import ShelfDisk
from contracts.documents import document_error
from contracts.manifest import MANIFEST_NAME, FileEntry, Manifest
from contracts.release import LARGEST_MANIFEST, Blob

HELD = ".held"
_LARGEST_HELD = 8 << 20  # bytes; 65 a file
_LONGEST_NAME = 255  # bytes of a file's name, NAME_MAX of Linux
_LONGEST_PATH = 1024  # bytes
_DEEPEST = 16
_DIGEST = re.compile("[0-9a-f]{64}")


def files_of(manifest: bytes) -> dict[str, Blob]:
    """Path to content of every file that a manifest names.

    Args:
        manifest: the bytes of manifest.json.

    Raises:
        UpdateError: it is none, or its paths cannot be files of one folder.
    """
    if len(manifest) > LARGEST_MANIFEST:
        raise _invalid(f"it should have at most {LARGEST_MANIFEST} bytes, got {len(manifest)}")
    try:
        entries = Manifest.model_validate_json(manifest).files()
    except ValidationError as error:
        problems = document_error(Manifest, error, MANIFEST_NAME).problems
        raise _invalid(f"it does not fit: {problems[0]}") from None
    files: dict[str, Blob] = {}
    for entry in entries:
        _add(files, entry)
    for path in files:
        parts = path.split("/")
        if clash := next((above for above in _above(parts) if above in files), None):
            raise _invalid(f"{clash!r} should be a file or a folder, not both")
    return files


def _add(files: dict[str, Blob], entry: FileEntry) -> None:
    parts = entry.path.split("/")
    fits = len(parts) <= _DEEPEST and len(entry.path.encode(errors="replace")) <= _LONGEST_PATH
    if not fits or not all(part.isprintable() and len(part.encode()) <= _LONGEST_NAME for part in parts):
        raise _invalid(f"{entry.path[:80]!r} should be a path that a file can have")
    if parts[0] in {MANIFEST_NAME, HELD}:
        raise _invalid(f"{entry.path!r} is a name that it may not give away")
    blob = Blob(sha256=entry.sha256, size=entry.size)
    if files.setdefault(entry.path, blob) != blob:
        raise _invalid(f"{entry.path!r} should be one file, got two different ones")


def _above(parts: list[str]) -> list[str]:
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def _invalid(problem: str) -> UpdateError:
    return UpdateError("bundle_invalid", f"manifest.json: {problem}; build and release the bundle again")


def write_held(digests: Collection[str]) -> bytes:
    """The content of ``.held``: a digest a line."""
    return "".join(f"{digest}\n" for digest in sorted(digests)).encode()


def read_held(disk: ShelfDisk, bundle: str) -> set[str] | None:
    """The digests of the files that a bundle holds; None where that is not known."""
    name = f"{bundle}/{HELD}"
    if disk.look(name) is None:
        return None
    lines = disk.read(name, 0, _LARGEST_HELD).decode("ascii", errors="replace").splitlines()
    return set(lines) if all(map(_DIGEST.fullmatch, lines)) else None
