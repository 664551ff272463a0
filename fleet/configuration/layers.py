"""A layer: part of agent.toml for all boxes, for those that a query means, or for one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from contracts.documents import ID_PATTERN, ID_RULE
from contracts.errors import WrittenError, did_you_mean
from fleet.inventory.device import Device
from fleet.inventory.query import EVERY, Query, comparisons
from fleet.inventory.query_parser import parse_query

Kind = Literal["fleet", "group", "device"]
"""The lowest first; groups lie over one another by their rank, and by their names where that is the same."""

KINDS: tuple[Kind, ...] = get_args(Kind)
MOST_RANK = 1_000_000

_FLEETING = frozenset({"online", "state", "update", "artifact", "warning"})
"""Fields that change while a box works: a configuration that followed them would go to and fro."""

_ID = re.compile(ID_PATTERN)


@dataclass(frozen=True, order=True)
class LayerName:
    """Which layer: ``fleet``, ``group/NAME`` or ``device/ID``, as ``str()`` of it says."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return self.kind if self.kind == "fleet" else f"{self.kind}/{self.name}"

    @property
    def subject(self) -> str:
        """What the audit log calls it."""
        return f"layer:{self}"


FLEET = LayerName("fleet", "fleet")


@dataclass(frozen=True)
class Layer:
    """A layer.

    Args:
        name: which it is.
        keys: part of agent.toml as plain data, its secrets and placeholders as they were written.
        query: of a group: which boxes it is for.
        rank: of a group: one of a higher rank lies over one of a lower.
    """

    name: LayerName
    keys: Mapping[str, object] = field(repr=False)
    query: Query = EVERY
    rank: int = 0

    @property
    def place(self) -> tuple[int, int, str]:
        """Sorts layers, the lowest first."""
        return (KINDS.index(self.name.kind), self.rank, self.name.name)


def parse_name(text: str) -> LayerName:
    """Read the name of a layer.

    Raises:
        WrittenError: it is none.
    """
    kind, _, name = text.partition("/")
    if text == "fleet":
        return FLEET
    if kind not in ("group", "device") or not _ID.fullmatch(name):
        hint = did_you_mean(kind, KINDS) if kind not in KINDS else f"; a name is {ID_RULE}"
        raise WrittenError(f"layer {text!r} should be `fleet`, `group/NAME` or `device/ID`{hint}")
    return LayerName("group" if kind == "group" else "device", name)


def parse_group_query(text: str) -> Query:
    """Read which boxes a group is for.

    Raises:
        QueryError: it cannot be read.
        WrittenError: it asks for what changes while a box works.
    """
    query = parse_query(text)
    for one in comparisons(query):
        if one.name in _FLEETING:
            raise WrittenError(
                f"a group cannot ask for {one.name!r}, which changes by itself: its configuration would go to and fro; "
                "ask for labels, device, class, target, version or facts"
            )
    return query


def depends_on(device: Device) -> tuple[object, ...]:
    """What of a box its layers may ask for: as long as it is the same, so is what they make for it."""
    return (device.labels, device.hardware_class, device.facts, device.version)
