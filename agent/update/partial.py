"""A file on its way onto the shelf: room for all of it at once, and a record of how much is surely on the disk."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress

from pydantic import Field, ValidationError

from agent.update.shelf_disk import ShelfDisk
from contracts.documents import MachineModel
from contracts.release import Blob

BLOBS = "blobs"
PARTIAL = "partial"
_RECORD = ".json"
_NEW = ".new"
_LARGEST_RECORD = 4096  # bytes
_EVERY_BYTES = 8 << 20  # between two checkpoints: three flushes each, which an SD card takes some 50 ms for
_EVERY_SECONDS = 30.0  # the same on a slow link
_CHUNK = 1 << 20  # bytes read at once while hashing

_log = logging.getLogger(__name__)


class Checkpoint(MachineModel):
    """What a power cut cannot take away.

    Attributes:
        done: bytes from the beginning that were flushed.
        tag: of the content they are of, for `agent.update.ports.Transport`.
    """

    done: int = Field(ge=0)
    tag: str | None = Field(None, max_length=500)


class Partial:
    """A blob that is being fetched, as ``partial/<sha256>``.

    It becomes ``blobs/<sha256>`` only whole, flushed and with the right digest. Raises ``OSError`` where the disk does.

    Args:
        disk: of the shelf.
        blob: what it must become.
        clock: seconds, monotonic.

    Attributes:
        done: bytes from the beginning that are there.
        tag: of the content they are of.
    """

    def __init__(self, disk: ShelfDisk, blob: Blob, clock: Callable[[], float]) -> None:
        self._disk = disk
        self._blob = blob
        self._clock = clock
        self._name = f"{PARTIAL}/{blob.sha256}"
        self._hash = hashlib.sha256()
        self._kept = 0
        self._kept_at = clock()
        self.done = 0
        self.tag: str | None = None

    def begin(self, each: Callable[[], None]) -> None:
        """Take up what is surely there, or begin anew; there is room for the whole file afterwards.

        Args:
            each: called now and then while what is there is read again; may raise.
        """
        found = self._disk.look(self._name)
        kept = self._read_record()
        if found is None or kept is None or not 0 < kept.done <= min(found.size, self._blob.size):
            self._begin_anew()
            self._disk.reserve(self._name, self._blob.size)
            return
        self._disk.cut(self._name, kept.done)  # a power cut may have left anything behind it
        self._disk.reserve(self._name, self._blob.size)
        try:
            for chunk in read_chunks(self._disk, self._name, kept.done):
                each()
                self._hash.update(chunk)
        except OSError as error:
            _log.warning("what came of %s cannot be read (%s); it is fetched anew", self._blob.sha256, error.strerror)
            self.restart()
            return
        self.done, self.tag, self._kept = kept.done, kept.tag, kept.done

    def add(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self._disk.put(self._name, self.done, chunk)
        self._hash.update(chunk)
        self.done += len(chunk)
        due = self._clock() - self._kept_at >= _EVERY_SECONDS
        if due or self.done - self._kept >= _EVERY_BYTES:
            self.keep()

    def keep(self) -> None:
        """Make sure that what is there can be gone on with after a power cut."""
        if self.done == self._kept:
            return
        self._sync()
        record = Checkpoint(done=self.done, tag=self.tag).model_dump_json().encode()
        new = f"{self._name}{_RECORD}{_NEW}"
        self._disk.write(new, record)
        self._disk.sync(new)
        self._disk.rename(new, f"{self._name}{_RECORD}")
        self._disk.sync_names(PARTIAL)
        self._kept, self._kept_at = self.done, self._clock()

    def restart(self) -> None:
        """Begin anew with the same file; the record goes first, for it would be wrong from the next byte on."""
        self._begin_anew()
        self._hash = hashlib.sha256()
        self.done, self.tag = 0, None

    def finish(self) -> bool:
        """Put the whole file onto the shelf; False where its digest is not what it must be, and nothing was done."""
        if self.done != self._blob.size or self._hash.hexdigest() != self._blob.sha256:
            return False
        self._sync()
        self._disk.rename(self._name, f"{BLOBS}/{self._blob.sha256}")
        self._disk.sync_names(BLOBS)
        self._disk.sync_names(PARTIAL)
        self.forget()
        return True

    def forget(self) -> None:
        """Take its record away; harmless where there is none."""
        for suffix in (_RECORD, f"{_RECORD}{_NEW}"):
            self._disk.remove(f"{self._name}{suffix}")

    def throw_away(self) -> None:
        """Begin anew with an empty file."""
        self.restart()
        self._disk.remove(self._name)
        self._disk.reserve(self._name, self._blob.size)

    def _sync(self) -> None:
        try:
            self._disk.sync(self._name)
        except OSError:
            # The kernel says once that bytes are lost, and holds them to be written from then on (fsync(2)).
            with suppress(OSError):
                self._begin_anew()
            raise

    def _begin_anew(self) -> None:
        self.forget()
        self._disk.sync_names(PARTIAL)
        self._kept = 0

    def _read_record(self) -> Checkpoint | None:
        name = f"{self._name}{_RECORD}"
        if self._disk.look(name) is None:
            return None
        with suppress(ValidationError, OSError):  # as good as none: the file is fetched from its beginning
            return Checkpoint.model_validate_json(self._disk.read(name, 0, _LARGEST_RECORD))
        return None


def read_chunks(disk: ShelfDisk, name: str, size: int) -> Iterator[bytes]:
    """The first ``size`` bytes of a file, or all there are."""
    start = 0
    while start < size and (chunk := disk.read(name, start, min(_CHUNK, size - start))):
        start += len(chunk)
        yield chunk


def digest_of(disk: ShelfDisk, name: str, size: int, each: Callable[[], None] = lambda: None) -> str:
    """SHA-256 of the first ``size`` bytes of a file, in hexadecimal.

    Args:
        disk: of the shelf.
        name: of the file.
        size: bytes.
        each: called now and then; may raise.
    """
    digest = hashlib.sha256()
    for chunk in read_chunks(disk, name, size):
        each()
        digest.update(chunk)
    return digest.hexdigest()
