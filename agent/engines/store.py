"""The engines of this box, in folders: whole or not there, whatever is killed and however many processes look.

::

    <root>/<model>/<key>/   model.engine, recipe.json, record.json; appears by one rename, is removed as a whole
    <root>/<model>/.new-*   being built; removed by whoever comes next once nobody holds its lock
    <root>/timings/         timing caches, one a GPU, TensorRT, CUDA and power mode
    <root>/locks/           a lock file an engine: who builds it holds it
    <root>/attempts/        builds that failed; see `agent.engines.attempts`
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from agent.engines.key import EngineKey
from contracts.documents import Sha256
from contracts.engine_recipe import RECIPE_NAME
from contracts.errors import StorageError
from runtime.bundle import sha256

ENGINE_NAME = "model.engine"
KEPT = 4
"""Engines kept a model: what runs and what ran before it, in two precisions."""

_RECORD = "record.json"
_NEW = ".new-"


class _Record(BaseModel):
    key: dict[str, str]
    sha256: Sha256
    size: int = Field(gt=0)
    seconds: float


@dataclass(frozen=True)
class KeptEngine:
    """An engine that is there.

    Args:
        model: the bundle's model.
        tensorrt: what built it.
        sm: the GPU's compute capability that it is for.
        artifact: digest of what it was built from.
        size: bytes.
        seconds: that the build took.
    """

    model: str
    tensorrt: str
    sm: str
    artifact: str
    size: int
    seconds: float


class EngineStore:
    """Engines below one folder.

    Args:
        root: made when the first engine is built.
        kept: how many a model.
    """

    def __init__(self, root: Path, kept: int = KEPT) -> None:
        self._root = root
        self._kept = kept

    @property
    def timings(self) -> Path:
        """The folder for timing caches."""
        return self._root / "timings"

    def lookup(self, model: str, key: EngineKey) -> Path | None:
        """The engine, checked byte for byte; one that was damaged counts as none, until `put` replaces it."""
        folder = self._root / model / key.folder
        try:
            record = _Record.model_validate_json((folder / _RECORD).read_bytes())
            engine = folder / ENGINE_NAME
            whole = engine.stat().st_size == record.size and sha256(engine) == record.sha256
        except (OSError, ValidationError):
            whole = False
        if not whole:
            return None
        with suppress(OSError):
            os.utime(folder)  # what was used last is kept longest
        return engine

    def kept(self) -> list[KeptEngine]:
        """Every engine whose record can be read, by model; they are not checked."""
        found = []
        for path in sorted(self._root.glob(f"*/*/{_RECORD}")):
            try:
                record = _Record.model_validate_json(path.read_bytes())
            except (OSError, ValidationError):
                continue
            key = record.key
            told = (key.get("tensorrt", ""), key.get("sm", ""), key.get("artifact", ""))
            found.append(KeptEngine(path.parent.parent.name, *told, record.size, record.seconds))
        return found

    @contextmanager
    def building(self, model: str, key: EngineKey) -> Iterator[Path | None]:
        """A folder to build in, or None while another process builds the same engine.

        It is removed at the end unless `put` moved it into place; where this process is killed, by the next that builds
        for the model.

        Raises:
            StorageError: it cannot be made.
        """
        self._make(self.timings)
        self._make(self._root / "locks")
        with self._lock(f"{model}-{key.folder}") as mine:
            if not mine:
                yield None
                return
            prefix = f"{_NEW}{key.folder}-"
            for left in (self._root / model).glob(f"{prefix}*"):  # of a process that was killed: the lock is ours
                shutil.rmtree(left, ignore_errors=True)
            self._make(self._root / model)
            folder = Path(tempfile.mkdtemp(prefix=prefix, dir=self._root / model))
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def put(self, model: str, key: EngineKey, folder: Path, seconds: float) -> Path:
        """Move a folder with a finished engine and its recipe into place, and drop the oldest beyond what is kept.

        Args:
            model: the bundle's model.
            key: what it was built for.
            folder: what `building` gave.
            seconds: that the build took.

        Raises:
            StorageError: it cannot be written.
        """
        engine = folder / ENGINE_NAME
        place = self._root / model / key.folder
        try:
            record = _Record(key=asdict(key), sha256=sha256(engine), size=engine.stat().st_size, seconds=seconds)
            _write_synced(folder / _RECORD, record.model_dump_json().encode())
            _sync(folder / RECIPE_NAME)
            _sync(folder)
            shutil.rmtree(place, ignore_errors=True)  # it was damaged, or `lookup` had found it
            folder.rename(place)
            _sync(place.parent)
        except OSError as error:
            raise StorageError(str(place), error) from error
        self._prune(model)
        return place / ENGINE_NAME

    def _prune(self, model: str) -> None:
        whole = [folder for folder in (self._root / model).iterdir() if not folder.name.startswith(_NEW)]
        whole.sort(key=lambda folder: folder.stat().st_mtime_ns, reverse=True)
        for folder in whole[self._kept :]:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _lock(self, name: str) -> Iterator[bool]:
        """Whether nobody else holds the lock of that name; then it is held."""
        path = self._root / "locks" / name
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StorageError(str(path), error) from error
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(file)

    def _make(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(str(folder), error) from error


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
