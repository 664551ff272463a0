"""What a change of layers would do to every box, before anything is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from fleet.configuration.difference import Difference, differences
from fleet.configuration.layers import Layer, LayerName
from fleet.configuration.resolve import Layers, Problem, Resolved, answers
from fleet.inventory.device import Device

ORDER = Difference("the order of cameras, lines or zones", "as it is", "another one")
"""Where the same values stand in another order."""

_Names = tuple[LayerName, ...]


@dataclass(frozen=True)
class Affected:
    """Boxes that change in the same way.

    Args:
        difference: what becomes different; placeholders are as they were written, and so the same for many boxes.
        devices: their ids, in the order in which they came.
    """

    difference: tuple[Difference, ...]
    devices: tuple[str, ...]


@dataclass(frozen=True)
class Trouble:
    """Boxes that would get no configuration, for the same reason."""

    problem: str
    devices: tuple[str, ...]


@dataclass(frozen=True)
class Preview:
    """What a change would do.

    Args:
        devices: how many boxes were looked at.
        affected: boxes whose configuration changes, the most frequent difference first; those among them that had a
            problem until now are in ``mended`` too.
        broken: boxes that have a problem then and had none: they keep what they have.
        mended: boxes that had a problem and then have none.
        still_broken: how many had a problem, and keep one.
        notes: what of the layer may be meant otherwise, in words: a query that means no box, say.
    """

    devices: int
    affected: tuple[Affected, ...]
    broken: tuple[Trouble, ...]
    mended: tuple[str, ...]
    still_broken: int
    notes: tuple[str, ...] = ()

    @property
    def changed(self) -> int:
        """How many boxes get another configuration."""
        return sum(len(group.devices) for group in self.affected)

    @property
    def sentence(self) -> str:
        """It in one sentence."""
        broken = sum(len(trouble.devices) for trouble in self.broken)
        parts = [f"this changes {self.changed} of {_boxes(self.devices)}"]
        if self.mended:
            parts.append(f"{len(self.mended)} of these had a problem until now")
        if broken:
            parts.append(f"{_boxes(broken)} would get a problem, and stay as now")
        if self.still_broken:
            parts.append(f"{_boxes(self.still_broken)} would still have a problem")
        return "; ".join(parts)


def preview(devices: Iterable[Device], before: Iterable[Layer], after: Iterable[Layer]) -> Preview:
    """Compare what two sets of layers make of boxes.

    Each box is asked each query once, and only boxes whose layers differ are looked at any further. So it takes time
    in proportion to boxes and queries, and room for the ids of those that change.

    Args:
        devices: boxes; they are gone through once.
        before: the layers as they are.
        after: as they would be.
    """
    comparison = _Comparison(Layers(before), Layers(after))
    for device in devices:
        comparison.take(device)
    return comparison.result()


class _Comparison:
    def __init__(self, before: Layers, after: Layers) -> None:
        self._before, self._after = before, after
        self._queries = before.queries | after.queries
        self._count = self._still = 0
        self._affected: dict[tuple[Difference, ...], list[str]] = {}
        self._broken: dict[str, list[str]] = {}
        self._mended: list[str] = []
        self._known: dict[tuple[_Names, _Names], tuple[Difference, ...]] = {}

    def take(self, device: Device) -> None:
        self._count += 1
        fits = answers(self._queries, device)
        old, new = self._before.of(device, fits), self._after.of(device, fits)
        if old == new:
            return
        was, becomes = self._before.merged(old).resolve(device), self._after.merged(new).resolve(device)
        if isinstance(becomes, Problem):
            if isinstance(was, Problem):
                self._still += 1
            else:
                self._broken.setdefault(becomes.text, []).append(device.device)
        elif was != becomes:
            self._affected.setdefault(self._difference(old, new), []).append(device.device)
            if not isinstance(was, Resolved):
                self._mended.append(device.device)

    def _difference(self, old: tuple[Layer, ...], new: tuple[Layer, ...]) -> tuple[Difference, ...]:
        names = (tuple(layer.name for layer in old), tuple(layer.name for layer in new))
        if names not in self._known:
            found = differences(self._before.merged(old).keys, self._after.merged(new).keys) or (ORDER,)
            if any(one and one[-1].kind == "device" for one in names):
                return found  # of one box: it is asked for once
            self._known[names] = found
        return self._known[names]

    def result(self) -> Preview:
        sizes = Counter({difference: len(ids) for difference, ids in self._affected.items()})
        return Preview(
            self._count,
            tuple(Affected(each, tuple(self._affected[each])) for each, _ in sizes.most_common()),
            tuple(Trouble(text, tuple(ids)) for text, ids in self._broken.items()),
            tuple(self._mended),
            self._still,
        )


def _boxes(count: int) -> str:
    return "1 box" if count == 1 else f"{count} boxes"
