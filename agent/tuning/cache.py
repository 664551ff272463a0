"""What was measured on this box, kept on disk: a file for each machine, artifacts and aim, whole or not there."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from pydantic import Field, ValidationError

from agent.tuning.rules import Aim, Record
from agent.tuning.search import Space
from agent.tuning.setting import Setting
from contracts.documents import MachineModel
from contracts.errors import StorageError
from contracts.facts import Facts, FactValue

KEPT = 16
"""Files that are kept, newest first: a box has a few models, and an old one may come back."""

_LARGEST = 1 << 20  # bytes of one; some 50 settings take 30 kB
_MACHINE = ("arch", "board", "l4t", "cuda", "power_mode")
_MACHINE_GROUPS = ("cpu.", "runtime.", "gpu.", "memory")
_log = logging.getLogger(__name__)


class Tuned(MachineModel):
    """What was measured, and what follows from it.

    Attributes:
        key: all that it holds for; another value of any of it is another measurement.
        at: UTC.
        base: what served while it was measured.
        best: what is to serve.
        decided: the rounds by which that is; None where nothing looked better than the base.
        records: what each setting gave, against the base.
        failed: what each that does not run failed with, by the setting in words.
        refused: why the best was not taken after all.
    """

    key: Mapping[str, object]
    at: str
    base: Setting
    best: Setting
    decided: Record | None = None
    records: tuple[Record, ...] = Field((), max_length=1000)
    failed: Mapping[str, str] = Field(default_factory=dict)
    refused: str | None = None


def key_of(facts: Facts, governor: str | None, space: Space, aim: Aim) -> dict[str, object]:
    """What a measurement holds for: the machine, its runtimes, what may be run how, and what is best.

    Args:
        facts: the box's.
        governor: of the processor's frequency, None where it has none.
        space: its settings hold the artifacts' digests, and what the configuration asks for by name.
        aim: what it is to be best at.
    """
    machine: dict[str, FactValue] = {
        name: value
        for name, value in facts.items()
        if name in _MACHINE or (name.startswith(_MACHINE_GROUPS) and value is not None)
    }
    settings = [setting.model_dump() for form in space.forms for setting in form]
    document = {"machine": machine, "governor": governor, "settings": settings, "aim": asdict(aim)}
    plain: dict[str, object] = json.loads(json.dumps(document))
    return plain


class TuningCache:
    """The files below one folder; where the disk refuses, what was put is known until the process ends.

    Args:
        folder: made when the first is written.
        kept: how many.
    """

    def __init__(self, folder: Path, kept: int = KEPT) -> None:
        self._folder = folder
        self._kept = kept
        self._known: dict[Path, Tuned] = {}

    def get(self, key: Mapping[str, object]) -> Tuned | None:
        """What was measured for it; None where nothing was, and, said in the log, where that cannot be read."""
        path = self._file(key)
        if path in self._known:
            return self._known[path]
        try:
            with path.open("rb") as file:
                content = file.read(_LARGEST + 1)
            tuned = Tuned.model_validate_json(content)
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is damaged"
            _log.warning("%s cannot be used: %s; this box is measured again", path, reason)
            return None
        return tuned if tuned.key == key else None

    def put(self, tuned: Tuned, *, before: Callable[[], object] = lambda: None) -> None:
        """Keep it in place of what was measured for the same before, and drop the oldest beyond what is kept.

        Args:
            tuned: what was measured.
            before: called when all is on disk but the name; a test ends the process there.

        Raises:
            StorageError: it cannot be written.
        """
        path = self._file(tuned.key)
        self._known[path] = tuned
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            _replace(path, tuned.model_dump_json().encode(), before)
            self._prune()
        except OSError as error:
            raise StorageError(str(path), error) from error

    def forget(self) -> int:
        """Remove everything; how many there were.

        Raises:
            StorageError: they cannot be removed.
        """
        files = self._files()
        try:
            for path in files:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(str(self._folder), error) from error
        return len(files)

    def _prune(self) -> None:
        for path in self._files()[self._kept :]:
            path.unlink(missing_ok=True)
        for left in self._folder.glob(".new-*"):  # of a process that was killed while it wrote
            left.unlink(missing_ok=True)

    def _files(self) -> Sequence[Path]:
        """Newest first."""
        found = []
        for path in self._folder.glob("*.json"):
            with suppress(FileNotFoundError):
                found.append((path.stat().st_mtime_ns, path))
        return [path for _, path in sorted(found, reverse=True)]

    def _file(self, key: Mapping[str, object]) -> Path:
        text = json.dumps(key, sort_keys=True)
        return self._folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"


def _replace(path: Path, content: bytes, before: Callable[[], object]) -> None:
    handle, new = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        before()
        Path(new).replace(path)
    except BaseException:
        Path(new).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
