"""What a query can ask of a box: its labels by their names, and these fields.

=================  =========================================================================
``device``         its id
``class``          its hardware class (`fleet.inventory.hardware_class`)
``target``         every target whose requirements and runtime its facts meet
``online``         ``yes``, ``no``, or ``unknown`` where it never told
``version``        of its agent
``state``          what runs: ``local``, ``ok``, ``degraded``, ``confirming``
``update``         where the newest attempt to change its models stands: ``committed``, …
``model``          the bundles that run, ``name@version`` of each slot
``artifact``       the artifacts that run, by their SHA-256
``warning``        ``drift``, ``update``, ``config``: what somebody should see to
``label:NAME``     a label that is called like one of these
``fact:NAME``      a fact; of a list, each of its items
=================  =========================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from contracts.facts import refusals
from fleet.inventory.device import Device
from fleet.inventory.query import EVERY, Query, check_names
from fleet.inventory.query_parser import parse_query
from targets.load import all_targets


def _some(value: str | None) -> Sequence[str]:
    return () if value is None else (value,)


def _targets(device: Device) -> Sequence[str]:
    facts = device.facts
    # Artifacts need their runtime too, which not every target says, as it depends on the model which version.
    found = (target for target in all_targets() if f"runtime.{target.backend}" in facts)
    return [target.name for target in found if not refusals(target.requires, facts)]


def _online(device: Device) -> Sequence[str]:
    return ("unknown",) if device.online is None else ("yes",) if device.online else ("no",)


def _warnings(device: Device) -> Sequence[str]:
    kinds = {"drift": device.drift_warnings, "update": device.update_problems, "config": device.config_problems}
    return [kind for kind, warnings in kinds.items() if warnings]


FIELDS: Mapping[str, Callable[[Device], Sequence[str]]] = MappingProxyType(
    {
        "device": lambda device: (device.device,),
        "class": lambda device: (device.hardware_class,),
        "target": _targets,
        "online": _online,
        "version": lambda device: _some(device.version),
        "state": lambda device: _some(device.state),
        "update": lambda device: _some(None if device.update is None else device.update.state),
        "model": lambda device: [one.release for one in device.models.values() if one.release is not None],
        "artifact": lambda device: [model.artifact_digest for model in device.models.values()],
        "warning": _warnings,
    }
)


def values(device: Device, name: str) -> Sequence[str]:
    """What a box has for a name; a field goes before a label of the same name."""
    if name in FIELDS:
        return FIELDS[name](device)
    kind, colon, rest = name.partition(":")
    if colon and kind == "fact":
        return _fact(device, rest)
    return _some(device.labels.get(rest if colon and kind == "label" else name))


def matches(query: Query, device: Device) -> bool:
    """Whether a box is meant."""
    return query.holds(lambda name: values(device, name))


def select(text: str, devices: Iterable[Device]) -> list[Device]:
    """The boxes that a query means, in their order.

    Raises:
        QueryError: it cannot be read, or names what no box has.
    """
    query = parse_query(text)
    if query == EVERY:
        return list(devices)
    every = list(devices)
    if every:  # where no box is known yet no label is either, and none of them is a typing error
        check_names(query, text, known_names(every))
    return [device for device in every if matches(query, device)]


def known_names(devices: Iterable[Device]) -> list[str]:
    """What can be asked for: the fields, and all labels and facts that some box has."""
    names = dict.fromkeys(FIELDS)
    for device in devices:
        for label in device.labels:
            names |= {label: None, f"label:{label}": None}
        names |= {f"fact:{fact}": None for fact in device.facts}
    return list(names)


def _fact(device: Device, name: str) -> Sequence[str]:
    value = device.facts.get(name)
    return _some(None if value is None else str(value)) if not isinstance(value, tuple) else value
