"""Boxes that come later, or become others, join standing rollouts that are for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection

from fleet.inventory.device import Device
from fleet.inventory.fields import matches, values
from fleet.inventory.query_parser import parse_query
from fleet.rollout.rules import ClassState
from fleet.store import rollouts as store
from fleet.store.rollouts import Rollout, RolloutBox

_JOINED: frozenset[ClassState] = frozenset({"waiting", "open", "soaking", "passed"})


def join_rollouts(connection: Connection, devices: Mapping[str, Device], now_ms: int) -> None:
    """Have boxes join, in the last wave: what a rollout proves, it proves on boxes that were planned.

    A box joins the newest standing rollout of a slot that means it, unless it is in that or a newer one already. A
    hardware class that the rollout has not gone through joins nothing: it needs canaries of its own.

    Args:
        connection: that writes; it holds the boxes.
        devices: that are new, or whose labels, class or facts changed.
        now_ms: now.
    """
    standing = store.standing(connection)
    if not standing or not devices:
        return
    classes = {
        each.id: {one.hardware_class for one in store.classes(connection, each.id) if one.state in _JOINED}
        for each in standing
    }
    newest = store.newest_of_slots(connection, devices)
    joined = [
        RolloutBox(rollout.id, device.device, device.hardware_class, len(rollout.spec.waves) - 1, now_ms)
        for device in devices.values()
        for rollout in _joins(device, standing, classes, newest)
    ]
    store.add_boxes(connection, joined)


def _joins(
    device: Device,
    standing: Iterable[Rollout],
    classes: Mapping[int, set[str]],
    newest: Mapping[tuple[str, str], int],
) -> list[Rollout]:
    """By slot, the newest that means the box, where that is newer than those that it is in."""
    found: dict[str, Rollout] = {}
    for rollout in standing:  # newest first
        slot = rollout.spec.slot
        if slot not in found and newest.get((device.device, slot), 0) < rollout.id and _means(rollout, device):
            found[slot] = rollout
    return [each for each in found.values() if device.hardware_class in classes[each.id]]


def _means(rollout: Rollout, device: Device) -> bool:
    fits = set(rollout.spec.targets) & set(values(device, "target"))
    return bool(fits) and matches(parse_query(rollout.spec.query), device)
