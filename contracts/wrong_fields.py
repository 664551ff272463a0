"""What is wrong with a configuration, field by field: cameras, lines and zones by their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from contracts.desired import DesiredConfig, WrongField
from contracts.documents import wrong_keys
from contracts.layers import NAME_KEYS, named_location


def wrong_fields(
    model: type[BaseModel],
    error: ValidationError,
    document: object,
    unless: Callable[[ErrorDetails], bool] = lambda _: False,
) -> list[WrongField]:
    """What pydantic found, with cameras, lines and zones by their names.

    Args:
        model: what the document should fit.
        error: what is wrong.
        document: what was validated; it has the names.
        unless: what of it is passed over.
    """
    found = []
    for wrong in wrong_keys(model, error, unless):
        path = ".".join(named_location(wrong.location, document))
        sentence = wrong.sentence.replace(f"'{wrong.path}", f"'{path}", 1)
        found.append(WrongField(path=_printable(path), problem=_printable(sentence)))
    return found


def doubled_names(config: DesiredConfig, above: str = "") -> list[WrongField]:
    """Rows that have the name of another one: merging would hide one of them."""
    return _doubled(config.keys, above)


def _doubled(document: Mapping[str, object], above: str) -> list[WrongField]:
    found = []
    for key, name_key in NAME_KEYS.items():
        rows = [row for row in _list(document.get(key)) if isinstance(row, Mapping)]
        names = [str(row[name_key]) for row in rows]
        path = f"{above}.{key}" if above else key
        for name in sorted({name for name in names if names.count(name) > 1}):
            problem = f"'{path}' should have different names, {name!r} stands more than once"
            found.append(WrongField(path=f"{path}.{name}", problem=problem))
        for row in rows:
            found += _doubled(row, f"{path}.{row[name_key]}")
    return found


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _printable(text: str) -> str:
    """Without line ends and the like: a key of whoever sends stands in our log."""
    return "".join(character if character.isprintable() else "�" for character in text)
