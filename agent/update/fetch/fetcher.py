"""Bringing files onto the shelf: room first, then one after the other, as fast as is allowed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from agent.backoff import Backoff
from agent.update.fetch.one_file import Means, OneFile
from agent.update.fetch.pace import Bandwidth, Progress, Time, check_stopped
from agent.update.fetch.room import Network, room_problem
from agent.update.ports import Download, Note, Stopped, Transport
from agent.update.shelf import Shelf
from contracts.update_config import UpdateConfig

_SMALL = 1_000_000  # bytes that are fetched at once: a manifest is no burden to anybody
SPREAD = 30.0  # seconds over which the boxes of a fleet that want a model at one moment begin to fetch it
_AGAIN_FIRST = 60.0  # ceiling of the first wait after a fetch that had to end, seconds
_AGAIN_MOST = 1800.0


class ShelfFetcher:
    """Fetches files in the order in which they are given, each of them once.

    What came of a file is kept however a fetch ends, and gone on with by the next, after a restart as well.

    Args:
        shelf: where the files go.
        transport: where they come from.
        config: bounds of the disk, the link and its interfaces.
        keep: digests of the manifests of the bundles that must stay where room has to be made.
        spread: seconds, of which a random part is waited before the first file; 0 for a folder.
        time: time and chance.
        root: of the board's file tree, where the network's routes are read.
    """

    def __init__(
        self,
        shelf: Shelf,
        transport: Transport,
        config: UpdateConfig,
        keep: Callable[[], Collection[str]],
        *,
        spread: float = SPREAD,
        time: Time | None = None,
        root: Path = Path("/"),
    ) -> None:
        self._shelf = shelf
        self._transport = transport
        self._config = config
        self._keep = keep
        self._spread = spread
        self._time = time or Time()
        self._network = Network(config.interfaces, root, self._time.clock)
        self._bandwidth = Bandwidth(config.max_kbit, self._time.clock)
        self._again = Backoff(_AGAIN_FIRST, _AGAIN_MOST, chance=self._time.chance)

    def fetch(self, downloads: Sequence[Download], note: Note, stopped: Stopped) -> None:
        """Have all of them on the shelf; see `agent.update.ports.Fetcher`."""
        unique: dict[str, Download] = {}
        for download in downloads:
            unique.setdefault(download.blob.sha256, download)
        missing = [one for one in unique.values() if not self._shelf.holds(one.blob, lambda: check_stopped(stopped))]
        if not missing:
            return
        self._make_room(missing, unique)
        self._network.check()
        if sum(download.blob.size for download in missing) > _SMALL:
            self._wait_for_turn(note, stopped)
        means = self._means(missing, note, stopped)
        for index, download in enumerate(missing):
            check_stopped(stopped)
            self._make_room(missing[index:], unique)
            with self._shelf.errors():
                OneFile(means, download, self._shelf.partial(download.blob)).fetch()
            self._again.reset()

    def _means(self, missing: Sequence[Download], note: Note, stopped: Stopped) -> Means:
        def check() -> None:
            check_stopped(stopped)
            self._network.check()

        total = sum(download.blob.size for download in missing)
        progress = Progress(total, note, self._time.clock)
        return Means(self._transport, self._time, self._bandwidth, progress, stopped, check, self._again.next)

    def _make_room(self, missing: Sequence[Download], wanted: Collection[str]) -> None:
        """Collect what nobody needs where that is needed; never while there is room, for it may be wanted again."""
        if self._room_problem(missing) is None:
            return
        self._shelf.collect(self._keep(), wanted)
        problem = self._room_problem(missing)
        if problem is not None:
            raise problem

    def _room_problem(self, missing: Sequence[Download]) -> Exception | None:
        need = sum(download.blob.size - self._shelf.reserved(download.blob) for download in missing)
        return room_problem(self._config, need, self._shelf.used(), self._shelf.free())

    def _wait_for_turn(self, note: Note, stopped: Stopped) -> None:
        seconds = self._spread * self._time.chance()
        if seconds >= 1:
            note(f"begins in {seconds:.0f} s, so that not all boxes do at once", None)
        self._time.wait_for(seconds, stopped)
