"""The shelf: files by their digest, and bundles that are made of them.

::

    blobs/<sha256>        whole and verified files
    partial/<sha256>      files on their way, with a record of how much is surely there
    bundles/<sha256>/     a bundle by the digest of its manifest.json, made of hard links to blobs; ``.held`` in it
                          says which of the manifest's files it holds, for a box takes only what it can run

One process at a time changes it, from one thread. It may be killed, or lose its power, between any two operations:
a file under ``blobs`` is what its name says, and a bundle is whole.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from pathlib import Path

from agent.update.bundle_files import HELD, files_of, read_held, write_held
from agent.update.errors import UpdateError
from agent.update.partial import BLOBS, PARTIAL, Partial, digest_of
from agent.update.shelf_disk import ShelfDisk, disk_errors
from contracts.manifest import MANIFEST_NAME
from contracts.release import LARGEST_MANIFEST, Blob

BUNDLES = "bundles"
_NEW = f"{BUNDLES}/.new"  # a bundle that is being made
_OLD = f"{BUNDLES}/.old"  # one that is being removed
_LINK = f"{BUNDLES}/.link"  # a file that takes the place of another

_log = logging.getLogger(__name__)


class Shelf:
    """Files and bundles in a folder.

    Args:
        disk: the folder, ``STATE_DIR/update``.
        clock: seconds, monotonic.
    """

    def __init__(self, disk: ShelfDisk, clock: Callable[[], float] = time.monotonic) -> None:
        self._disk = disk
        self._clock = clock

    def path(self, sha256: str) -> Path:
        """Where a file is that the shelf holds."""
        return self._disk.path(f"{BLOBS}/{sha256}")

    def bundle(self, manifest: str) -> Path:
        """Where a bundle is, by the digest of its manifest.json."""
        return self._disk.path(f"{BUNDLES}/{manifest}")

    def holds(self, blob: Blob, each: Callable[[], None] = lambda: None) -> bool:
        """Whether a file is there, after reading it whole; one that the disk spoiled is taken off the shelf.

        Args:
            blob: the file.
            each: called now and then; may raise.

        Raises:
            UpdateError: the disk fails.
        """
        name = f"{BLOBS}/{blob.sha256}"
        with disk_errors(self._disk):
            if self._disk.look(name) is None:
                return False
            if self._is(name, blob, each):
                self.partial(blob).forget()  # a fetch that was killed behind its last step left its record
                return True
            _log.error("%s was spoiled on the disk; it is fetched again", name)
            self._disk.remove(name)
        return False

    def partial(self, blob: Blob) -> Partial:
        """A file to be fetched."""
        self._make()
        return Partial(self._disk, blob, self._clock)

    def errors(self) -> AbstractContextManager[None]:
        """Turns an ``OSError`` of the disk into the ``UpdateError`` that ends an attempt."""
        return disk_errors(self._disk)

    def used(self) -> int:
        """Bytes of all files, the reserved ones too; a file in several bundles counts once."""
        with disk_errors(self._disk):
            return sum(
                found.size
                for folder in (BLOBS, PARTIAL)
                for name in self._disk.names(folder)
                if (found := self._disk.look(f"{folder}/{name}")) is not None
            )

    def free(self) -> int:
        """Bytes that the disk has left.

        Raises:
            UpdateError: the disk fails.
        """
        self._make()
        with disk_errors(self._disk):
            return self._disk.free()

    def reserved(self, blob: Blob) -> int:
        """Bytes that a file on its way has on the disk already."""
        with disk_errors(self._disk):
            found = self._disk.look(f"{PARTIAL}/{blob.sha256}")
        return 0 if found is None else min(found.size, blob.size)

    def assemble(self, manifest: bytes, wanted: Collection[str]) -> Path:
        """Make a bundle of files that are on the shelf; what of an existing one is missing or spoiled is mended.

        Args:
            manifest: the bytes of its manifest.json.
            wanted: digests of the files to put into it, wherever the manifest names them.

        Returns:
            Its folder, named after the digest of the manifest.

        Raises:
            UpdateError: the manifest is none, or a file is not on the shelf, or the disk fails.
        """
        files = {path: blob for path, blob in files_of(manifest).items() if blob.sha256 in wanted}
        digest = hashlib.sha256(manifest).hexdigest()
        with disk_errors(self._disk):
            self._make()
            self._check_there(files)
            exists = self._disk.look(f"{BUNDLES}/{digest}") is not None
            if not exists:
                self._remove_tree(_NEW)
                self._disk.make(_NEW)
            self._fill(f"{BUNDLES}/{digest}" if exists else _NEW, manifest, files)
            if not exists:
                self._disk.rename(_NEW, f"{BUNDLES}/{digest}")
                self._disk.sync_names(BUNDLES)
            self._disk.remove(_LINK)  # of an earlier run that ended in between
        return self.bundle(digest)

    def check(self, manifest: str, each: Callable[[], None] = lambda: None) -> list[str]:
        """The paths in a bundle whose files are missing or not what they must be; none where all is well.

        Args:
            manifest: digest of its manifest.json.
            each: called now and then; may raise.

        Raises:
            UpdateError: the disk fails.
        """
        top = f"{BUNDLES}/{manifest}"
        with disk_errors(self._disk):
            found = self._disk.look(f"{top}/{MANIFEST_NAME}")
            if found is None or found.size > LARGEST_MANIFEST:
                return [MANIFEST_NAME]
            text = self._disk.read(f"{top}/{MANIFEST_NAME}", 0, found.size)
            if hashlib.sha256(text).hexdigest() != manifest:
                return [MANIFEST_NAME]
            held = read_held(self._disk, top)
            if held is None:
                return [HELD]
            files = files_of(text)
            wrong = [
                path
                for path, blob in files.items()
                if blob.sha256 in held and not self._is(f"{top}/{path}", blob, each)
            ]
            return wrong if held <= {blob.sha256 for blob in files.values()} else [*wrong, HELD]

    def collect(self, keep: Collection[str], wanted: Collection[str] = ()) -> None:
        """Remove the bundles that nobody needs, and then the files that are in no bundle.

        Args:
            keep: digests of the manifests of the bundles that stay: what runs, and what would be gone back to.
            wanted: digests of files that stay although no bundle has them, whole or on their way: those of an attempt.

        Raises:
            UpdateError: the disk fails.
        """
        with disk_errors(self._disk):
            self._make()
            self._remove_tree(_OLD)
            for name in self._disk.names(BUNDLES):
                if name not in keep:
                    # First its name: a bundle that is half gone is to be found by nobody.
                    self._disk.rename(f"{BUNDLES}/{name}", _OLD)
                    self._disk.sync_names(BUNDLES)
                    self._remove_tree(_OLD)
            self._collect_files(wanted)
            for folder in (BUNDLES, BLOBS, PARTIAL):
                self._disk.sync_names(folder)

    def _collect_files(self, wanted: Collection[str]) -> None:
        for name in self._disk.names(BLOBS):
            found = self._disk.look(f"{BLOBS}/{name}")
            if found is not None and found.links == 1 and name not in wanted:
                self._disk.remove(f"{BLOBS}/{name}")
        for name in self._disk.names(PARTIAL):
            digest = name.partition(".")[0]
            if digest not in wanted or self._disk.look(f"{BLOBS}/{digest}") is not None:
                self._disk.remove(f"{PARTIAL}/{name}")

    def _fill(self, top: str, manifest: bytes, files: dict[str, Blob]) -> None:
        """Have in a folder what a bundle holds, and on the disk.

        ``.held`` comes last: what it names is there.
        """
        folders = {top, *(f"{top}/{'/'.join(path.split('/')[:depth])}" for path in files for depth in _depths(path))}
        for folder in sorted(folders):
            self._disk.make(folder)
        self._write(f"{top}/{MANIFEST_NAME}", manifest)
        for path, blob in files.items():
            self._link(f"{BLOBS}/{blob.sha256}", f"{top}/{path}")
        for folder in sorted(folders, reverse=True):
            self._disk.sync_names(folder)
        self._write(f"{top}/{HELD}", write_held({blob.sha256 for blob in files.values()}))
        self._disk.sync_names(top)

    def _write(self, name: str, data: bytes) -> None:
        found = self._disk.look(name)
        if found is not None and found.size == len(data) and self._disk.read(name, 0, len(data)) == data:
            return
        self._disk.remove(_LINK)
        self._disk.write(_LINK, data)
        self._disk.sync(_LINK)
        self._disk.rename(_LINK, name)

    def _link(self, blob: str, name: str) -> None:
        """Give a blob a name in a bundle, in place of what has it: the old file or the new one is there throughout."""
        there, ours = self._disk.look(name), self._disk.look(blob)
        if there is not None and ours is not None and there.file == ours.file:
            return
        self._disk.remove(_LINK)
        self._disk.link(blob, _LINK)
        self._disk.rename(_LINK, name)

    def _check_there(self, files: dict[str, Blob]) -> None:
        for path, blob in files.items():
            found = self._disk.look(f"{BLOBS}/{blob.sha256}")
            if found is None or found.size != blob.size:
                raise UpdateError("storage", f"{path} ({blob.sha256}) is not on the shelf; it must be fetched first")

    def _is(self, name: str, blob: Blob, each: Callable[[], None]) -> bool:
        found = self._disk.look(name)
        if found is None or found.folder or found.size != blob.size:
            return False
        try:
            return digest_of(self._disk, name, blob.size, each) == blob.sha256
        except OSError as error:  # a bad sector, or a link in its place
            _log.error("%s cannot be read (%s)", name, error.strerror)
            return False

    def _remove_tree(self, name: str) -> None:
        found = self._disk.look(name)
        if found is None:
            return
        if not found.folder:
            self._disk.remove(name)
            return
        for below in self._disk.names(name):
            self._remove_tree(f"{name}/{below}")
        self._disk.remove_folder(name)

    def _make(self) -> None:
        with disk_errors(self._disk):
            for folder in ("", BLOBS, PARTIAL, BUNDLES):
                self._disk.make(folder)


def _depths(path: str) -> range:
    """How many parts of a path each folder on the way has."""
    return range(1, path.count("/") + 1)
