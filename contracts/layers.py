"""Layers of a configuration lie over one another, merged by name: cameras by their ids, lines and zones by their names.

The box and the fleet merge in this one way.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from contracts.documents import ID_PATTERN

Path = tuple[str, ...]
"""Where a value stands: ``("camera", "gate", "fps")``."""

NAME_KEYS: Mapping[str, str] = {"camera": "id", "line": "name", "zone": "name"}
"""Lists whose rows are merged by name: the list's key, and the key of a row's name."""

_ID = re.compile(ID_PATTERN.strip("^$"))


def leaves(document: Mapping[str, object], above: Path = ()) -> dict[Path, object]:
    """Every value by its path; lists that are not merged by name, and empty tables, are values."""
    found: dict[Path, object] = {}
    for key, value in document.items():
        inner = _rows_by_name(key, value)
        if isinstance(inner, Mapping) and inner:
            found |= leaves(inner, (*above, key))
        else:
            found[(*above, key)] = value
    return found


def _rows_by_name(key: str, value: object) -> object:
    """The rows of a list by name; anything else as it is."""
    name_key = NAME_KEYS.get(key)
    if name_key is None or not isinstance(value, Sequence) or isinstance(value, str):
        return value
    named = {row[name_key]: row for row in value if isinstance(row, Mapping) and name_key in row}
    return {name: {k: v for k, v in row.items() if k != name_key} for name, row in named.items()} or value


def named_location(location: Sequence[int | str], document: object) -> Path:
    """The location with the names of rows in place of their numbers, as far as they have names."""
    path: list[str] = []
    here, key = document, ""
    for part in location:
        if isinstance(part, int):
            here = here[part] if isinstance(here, Sequence) and not isinstance(here, str) and part < len(here) else None
            path.append(_name(key, here) or str(part))
        else:
            here = here.get(part) if isinstance(here, Mapping) else None
            path.append(part)
            key = part
    return tuple(path)


def _name(key: str, row: object) -> str | None:
    name = row.get(NAME_KEYS.get(key, "")) if isinstance(row, Mapping) else None
    return name if isinstance(name, str) and _ID.fullmatch(name) else None


def merge(under: Mapping[str, object], over: Mapping[str, object]) -> dict[str, object]:
    """Tables key by key, cameras, lines and zones by name; any other value replaces the one below."""
    merged = dict(under)
    for key, value in over.items():
        below = under.get(key)
        # A label may be called "zone", its value is a text. Without rows below there is nothing to merge, and rows that
        # are wrong (two of a name, one without) stay for who checks them.
        if key in NAME_KEYS and isinstance(value, list | tuple) and isinstance(below, list | tuple):
            merged[key] = _merge_rows(NAME_KEYS[key], below, value)
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
