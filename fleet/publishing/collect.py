"""Removing what no reader needs any more."""

from __future__ import annotations

from datetime import timedelta

from fleet.publishing.change import Repository
from fleet.publishing.check import read_manifest, unreferenced
from fleet.publishing.errors import RepositoryError


def collect(repository: Repository, grace: timedelta, *, dry_run: bool) -> dict[str, int]:
    """Remove files that nothing refers to and that are older than a grace period.

    Files of a publish that is under way are not referred to yet, and readers may still be busy with metadata that were
    replaced a moment ago: the grace period is for both.

    Args:
        repository: to clean up.
        grace: how old a file must be.
        dry_run: only say what would be removed.

    Returns:
        Path to bytes of what was removed.

    Raises:
        RepositoryError: it is damaged: then nothing is removed.
    """
    files = repository.files
    state = repository.state()
    blobs: set[str] = set()
    for release in state.releases():
        manifest = read_manifest(files, release)
        if isinstance(manifest, str):
            raise RepositoryError(files.where, f"nothing was removed, as it is damaged ({manifest})", "mend that first")
        blobs |= {entry.sha256 for entry in manifest.files()}
    candidates = unreferenced(files, state, blobs) | dict.fromkeys(files.leftovers(), 0)
    oldest = repository.validity.now - grace
    old = {path: size for path, size in candidates.items() if files.modified(path) <= oldest}
    for path in () if dry_run else old:
        files.remove(path)
    return old
