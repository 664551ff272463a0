"""The layers of the configuration, one over the other: file and environment, the local page, the remote document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError

from agent.remote.refusals import invalid
from contracts.config import AgentConfig
from contracts.desired import WrongField
from contracts.layers import NAME_KEYS, merge
from contracts.wrong_fields import wrong_fields

LayerName = Literal["default", "provisioning", "file", "credential", "environment", "page", "remote"]


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
