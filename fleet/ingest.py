"""Taking in what boxes publish, many messages in one transaction; no network and no clock of its own.

Nothing that decides anything lives in memory: a message is done with once what it says is in the database. Only when a
box was last seen is kept and written now and then, for that alone changes with every message.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from contracts.messages import CountReport, Hello, Status
from fleet.inventory.device import Device
from fleet.inventory.reading import REASONS, Message, Reason, RefusedError, clean, read_message
from fleet.inventory.rules import after, changes
from fleet.store.count_reports import ArrivedReport
from fleet.store.devices import StoredChange, Told, Work
from fleet.store.errors import DatabaseError, RejectedError
from fleet.store.settings import Listening

_log = logging.getLogger(__name__)

MOST_DEVICES = 100_000
"""Boxes that are taken in unless told otherwise: whoever may publish anywhere could invent any number."""


_MOST_TRACES = 10  # of faults of ours; after that they are only counted


class Inventory(Protocol):
    """Where boxes are stored."""

    def change(self, ids: Iterable[str], work: Work) -> None:
        """Change some boxes in one transaction; see `fleet.store.devices.DeviceStore.change`."""

    def seen(self, times: Mapping[str, int], listening: Listening | None = None) -> None:
        """Note when boxes were last seen, and how long they have been listened to."""

    def count(self) -> int:
        """How many boxes are known."""

    def barred(self, ids: Iterable[str]) -> frozenset[str]:
        """Those that were decommissioned."""


class Counts(Protocol):
    """Where counts are stored."""

    def add(self, reports: Sequence[ArrivedReport]) -> None:
        """Add what reports say; see `fleet.store.count_reports.CountLog.add`."""


class Arrived(NamedTuple):
    """A message as it came.

    Args:
        topic: its topic.
        payload: its bytes.
        retained: whether the broker kept it: then it says nothing of whether the box lives now.
        at_ms: when it came, milliseconds since 1970.
    """

    topic: str
    payload: bytes
    retained: bool
    at_ms: int


_Refusal = tuple[Reason, str]


class _Read(NamedTuple):
    device: str
    message: Message | CountReport
    arrived: Arrived

    @property
    def is_sign_of_life(self) -> bool:
        """Not what the broker kept, and not the will that it publishes in the box's place, which has no time."""
        return not self.arrived.retained and not (isinstance(self.message, Status) and self.message.at is None)


class Ingest:
    """Takes messages in; used by one thread.

    Args:
        inventory: where boxes are stored.
        counts: where counts are stored.
        most_devices: boxes that are known at most; messages of further ones are refused.

    Raises:
        DatabaseError: it cannot be read.
    """

    def __init__(self, inventory: Inventory, counts: Counts, most_devices: int = MOST_DEVICES) -> None:
        self._inventory = inventory
        self._counts = counts
        self._most = most_devices
        self._count = inventory.count()
        self._seen: dict[str, int] = {}
        self.taken = 0
        self.refused: dict[Reason, int] = dict.fromkeys(REASONS, 0)
        self.last_refusal = ""

    def take(self, batch: Sequence[Arrived]) -> None:
        """Take messages in, in their order; they are in the database, or refused and counted, once this returned.

        Raises:
            DatabaseError: it cannot be written; nothing of the batch was, and it may be taken again.
        """
        refusals: list[_Refusal] = []
        read = [one for arrived in batch if (one := _read(arrived, refusals)) is not None]
        try:
            self._store(read)
        except Exception as error:
            if isinstance(error, DatabaseError) and not isinstance(error, RejectedError):
                raise
            for one in read:  # one message must not hold up all others for ever
                self._store_alone(one)
        for reason, why in refusals:  # now, as the batch may have been taken before
            self.refuse(reason, why)

    def flush(self, listening: Listening | None = None) -> None:
        """Write when boxes were last seen.

        Args:
            listening: how long they have been listened to; all that came until its end was taken in.

        Raises:
            DatabaseError: it cannot be written; it is tried again with the next call.
        """
        self._inventory.seen(self._seen, listening)
        self._seen = {}

    def refuse(self, reason: Reason, why: str) -> None:
        """Count a message that nobody could even look at."""
        self.refused[reason] += 1
        self.last_refusal = why
        _log.debug("refused (%s): %s", reason, why)

    def _store(self, every: Sequence[_Read]) -> None:
        barred = self._inventory.barred({one.device for one in every}) if every else frozenset()
        read = [one for one in every if one.device not in barred]
        self._store_told([one for one in read if not isinstance(one.message, CountReport)])
        counted = [
            ArrivedReport(one.message, one.arrived.at_ms) for one in read if isinstance(one.message, CountReport)
        ]
        self._counts.add(counted)
        self.taken += len(counted)
        self._seen |= {one.report.device: one.at_ms for one in counted}
        for one in every:
            if one.device in barred:
                self.refuse("decommissioned", f"{one.device}: it was decommissioned; see `edgetally-fleet enrol list`")

    def _store_told(self, read: Sequence[_Read]) -> None:
        if not read:
            return
        work = _Work(read, self._most - self._count)
        self._inventory.change((one.device for one in read), work)
        self._count += work.new
        self.taken += work.taken
        for reason, why in work.refusals:
            self.refuse(reason, why)
        self._seen |= work.seen

    def _store_alone(self, one: _Read) -> None:
        try:
            self._store([one])
        except Exception as error:
            if isinstance(error, DatabaseError) and not isinstance(error, RejectedError):
                raise
            self._fault(one.device, error)

    def _fault(self, device: str, error: Exception) -> None:
        self.refuse("failed", f"{device}: {type(error).__name__}: {error}")
        if self.refused["failed"] <= _MOST_TRACES:
            _log.error("a message of %s failed, which is a fault of edgetally-fleet", device, exc_info=error)


