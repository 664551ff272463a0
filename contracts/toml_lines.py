"""Part of an agent.toml as lines of TOML, for people to read and to write on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping


def assignment(key: str, value: object) -> str:
    """``key = value`` of a text, number, truth value or list of them."""
    # JSON's strings are TOML's, but for one character that TOML wants escaped.
    return f"{key} = {json.dumps(value, ensure_ascii=False)}".replace("\x7f", "\\u007f")


def toml_lines(
    table: Mapping[str, object], line: Callable[[str, object], str] = assignment, above: str = ""
) -> list[str]:
    """A table's plain values, then the tables in it, as TOML has it.

    Args:
        table: plain data; its keys need no quotes.
        line: writes a plain value.
        above: the table's own name with a dot behind it.
    """
    lines = [line(key, value) for key, value in table.items() if not _is_table(value)]
    for key, value in table.items():
        rows = [value] if isinstance(value, Mapping) else value if _is_table(value) else []
        brackets = "[%s]" if isinstance(value, Mapping) else "[[%s]]"
        assert isinstance(rows, list)
        for row in rows:
            lines += ["", brackets % f"{above}{key}", *toml_lines(row, line, f"{above}{key}.")]
    return lines


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and bool(value) and isinstance(value[0], Mapping))
