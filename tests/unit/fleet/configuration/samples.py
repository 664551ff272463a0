"""Boxes and layers for the tests of configuration."""

from __future__ import annotations

from typing import Any

from fleet.configuration.layers import Layer, parse_group_query, parse_name
from fleet.inventory.device import Device

SECRET = "geheim-5521"


def box(device: str = "box-1", site: str | None = "taipei", **more: Any) -> Device:
    labels = {} if site is None else {"site": site}
    return Device(device=device, labels=labels, hardware_class=more.pop("hardware_class", "x86_64-vnni"), **more)


def layer(name: str, keys: dict[str, Any] | None = None, query: str = "", rank: int = 0) -> Layer:
    return Layer(parse_name(name), keys or {}, parse_group_query(query), rank)
