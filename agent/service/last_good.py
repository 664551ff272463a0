"""The last agent.toml that counted: what the box runs where a newer one does not come up.

It is kept once the agent has counted with it for a while. A newer file gets a few starts; where none of them lasts,
the kept one runs, and is said to, until the file is changed again. So a wrong file that came at night costs the
time of a few starts, not the time until somebody looks.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.disk import Disk
from agent.records import RecordDamagedError, Records
from contracts.documents import MachineModel
from contracts.errors import StorageError

_log = logging.getLogger(__name__)

MOST_STARTS = 5
"""Of an agent.toml that none of them lasted with."""

LASTS_SECONDS = 120.0
"""After which a start has lasted: models were loaded, and windows closed and committed."""

FOLDER = "last-good"
FILE = "agent.toml"
_STARTS = "starts"


class Starts(MachineModel):
    """How often an agent.toml was started with that did not last; ``sha256`` of its bytes, none where it lacks."""

    sha256: str | None = None
    count: int = 0


@dataclass(frozen=True)
class Choice:
    """What is run.

    Args:
        path: of the file.
        note: that it is not the one that was asked for, and why; None where it is.
    """

    path: Path
    note: str | None = None


class LastGood:
    """See above. For one process, which holds the state directory or is about to.

    Args:
        folder: where it is kept.
        config: agent.toml.
    """

    def __init__(self, folder: Path, config: Path) -> None:
        self._disk = Disk(folder)
        self._records = Records(self._disk)
        self._config = config
        self._bytes: bytes | None = None  # what this run was started with; None where there is nothing to be kept
        self._lasted = False

    def choose(self) -> Choice:
        """Which file to run; the start is noted on the disk first, so that one that ends the process counts too.

        A disk that cannot be written has the file run as it is: that it cannot be written the agent says itself.
        """
        data = _read(self._config)
        asked = None if data is None else hashlib.sha256(data).hexdigest()
        starts = self._starts()
        count = starts.count if starts.sha256 == asked else 0
        good = self._good()
        if count >= MOST_STARTS and good is not None and good != data:
            return self._fall_back(count)
        self._bytes = data
        self._note(Starts(sha256=asked, count=count + 1))
        return Choice(self._config)

    def lasted(self) -> None:
        """It counted for a while with what was chosen: that is kept; twice is harmless."""
        if self._lasted or self._bytes is None:
            return
        self._lasted = True
        try:
            if self._good() != self._bytes:
                self._disk.replace(FILE, self._bytes)
        except StorageError as error:
            _log.error("%s; agent.toml is not kept as the last good one", error)
            return
        self._forgive()

    def ended_well(self) -> None:
        """It was told to end, and did: that says nothing against the file."""
        if self._bytes is not None and not self._lasted:
            self._forgive()

    def _fall_back(self, count: int) -> Choice:
        good = self._disk.directory / FILE
        note = f"{self._config} did not come up {count} times, the last good one runs"
        _log.critical(
            "%s (%s); mend the file and start the agent anew: `edgetally-agent check` says what is wrong", note, good
        )
        return Choice(good, note)

    def _forgive(self) -> None:
        assert self._bytes is not None
        self._note(Starts(sha256=hashlib.sha256(self._bytes).hexdigest(), count=0))

    def _starts(self) -> Starts:
        try:
            return self._records.read(_STARTS, Starts) or Starts()
        except RecordDamagedError as error:
            _log.error("%s; starts are counted anew", error)
            return Starts()

    def _good(self) -> bytes | None:
        return _read(self._disk.directory / FILE)

    def _note(self, starts: Starts) -> None:
        try:
            self._records.write(_STARTS, starts)
        except StorageError as error:
            _log.error("%s; this start is not counted", error)


def find_last_good(environment: Mapping[str, str], config: Path) -> LastGood | None:
    """Where a service manager gave the agent a state directory; None where nobody did, and a person starts it."""
    state = environment.get("STATE_DIRECTORY", "").partition(":")[0]
    return LastGood(Path(state) / FOLDER, config) if state else None


def left_for_the_last_good(config: Path, state_dir: Path = Path("/var/lib/edgetally")) -> int | None:
    """How often a file did not come up, where the service runs the last good one instead of it; None where not.

    Args:
        config: agent.toml.
        state_dir: that the service manager gives the agent.
    """
    try:
        starts = Records(Disk(state_dir / FOLDER)).read(_STARTS, Starts)
    except RecordDamagedError:
        return None
    data, good = _read(config), _read(state_dir / FOLDER / FILE)
    if starts is None or starts.count < MOST_STARTS or good is None or good == data:
        return None
    same = starts.sha256 == (None if data is None else hashlib.sha256(data).hexdigest())
    return starts.count if same else None


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
