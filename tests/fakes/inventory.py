"""An inventory in memory that fails on request; it does what `fleet.store.devices.DeviceStore` promises."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fleet.inventory.device import Device
from fleet.store.count_reports import ArrivedReport
from fleet.store.devices import Told, Work
from fleet.store.settings import Listening


class MemoryInventory:
    """Boxes in a dictionary.

    Attributes:
        fails: raised by the next calls, one each, None for one that works.
        decommissioned: boxes that are taken in no more.
        refuses: raised where a box of one of these ids is written.
    """

    def __init__(self) -> None:
        self.devices: dict[str, Device] = {}
        self.last_seen: dict[str, int] = {}
        self.written: list[Told] = []
        self.fails: list[Exception | None] = []
        self.decommissioned: frozenset[str] = frozenset()
        self.refuses: dict[str, Exception] = {}
        self.listening: Listening | None = None

    def change(self, ids: Iterable[str], work: Work) -> None:
        self._fail()
        told = list(work({name: self.devices[name] for name in set(ids) if name in self.devices}))
        for each in told:
            if each.device.device in self.refuses:
                raise self.refuses[each.device.device]
        self.written += told
        self.devices |= {each.device.device: each.device for each in told}

    def seen(self, times: Mapping[str, int], listening: Listening | None = None) -> None:
        self.listening = listening or self.listening
        self._fail()
        self.last_seen |= times

    def count(self) -> int:
        return len(self.devices)

    def barred(self, ids: Iterable[str]) -> frozenset[str]:
        return self.decommissioned & frozenset(ids)

    def _fail(self) -> None:
        error = self.fails.pop(0) if self.fails else None
        if error is not None:
            raise error


class AlwaysLeads:
    """A lease of the only controller."""

    def take(self, now_ms: int) -> bool:
        return now_ms > 0

    def give_back(self) -> None:
        """Nobody waits for it."""


class NoOutbox:
    """Nothing to publish."""

    def __init__(self, session: object) -> None:
        del session

    def turn(self) -> bool:
        return False


class MemoryCounts:
    """Counts in a list."""

    def __init__(self) -> None:
        self.added: list[ArrivedReport] = []

    def add(self, reports: Sequence[ArrivedReport]) -> None:
        self.added += reports
