"""What differs between two configurations, value by value, with nothing secret in it."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from contracts.layers import leaves
from fleet.configuration.layers import Layer
from fleet.configuration.masking import masked

UNSEEN = " (differs in what is not shown)"
_ABSENT = "-"


class Difference(NamedTuple):
    """One value that differs: where, how it was and how it is; None of what was not there."""

    path: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        return f"{self.path}: {_ABSENT if self.before is None else self.before} → {self.after or _ABSENT}"


def differences(before: Mapping[str, object], after: Mapping[str, object]) -> tuple[Difference, ...]:
    """What differs, by its path."""
    old, new = leaves(before), leaves(after)
    old_shown, new_shown = leaves(masked(before)), leaves(masked(after))
    found = []
    for path in sorted(old.keys() | new.keys()):
        if path in old and path in new and old[path] == new[path]:
            continue
        was = _text(old_shown[path]) if path in old else None
        becomes = _text(new_shown[path]) if path in new else None
        if was == becomes and becomes is not None:
            becomes += UNSEEN
        found.append(Difference(".".join(path), was, becomes))
    return tuple(found)


def unified(before: Layer | None, after: Layer | None) -> str:
    """How a layer was and becomes as a unified diff; empty where nothing differs.

    Args:
        before: None where there was none.
        after: None where it is removed.
    """
    old = {} if before is None else before.keys
    new = {} if after is None else after.keys
    unseen = {one.path for one in differences(old, new) if one.after is not None and one.after.endswith(UNSEEN)}
    lines = difflib.unified_diff(
        list(_lines(before, ())), list(_lines(after, unseen)), "before", "after", "", "", 2, ""
    )
    return "\n".join(lines)


def _lines(layer: Layer | None, unseen: Iterable[str]) -> Iterable[str]:
    if layer is None:
        return
    if layer.name.kind == "group":
        yield f"query: {layer.query}"
        yield f"rank: {layer.rank}"
    for path, value in sorted(leaves(masked(layer.keys)).items()):
        where = ".".join(path)
        yield f"{where} = {_text(value)}{UNSEEN if where in unseen else ''}"


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
