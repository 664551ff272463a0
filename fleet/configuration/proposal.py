"""A change of one layer, made of what somebody wrote, before it is stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from contracts.errors import WrittenError
from fleet.configuration.bodies import read_body
from fleet.configuration.layers import MOST_RANK, Layer, LayerName, parse_group_query
from fleet.configuration.preview import Preview, preview
from fleet.inventory.device import Device
from fleet.inventory.fields import known_names, matches
from fleet.inventory.query import QueryError, check_names


@dataclass(frozen=True)
class Written:
    """What somebody wrote of a layer.

    Args:
        keys: part of agent.toml.
        where: the file or request that it is from.
        query: of a group; as it is where None.
        rank: of a group; as it is where None.
    """

    keys: Mapping[str, object]
    where: str
    query: str | None = None
    rank: int | None = None


def proposed(name: LayerName, written: Written, before: Layer | None) -> Layer:
    """The layer as it would be.

    Args:
        name: which.
        written: what it should say.
        before: as it is, None where there is none.

    Raises:
        DocumentError: the keys are wrong.
        WrittenError: a query or rank is missing or wrong, or the layer can have none.
    """
    keys = read_body(written.keys, written.where, None if before is None else before.keys)
    if name.kind != "group":
        if written.query is not None or written.rank is not None:
            raise WrittenError(f"layer {name} has no query and no rank; only groups do")
        return Layer(name, keys)
    if written.query is None and before is None:
        raise WrittenError(f"{name} is new; say which boxes it is for, as with --query 'site=taipei'")
    old = before or Layer(name, {})
    rank = old.rank if written.rank is None else written.rank
    if not -MOST_RANK <= rank <= MOST_RANK:
        raise WrittenError(f"{name}: the rank should be {-MOST_RANK} to {MOST_RANK}, got {rank}")
    return Layer(name, keys, old.query if written.query is None else parse_group_query(written.query), rank)


def replaced(layers: Sequence[Layer], name: LayerName, after: Layer | None) -> list[Layer]:
    """The layers with one of them replaced, added, or removed where ``after`` is None."""
    others = [layer for layer in layers if layer.name != name]
    return others if after is None else [*others, after]


def preview_change(devices: Iterable[Device], layers: Sequence[Layer], name: LayerName, after: Layer | None) -> Preview:
    """What a change of one layer would do.

    Args:
        devices: all boxes.
        layers: as they are.
        name: the layer that changes.
        after: as it would be, None where it is removed.
    """
    some = [device for device in devices if name.kind != "device" or device.device == name.name]
    shown = preview(some, layers, replaced(layers, name, after))
    return shown if after is None else replace(shown, notes=tuple(_notes(some, after)))


def _notes(devices: Sequence[Device], after: Layer) -> Iterator[str]:
    """What may be a typing error: a layer may well be for boxes to come, so it is no error."""
    if after.name.kind == "device" and not devices:
        yield f"no box {after.name.name!r} is known yet"
    if after.name.kind != "group" or any(matches(after.query, device) for device in devices):
        return
    try:
        check_names(after.query, str(after.query), known_names(devices))
    except QueryError as error:
        yield f"{after.name} is for no box that is known now: {error.problem}"
    else:
        yield f"{after.name} is for no box that is known now"
