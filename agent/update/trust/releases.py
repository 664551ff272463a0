"""The port `Releases`: what is released, by metadata of The Update Framework. docs/updates.md says what it guards.

Every call begins from what is on the disk and ends there, so nothing is remembered that a power cut could lose.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

from agent.host import clock_synced
from agent.remote.rules import Moment
from agent.update.errors import UpdateError, UpdateWaitsError, storage_problem
from agent.update.ports import Release, Transport
from agent.update.trust.release import as_release, check_names, unknown
from agent.update.trust.rules import (
    LARGEST_ROOT,
    Floors,
    Seen,
    believed,
    check_floors,
    check_time,
    expiry_warning,
    raised,
)
from agent.update.trust.store import TrustStore
from contracts.desired import OperatorKeys
from contracts.errors import RuntimeMissingError, StorageError
from contracts.release import manifest_path, model_role
from contracts.update_config import UpdateConfig

if TYPE_CHECKING:
    from agent.update.trust.client import Visit
    from agent.update.trust.verify import Verified

_log = logging.getLogger(__name__)

ROOT_NAME = "root.json"

_TOP = ("timestamp.json", "snapshot.json", "targets.json")
_Bound = TypeVar("_Bound")
_CLOCK_RETRY = 300.0  # seconds; in which a box that is on the network has asked for the time


def this_moment() -> Moment:
    """Now, by this box's clock."""
    return Moment(time.time(), clock_synced())


