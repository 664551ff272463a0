"""The layers of the configuration, one over the other: file and environment, the local page, the remote document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError

from agent.remote.names import NAME_KEYS
from agent.remote.refusals import invalid, wrong_fields
from contracts.config import AgentConfig
from contracts.desired import WrongField

LayerName = Literal["default", "file", "environment", "page", "remote"]


@dataclass(frozen=True)
class Layer:
    """Part of a configuration.

    Args:
        name: where it is from.
        keys: what it sets, nested as in agent.toml.
    """

    name: LayerName
    keys: Mapping[str, object]


def effective(local: AgentConfig, layers: Sequence[Layer]) -> AgentConfig:
    """The configuration that results.

    Args:
        local: what the file, the environment and the flags give.
        layers: those over it, the lowest first.

    Raises:
        DocumentRefusedError: the result does not fit; every wrong field is named.
    """
    merged: Mapping[str, object] = local.model_dump()
    for layer in layers:
        merged = merge(merged, layer.keys)
    document = _without_disabled(merged)
    try:
        return AgentConfig.model_validate(document)
    except ValidationError as error:
        found = wrong_fields(AgentConfig, error, document)
        raise invalid(
            [WrongField(path=f"config.{one.path}" if one.path else "config", problem=one.problem) for one in found]
        ) from None


def merge(under: Mapping[str, object], over: Mapping[str, object]) -> dict[str, object]:
    """Tables key by key, cameras, lines and zones by name; any other value replaces the one below."""
    merged = dict(under)
    for key, value in over.items():
        below = under.get(key)
        if key in NAME_KEYS and isinstance(value, Sequence):
            merged[key] = _merge_rows(NAME_KEYS[key], below if isinstance(below, Sequence) else (), value)
        elif isinstance(value, Mapping):
            merged[key] = merge(below if isinstance(below, Mapping) else {}, value)
        else:
            merged[key] = value
    return merged


def _merge_rows(name_key: str, under: Sequence[object], over: Sequence[object]) -> list[dict[str, object]]:
    rows: dict[object, dict[str, object]] = {}
    for row in (*under, *over):
        assert isinstance(row, Mapping)
        rows[row[name_key]] = merge(rows.get(row[name_key], {}), row)
    return list(rows.values())


def _without_disabled(document: Mapping[str, object]) -> dict[str, object]:
    """Without the rows that a layer left out, and without the key that says so."""
    kept: dict[str, object] = {}
    for key, value in document.items():
        if key in NAME_KEYS and isinstance(value, Sequence):
            rows = [row for row in value if isinstance(row, Mapping) and row.get("enabled", True)]
            kept[key] = [_without_disabled(row) for row in rows]
        elif key != "enabled":
            kept[key] = value
    return kept
