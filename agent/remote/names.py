"""How a value of the configuration is called: cameras by their ids, lines and zones by their names."""

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