class TrustedReleases:
    """What the keys of one repository have signed. One process, one thread at a time.

    Args:
        transport: the repository.
        root: the file with the root that is trusted first.
        store: what is kept.
        moment: tells the time.
    """

    def __init__(
        self, transport: Transport, root: Path, store: TrustStore, moment: Callable[[], Moment] = this_moment
    ) -> None:
        self._transport = transport
        self._root = root
        self._store = store
        self._moment = moment

    @classmethod
    def under(cls, state_dir: Path, config: UpdateConfig, transport: Transport) -> TrustedReleases:
        """Those of a box.

        Args:
            state_dir: of it.
            config: its ``[update]`` table.
            transport: the repository.
        """
        root = Path(config.root) if config.root else state_dir / ROOT_NAME
        return cls(transport, root, TrustStore.under(state_dir))

    def refresh(self) -> None:
        """Take the newest metadata.

        Raises:
            UpdateError: it is not trusted, older than what was seen, out of date or unreadable; or there is no root.
            UpdateWaitsError: nobody answers, or the clock may be wrong.
            RuntimeMissingError: python-tuf is not installed.
        """
        self._visit(None)

    def find(self, model: str, version: str) -> Release:
        """One release, by the newest metadata.

        Raises:
            UpdateError: there is none, or it was withdrawn; and as `refresh`.
            UpdateWaitsError: as `refresh`.
            RuntimeMissingError: as `refresh`.
        """
        check_names(model, version)
        visit = self._visit(model, manifest_path(model, version))
        if visit.target is None:
            raise unknown(model, version, visit.verified)
        return as_release(model, version, visit.target)

    def operator_keys(self) -> OperatorKeys | None:
        """The keys that sign desired documents, by the newest metadata that was taken; asks nobody.

        Returns:
            The keys; None where the repository names none, or nothing was taken yet.

        Raises:
            UpdateError: a box cannot use them; or as `refresh` for what is on the disk.
            RuntimeMissingError: python-tuf is not installed.
        """
        known = self._known(self._store.floors())
        return known.operator_keys() if known else None

    def expiries(self) -> Mapping[str, dt.datetime]:
        """When the metadata that was taken ends, by role; asks nobody. Raises as `operator_keys`."""
        known = self._known(self._store.floors())
        return {name: role.expires for name, role in known.seen.roles.items()} if known else {}

    def expires(self) -> dt.datetime | None:
        """The earliest of `expiries`; None where nothing was taken yet."""
        return min(self.expiries().values(), default=None)

    def warning(self) -> str | None:
        """What to say of metadata that ends soon; None while all is well. Raises as `operator_keys`."""
        floors = self._store.floors()
        return expiry_warning(self.expiries(), believed(self._moment(), floors))

    def _visit(self, model: str | None, path: str | None = None) -> Visit:
        """Ask the repository; what it gave is on the disk, and the floors are raised, before anybody acts on it."""
        client = _client()
        floors, moment = self._store.floors(), self._moment()
        now = believed(moment, floors)
        anchor = self._anchor()
        names = [*_TOP, *([f"{model_role(model)}.json"] if model else [])]
        kept = self._kept(client.root_version(anchor, str(self._root)), names)
        try:
            visit: Visit = client.visit(anchor, kept, self._transport, path)
        except OSError as error:
            raise storage_problem(StorageError("the folder for temporary files", error)) from error
        self._take(visit, floors, now, moment)
        return visit

    def _take(self, visit: Visit, floors: Floors, now: float, moment: Moment) -> None:
        """Keep what a visit brought, as far as it went, unless it is older than what was seen.

        What came before something went wrong is kept too: who breaks a visit off has not turned the box back by that.
        But nothing is kept before a timestamp shows that the root is this repository's: a wrong root file can be
        replaced.

        Raises:
            UpdateError: it is older or out of date, or what ended the visit.
            UpdateWaitsError: the same.
        """
        seen = visit.verified.seen
        older = _objection(check_floors, seen, floors)
        problem = visit.problem or older or _objection(check_time, seen, now)
        if older is None and "timestamp" in seen.roles:
            self._keep(visit, floors, floors.seen if problem else now)
        if older is not None and isinstance(problem, UpdateError):
            problem = older
        if isinstance(problem, UpdateError):
            raise _with_clock(problem, now, moment)
        if problem is not None:
            raise problem

    def _keep(self, visit: Visit, floors: Floors, now: float) -> None:
        self._store.keep(visit.files)
        higher = raised(visit.verified.seen, floors, now)
        if higher is not floors:
            self._store.write_floors(higher)

    def _known(self, floors: Floors) -> Verified | None:
        """What was taken last, from the disk; None where that is nothing, or was damaged since."""
        if floors.root is None:
            return None
        client = _client()
        root = self._store.read(f"{floors.root.version}.root.json")
        known: Verified | None = client.verified_again(root, floors, self._files([*_TOP, *_delegated(floors)]))
        if known is None:
            _log.warning("the metadata on the disk is damaged; the next visit of the repository mends it")
        return known

    def _anchor(self) -> bytes:
        try:
            with self._root.open("rb") as file:
                return file.read(LARGEST_ROOT)
        except OSError as error:
            raise UpdateError(
                "no_root",
                f"expected the root of trust in {self._root}, it cannot be read ({error.strerror}); put the root.json "
                "there that whoever runs the repository gives out, or name it with update.root",
            ) from error

    def _kept(self, first: int, names: list[str]) -> dict[str, bytes]:
        roots: dict[str, bytes] = {}
        while (data := self._store.read(name := f"{first + len(roots)}.root.json")) is not None:
            roots[name] = data
        return roots | self._files(names)

    def _files(self, names: list[str]) -> dict[str, bytes]:
        found = {name: self._store.read(name) for name in names}
        return {name: data for name, data in found.items() if data is not None}


def _objection(check: Callable[[Seen, _Bound], None], seen: Seen, bound: _Bound) -> UpdateError | None:
    try:
        check(seen, bound)
    except UpdateError as error:
        return error
    return None


def _delegated(floors: Floors) -> list[str]:
    return [f"{name}.json" for name in floors.roles if f"{name}.json" not in _TOP and "/" not in name]


def _with_clock(error: UpdateError, now: float, moment: Moment) -> UpdateError | UpdateWaitsError:
    """Metadata that is out of date by a clock which nobody has set waits: the clock is the more likely to be wrong."""
    if error.code != "metadata_expired" or moment.trusted:
        return error
    here = dt.datetime.fromtimestamp(min(now, 253_402_300_799.0), dt.timezone.utc)
    return UpdateWaitsError(
        f"{error.reason}. The probable cause is this box's clock: it is not synchronised and says "
        f"{here:%Y-%m-%dT%H:%M:%SZ}; set it, or let it reach a time server",
        _CLOCK_RETRY,
        "metadata_expired",
    )


def _client() -> ModuleType:
    try:
        from agent.update.trust import client
    except ImportError as error:
        raise RuntimeMissingError(
            "taking models from a repository", (error.name or "tuf").split(".")[0], "update"
        ) from None
    return client
