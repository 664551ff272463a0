"""Placeholders in the texts of a layer: ``${device}``, ``${class}`` and ``${label.NAME}``; ``$$`` is a dollar.

What a box says of itself is put into documents that an operator signs. So a value that could mean more than a word
where it is put - a path, another host, a further element of a pipeline - is refused, and so is one that is not there.
Only a label may hold any text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from contracts.documents import ID_PATTERN
from contracts.layers import NAME_KEYS, Path
from fleet.inventory.device import UNKNOWN_CLASS, Device

SAMPLE = "x"
"""Stands for any value where a layer is checked before it is known for which boxes it is."""

_DOLLAR = re.compile(r"\$(?:\$|\{(?P<name>[^{}]*)\}|)")
_LABEL = re.compile(rf"label\.{ID_PATTERN.strip('^$')}")
_WORD = re.compile(r"[\w-](?:[\w.-]*[\w-])?")  # no dot at an end: ".." is a path

Fill = Callable[[Path, str], str]
"""Makes of a text at a place another one."""


class PlaceholderError(ValueError):
    """A placeholder that cannot be filled in for a box."""


def fill(value: object, change: Fill, at: Path = ()) -> object:
    """The same data with every text changed, but for names of cameras, lines and zones, and keys."""
    if isinstance(value, str):
        return change(at, value)
    if isinstance(value, Mapping):
        return {key: fill(inner, change, (*at, str(key))) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [
            _row(inner, change, at) if at[-1:] and at[-1] in NAME_KEYS else fill(inner, change, at) for inner in value
        ]
    return value


def _row(row: object, change: Fill, at: Path) -> object:
    name_key = NAME_KEYS[at[-1]]
    if not isinstance(row, Mapping) or not isinstance(row.get(name_key), str):
        return fill(row, change, at)
    inside = fill({key: value for key, value in row.items() if key != name_key}, change, (*at, row[name_key]))
    assert isinstance(inside, dict)
    return {name_key: row[name_key], **inside}


def has_placeholders(value: object) -> bool:
    """Whether a dollar stands in some text: only then does filling in change anything."""
    if isinstance(value, str):
        return "$" in value
    if isinstance(value, Mapping):
        return any(has_placeholders(inner) for inner in value.values())
    return isinstance(value, list | tuple) and any(has_placeholders(inner) for inner in value)


def wrong_placeholders(text: str) -> Iterator[str]:
    """What of a text looks like a placeholder and is none."""
    for found in _DOLLAR.finditer(text):
        if found[0] != "$$" and not _is_known(found["name"]):
            expected = "${device}, ${class} or ${label.NAME}, or $$ for a dollar"
            yield f"{found[0]!r} is no placeholder; expected {expected}"


def with_samples(text: str) -> str:
    """The text with something in each placeholder's place."""
    return _DOLLAR.sub(lambda found: "$" if found[0] == "$$" else SAMPLE, text)


def filled_for(device: Device) -> Fill:
    """Fills in what is of a box.

    Returns:
        A function that raises PlaceholderError where the box has no such value, or one that does not fit there.
    """

    def change(at: Path, text: str) -> str:
        if "$" not in text:
            return text
        return _DOLLAR.sub(lambda found: "$" if found[0] == "$$" else _value(device, found["name"], at), text)

    return change


def _is_known(name: str | None) -> bool:
    return name in ("device", "class") or (name is not None and _LABEL.fullmatch(name) is not None)


def _value(device: Device, name: str | None, at: Path) -> str:
    where = ".".join(at)
    if not _is_known(name):
        raise PlaceholderError(f"'{where}' has a '$' that begins no placeholder")
    if name == "device":
        return device.device
    if name == "class":
        if device.hardware_class == UNKNOWN_CLASS:
            raise PlaceholderError(f"'{where}' needs ${{class}}, and the hardware class is not known")
        return _checked(device.hardware_class, "${class}", at)
    assert name is not None
    label = name.partition(".")[2]
    if not device.labels.get(label):
        raise PlaceholderError(f"'{where}' needs ${{{name}}}, and the box has no label {label!r}")
    return _checked(device.labels[label], f"${{{name}}}", at)


def _checked(value: str, placeholder: str, at: Path) -> str:
    if at[:1] == ("labels",):
        if value.isprintable():
            return value
        expected = "printable characters"
    else:
        if _WORD.fullmatch(value):
            return value
        expected = "letters, digits, '_', '-' and '.' within"
    raise PlaceholderError(f"'{'.'.join(at)}' needs {placeholder}; expected {expected}, the box has {value[:60]!r}")
