"""The files of a repository: on a disk, in an object store, or anywhere else that fsspec reaches.

Every file is whole or not there. On a disk it is written beside, flushed and renamed; an object store shows an object
once all of it has come; anywhere else it is written beside and renamed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from contracts.documents import without_credentials
from contracts.errors import RuntimeMissingError, ServerError, StorageError, UnknownNameError
from contracts.release import BLOBS, METADATA, TARGETS
from fleet.publishing.errors import RepositoryError

Source = bytes | Path
"""What becomes a file: its bytes, or a local file to copy."""

_OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oss", "oci", "memory"})
_DISKS = frozenset({"file", "local"})
_READ_ONLY = frozenset({"http", "https"})
_NEW = ".new-"  # begins the name of a file that is not whole yet
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})  # FAT, some networks
_CLIENTS = frozenset({"botocore", "aiohttp", "aiobotocore", "azure", "google", "gcsfs", "paramiko", "requests"})
_CHUNK = 1 << 20  # bytes read at once


class FileSystem(Protocol):
    """What is used of an fsspec file system."""

    def cat_file(self, path: str) -> bytes: ...  # noqa: D102 - fsspec's own
    def put_file(self, lpath: str, rpath: str) -> object: ...  # noqa: D102
    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite") -> object: ...  # noqa: D102
    def find(self, path: str, *, detail: bool = False) -> Any: ...  # noqa: ANN401, D102
    def rm_file(self, path: str) -> object: ...  # noqa: D102
    def exists(self, path: str) -> bool: ...  # noqa: D102
    def mv(self, path1: str, path2: str) -> object: ...  # noqa: D102
    def makedirs(self, path: str, *, exist_ok: bool = False) -> object: ...  # noqa: D102
    def open(self, path: str, mode: str = "rb") -> BinaryIO: ...  # noqa: D102
    def modified(self, path: str) -> datetime: ...  # noqa: D102
    def invalidate_cache(self) -> object: ...  # noqa: D102


class Writer(Protocol):
    """Makes files whole or not at all."""

    def replace(self, path: str, source: Source) -> None:
        """Have a file at that place, whatever was there."""

    def create(self, path: str, data: bytes) -> bool:
        """Have a file at that place where there was none; False where there is one."""


class DiskWriter:
    """Writes to a disk; a power cut at any moment leaves whole files.

    Each of its methods that begin with an underscore is one operation on the disk.
    """

    def replace(self, path: str, source: Source) -> None:
        """See `Writer`."""
        with self._beside(Path(path), source) as new:
            self._rename(new, Path(path))
            self._sync(Path(path).parent)

    def create(self, path: str, data: bytes) -> bool:
        """See `Writer`. Where the disk knows no hard links, two programs at the same moment may both succeed."""
        place = Path(path)
        with self._beside(place, data) as new:
            try:
                self._link(new, place)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                if place.exists():
                    return False
                self._rename(new, place)
            self._sync(place.parent)
        return True

    @contextlib.contextmanager
    def _beside(self, place: Path, source: Source) -> Iterator[Path]:
        self._make(place.parent)
        new = place.with_name(f"{_NEW}{os.getpid()}-{place.name}")
        try:
            self._write(new, source)
            self._sync(new)
            yield new
        finally:
            new.unlink(missing_ok=True)

    def _make(self, folder: Path) -> None:
        if not folder.is_dir():
            self._make(folder.parent)
            folder.mkdir(exist_ok=True)
            self._sync(folder.parent)

    def _write(self, new: Path, source: Source) -> None:
        if isinstance(source, bytes):
            new.write_bytes(source)
        else:
            shutil.copyfile(source, new)

    def _link(self, new: Path, place: Path) -> None:
        os.link(new, place)

    def _rename(self, new: Path, place: Path) -> None:
        new.replace(place)

    def _sync(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class ObjectWriter:
    """Writes to an object store.

    Args:
        files: the store.
    """

    def __init__(self, files: FileSystem) -> None:
        self._files = files

    def replace(self, path: str, source: Source) -> None:
        """See `Writer`."""
        if isinstance(source, bytes):
            self._files.pipe_file(path, source)
        else:
            self._files.put_file(str(source), path)

    def create(self, path: str, data: bytes) -> bool:
        """See `Writer`."""
        try:
            self._files.pipe_file(path, data, mode="create")
        except FileExistsError:
            return False
        return True


class RenamingWriter:
    """Writes where files can be renamed, over a network.

    Args:
        files: the other side.
    """

    def __init__(self, files: FileSystem) -> None:
        self._files = files

    def replace(self, path: str, source: Source) -> None:
        """See `Writer`."""
        folder, _, name = path.rpartition("/")
        new = f"{folder}/{_NEW}{name}"
        self._files.makedirs(folder, exist_ok=True)
        if isinstance(source, bytes):
            self._files.pipe_file(new, source)
        else:
            self._files.put_file(str(source), new)
        self._files.mv(new, path)

    def create(self, path: str, data: bytes) -> bool:
        """See `Writer`. Two programs at the same moment may both succeed."""
        if self._files.exists(path):
            return False
        self.replace(path, data)
        return True


class Files:
    """The files of a repository, by their paths below its top, with ``/``.

    Args:
        system: where they are.
        top: path of the repository there.
        where: its address, for people; without credentials.
        writer: makes them.
    """

    def __init__(self, system: FileSystem, top: str, where: str, writer: Writer) -> None:
        self._system = system
        self._top = top.rstrip("/")
        self._writer = writer
        self.where = where

    def read(self, path: str) -> bytes | None:
        """A file's content; None where there is no such file.

        Raises:
            ServerError: it cannot be read.
        """
        with self._reading(path):
            try:
                return self._system.cat_file(self._at(path))
            except (FileNotFoundError, NotADirectoryError):
                return None

    def chunks(self, path: str) -> Iterator[bytes]:
        """A file's content, bit by bit.

        Raises:
            ServerError: it cannot be read.
        """
        with self._reading(path), self._system.open(self._at(path)) as file:
            while chunk := file.read(_CHUNK):
                yield chunk

    def replace(self, path: str, source: Source) -> None:
        """Have a file there, whatever was there.

        Raises:
            StorageError: it cannot be written; what was there still is.
            ServerError: likewise, by a server.
        """
        with self._writing(path):
            self._writer.replace(self._at(path), source)

    def create(self, path: str, data: bytes) -> bool:
        """Have a file there where there was none; False where there is one.

        Raises:
            StorageError: it cannot be written.
            ServerError: likewise, by a server.
        """
        with self._writing(path):
            return self._writer.create(self._at(path), data)

    def sizes(self, folder: str) -> dict[str, int]:
        """Path to bytes of every whole file below a folder; empty where there is none.

        Raises:
            ServerError: it cannot be listed.
        """
        return {path: size for path, size in self._found(folder).items() if _NEW not in path}

    def modified(self, path: str) -> datetime:
        """When a file was written, UTC.

        Raises:
            ServerError: it cannot be asked.
        """
        with self._reading(path):
            when = self._system.modified(self._at(path))
        return when if when.tzinfo else when.replace(tzinfo=timezone.utc)

    def remove(self, path: str) -> None:
        """Remove a file; harmless where there is none.

        Raises:
            StorageError: it cannot be removed.
            ServerError: likewise, by a server.
        """
        with self._writing(path), contextlib.suppress(FileNotFoundError):
            self._system.rm_file(self._at(path))

    def leftovers(self) -> list[str]:
        """Files that a program which was killed left half written.

        Raises:
            ServerError: it cannot be listed.
        """
        return [path for folder in (METADATA, TARGETS, BLOBS) for path in self._found(folder) if _NEW in path]

    def _found(self, folder: str) -> dict[str, int]:
        with self._reading(folder):
            self._system.invalidate_cache()
            try:
                found: Mapping[str, Mapping[str, Any]] = self._system.find(self._at(folder), detail=True)
            except FileNotFoundError:
                return {}
        skip = len(self._at(folder)) + 1
        return {f"{folder}/{path[skip:]}": int(info["size"]) for path, info in found.items()}

    def _at(self, path: str) -> str:
        return f"{self._top}/{path}"

    @contextlib.contextmanager
    def _reading(self, path: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if _is_a_bug(error):
                raise
            raise self._failed(path, "cannot be read", error) from error

    @contextlib.contextmanager
    def _writing(self, path: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if _is_a_bug(error):
                raise
            if isinstance(error, OSError) and isinstance(self._writer, DiskWriter):
                raise StorageError(self._at(path), error) from error
            raise self._failed(path, "cannot be written", error) from error

    def _failed(self, path: str, what: str, error: Exception) -> ServerError:
        said = without_credentials(str(error) or type(error).__name__)
        return ServerError(
            f"{self.where}/{path}", f"{what} ({said})", "check the address, the credentials and the network"
        )


def _is_a_bug(error: Exception) -> bool:
    """Stores raise their client library's own errors too: no credentials, no such host."""
    return not isinstance(error, OSError) and type(error).__module__.partition(".")[0] not in _CLIENTS


def open_files(url: str) -> Files:
    """The repository at an address: a folder, or what fsspec knows (``s3://bucket/models``).

    Raises:
        UnknownNameError: no such kind of address.
        RuntimeMissingError: the package that reaches it is not installed.
        RepositoryError: it can only be read there.
    """
    from fsspec import available_protocols
    from fsspec.core import split_protocol, url_to_fs

    protocol = split_protocol(url)[0] or "file"
    if protocol not in available_protocols():
        raise UnknownNameError("kind of address", protocol, available_protocols())
    if protocol in _READ_ONLY:
        raise RepositoryError(
            without_credentials(url), "files cannot be written by HTTP", "name the folder or bucket that is served"
        )
    try:
        system, top = url_to_fs(url)
    except ImportError as error:
        raise RuntimeMissingError(f"an address {protocol}://", error.name or protocol, "fleet-s3") from error
    return Files(cast("FileSystem", system), top, without_credentials(url).rstrip("/"), _writer(protocol, system))


def _writer(protocol: str, system: FileSystem) -> Writer:
    if protocol in _DISKS:
        return DiskWriter()
    return ObjectWriter(system) if protocol in _OBJECT_STORES else RenamingWriter(system)