def _read(arrived: Arrived, refusals: list[_Refusal]) -> _Read | None:
    if not arrived.payload:
        return None  # a retained message was taken back
    try:
        return _Read(*read_message(arrived.topic, arrived.payload), arrived)
    except RefusedError as error:
        refusals.append((error.reason, str(error)))
    except Exception as error:  # noqa: BLE001 - whatever a message does to its reader, the others go on
        refusals.append(("failed", f"{clean(arrived.topic)}: {type(error).__name__}"))
        _log.error("a message could not be read, which is a fault of edgetally-fleet", exc_info=error)
    return None


class _Work:
    """One batch, applied to what is known; a transaction that is tried again makes a new one."""

    def __init__(self, read: Sequence[_Read], room: int) -> None:
        self._read = read
        self._room = room
        self.new = 0
        self.taken = 0
        self.refusals: list[_Refusal] = []
        self.seen: dict[str, int] = {}

    def __call__(self, known: Mapping[str, Device]) -> Iterable[Told]:
        now: dict[str, Device] = dict(known)
        told: dict[str, Told] = {}
        for one in self._read:
            assert not isinstance(one.message, CountReport)
            before = now.get(one.device) or self._made(one.device)
            device = None if before is None else after(before, one.message)
            if before is None:
                self.refusals.append(
                    ("too_many_devices", f"{one.device}: no more boxes are taken in; see --most-devices")
                )
            elif device is None:
                self.refusals.append(("late", f"{one.device}: a message of an earlier boot or attempt"))
            else:
                self.taken += 1
                now[one.device] = device
                if one.is_sign_of_life:
                    self.seen[one.device] = one.arrived.at_ms
                if device != before or one.device not in known or isinstance(one.message, Hello):
                    told[one.device] = _joined(told.get(one.device), before, device, one)
        self.new = len(now) - len(known)
        return told.values()

    def _made(self, device: str) -> Device | None:
        if self._room <= 0:
            return None
        self._room -= 1
        return Device(device=device)


def _joined(earlier: Told | None, before: Device, device: Device, one: _Read) -> Told:
    found = [StoredChange(one.arrived.at_ms, change) for change in changes(before, device)]
    seen = one.is_sign_of_life or (earlier is not None and earlier.seen)
    first_ms = earlier.first_ms if earlier else one.arrived.at_ms
    greeted = isinstance(one.message, Hello) or (earlier is not None and earlier.greeted)
    every = [*(earlier.changes if earlier else ()), *found]
    return Told(device, first_ms, one.arrived.at_ms, seen, every, greeted)
