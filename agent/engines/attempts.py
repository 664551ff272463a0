"""Builds that failed, remembered across restarts: none is tried again at once, and none for ever."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from contracts.facts import Facts

WAITS = (3600.0, 4 * 3600.0, 24 * 3600.0)
"""Seconds after the first, second and third failure; after one more it is not tried again for these facts."""

UNFINISHED_AT_ONCE = 2
"""Attempts that the box or the agent did not outlive and that are followed by another at once: a power cut is no
fault of the engine's, but a build that brings the box down each time must not do so for ever."""

_TELLING = ("l4t", "cuda", "gpu.driver", "memory_mb", "swap_mb")
"""Facts beside the key's that may make a difference; where one is another, a build is tried anew."""

_ENDED = "the box or the agent ended while it was built"
_log = logging.getLogger(__name__)


class _Record(BaseModel):
    """What a name's file holds; ``problem`` is empty while it is built."""

    tries: int = Field(ge=1)
    at: float
    facts: str
    problem: str = Field("", max_length=4000)


@dataclass(frozen=True)
class Failure:
    """A build that failed.

    Args:
        problem: why.
        tries: how often.
        seconds: until the next try: 0 is now, infinite is never for these facts.
    """

    problem: str
    tries: int
    seconds: float


class Attempts:
    """What is remembered of the engines of one box; where the disk refuses, until the process ends.

    Args:
        folder: made where it is missing.
        facts: the box's.
        clock: seconds since 1970.
    """

    def __init__(self, folder: Path, facts: Facts, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._clock = clock
        told = json.dumps({name: facts.get(name) for name in _TELLING}, sort_keys=True)
        self._facts = hashlib.sha256(told.encode()).hexdigest()
        self._known: dict[str, _Record] = {}

    def failure(self, name: str) -> Failure | None:
        """What is known of an engine; None where nothing keeps it from being built."""
        record = self._read(name)
        if record is None:
            return None
        return Failure(record.problem or _ENDED, record.tries, self._left(record))

    def failures(self) -> dict[str, Failure]:
        """All that failed on the box as it is, by name."""
        names = sorted({*self._known, *(path.stem for path in self._folder.glob("*.json"))})
        return {name: failure for name in names if (failure := self.failure(name)) is not None}

    def begin(self, name: str) -> None:
        """A build begins; it counts as failed until `succeeded` or `abandoned` is called."""
        before = self._read(name)
        tries = before.tries + 1 if before else 1
        self._write(name, _Record(tries=tries, at=self._clock(), facts=self._facts))

    def failed(self, name: str, problem: str) -> None:
        """It failed."""
        begun = self._read(name)
        tries = begun.tries if begun else 1
        self._write(name, _Record(tries=tries, at=self._clock(), facts=self._facts, problem=problem[:4000]))

    def abandoned(self, name: str) -> None:
        """Nobody waits for it any more, for no fault of its own."""
        begun = self._read(name)
        if begun is None or begun.tries == 1:
            self.succeeded(name)
        else:
            self._write(name, begun.model_copy(update={"tries": begun.tries - 1}))

    def succeeded(self, name: str) -> None:
        """It is built: forget what was."""
        self._known.pop(name, None)
        try:
            self._file(name).unlink(missing_ok=True)
        except OSError as error:
            _log.warning("%s cannot be removed: %s", self._file(name), error.strerror)

    def _left(self, record: _Record) -> float:
        if not record.problem and record.tries <= UNFINISHED_AT_ONCE:
            return 0.0
        if record.tries > len(WAITS):
            return math.inf
        wait = WAITS[record.tries - 1]
        # A clock that was set back must not make it longer than it was meant to be.
        return min(wait, max(0.0, record.at + wait - self._clock()))

    def _read(self, name: str) -> _Record | None:
        record = self._known.get(name)
        if record is None:
            try:
                record = _Record.model_validate_json(self._file(name).read_bytes())
            except (OSError, ValidationError):
                return None
        return record if record.facts == self._facts else None

    def _write(self, name: str, record: _Record) -> None:
        self._known[name] = record
        file = self._file(name)
        new = file.with_suffix(".new")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            new.write_text(record.model_dump_json(), encoding="utf-8")
            new.replace(file)
        except OSError as error:
            _log.warning("%s cannot be written: %s; a restart will not know of it", file, error.strerror)

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.json"
