"""Layers to the one configuration of a box: the fleet's, then its groups' by rank and name, then its own.

The same layers and the same box give the same bytes, wherever and whenever.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from contracts.layers import Path, leaves, merge
from fleet.configuration.bodies import plain_config
from fleet.configuration.layers import Layer, LayerName
from fleet.configuration.placeholders import PlaceholderError, fill, filled_for, has_placeholders
from fleet.inventory.device import Device
from fleet.inventory.fields import matches
from fleet.inventory.query import Query

_MOST_KEPT = 4_096  # sets of layers whose merged keys are kept; boxes of the same groups share them


@dataclass(frozen=True)
class Resolved:
    """What a box should be configured as: a `contracts.desired.DesiredConfig` as canonical JSON, secrets in it."""

    config: str = field(repr=False)


@dataclass(frozen=True)
class Problem:
    """Why the layers make no configuration for a box, in one sentence without secrets."""

    text: str


@dataclass(frozen=True)
class Merged:
    """Layers laid over one another, with their placeholders.

    Args:
        keys: part of agent.toml.
        shared: what they make for every box that they fit, None where that depends on the box.
    """

    keys: Mapping[str, object] = field(repr=False)
    shared: Resolved | Problem | None

    def resolve(self, device: Device) -> Resolved | Problem:
        """What they make for a box."""
        if self.shared is not None:
            return self.shared
        try:
            keys = fill(self.keys, filled_for(device))
        except PlaceholderError as error:
            return Problem(str(error))
        assert isinstance(keys, dict)
        return _resolved(keys)


class Layers:
    """The layers of a fleet, ready to be asked for many boxes.

    Args:
        layers: in any order, each name once.
    """

    def __init__(self, layers: Iterable[Layer]) -> None:
        every = sorted(layers, key=lambda layer: layer.place)
        self._common = [layer for layer in every if layer.name.kind != "device"]
        self._own = {layer.name.name: layer for layer in every if layer.name.kind == "device"}
        self._named = {layer.name: layer for layer in every}
        self._merged = lru_cache(_MOST_KEPT)(self._merge)

    @property
    def queries(self) -> frozenset[Query]:
        """What has to be known of a box to say which layers are for it."""
        return frozenset(layer.query for layer in self._common)

    def of(self, device: Device, fits: Mapping[Query, bool] | None = None) -> tuple[Layer, ...]:
        """The layers of a box, the lowest first.

        Args:
            device: the box.
            fits: of each of `queries` whether it means the box, where that is known already.
        """
        known = answers(self.queries, device) if fits is None else fits
        own = self._own.get(device.device)
        return (*(layer for layer in self._common if known[layer.query]), *((own,) if own else ()))

    def merged(self, layers: tuple[Layer, ...]) -> Merged:
        """Some of these layers over one another; the lowest first."""
        names = tuple(layer.name for layer in layers)
        # Those of one box are asked for once: they would push out what many boxes share.
        return self._merge(names) if names and names[-1].kind == "device" else self._merged(names)

    def resolve(self, device: Device) -> Resolved | Problem:
        """What a box should be configured as."""
        return self.merged(self.of(device)).resolve(device)

    def _merge(self, names: tuple[LayerName, ...]) -> Merged:
        keys: dict[str, object] = {}
        if names and names[-1].kind == "device":
            keys = merge(self._merged(names[:-1]).keys, self._named[names[-1]].keys)
        else:
            for name in names:
                keys = merge(keys, self._named[name].keys)
        return Merged(keys, None if has_placeholders(keys) else _resolved(keys))


def resolve(device: Device, layers: Iterable[Layer]) -> Resolved | Problem:
    """What a box should be configured as; for many boxes make `Layers` once."""
    return Layers(layers).resolve(device)


def answers(queries: Iterable[Query], device: Device) -> dict[Query, bool]:
    """Of each query whether it means the box."""
    return {query: matches(query, device) for query in queries}


def origins(layers: tuple[Layer, ...]) -> dict[Path, LayerName]:
    """Which layer each value of the merged keys is from.

    Args:
        layers: of one box, the lowest first.
    """
    keys: dict[str, object] = {}
    for layer in layers:
        keys = merge(keys, layer.keys)
    found = [(layer.name, leaves(layer.keys)) for layer in reversed(layers)]
    return {
        place: next(name for name, of_it in found if any(one[: len(place)] == place for one in of_it))
        for place in leaves(keys)
    }


def _resolved(keys: Mapping[str, object]) -> Resolved | Problem:
    config, problems = plain_config(keys)
    return Problem("; ".join(problems)) if config is None else Resolved(config.decode())
