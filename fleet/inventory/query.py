"""Which boxes are meant: ``site=taipei & target~jetson-*``. What a query says of one box, and its text.

`fleet.inventory.query_parser` reads it; ``str()`` of a query is a text that reads as the same query.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from contracts.errors import WrittenError, did_you_mean

Operator = Literal["=", "!=", "~"]
Asked = Callable[[str], Sequence[str]]
"""The values that a box has for a name: none where it has no such label, several where a name has several."""

BARE = re.compile(r"[A-Za-z0-9_.:/*?+@-]+")
"""Values that need no quotes."""

_SHOWN = 6  # names that an error lists


class QueryError(WrittenError):
    """A query that cannot be read, or that asks for what no box has.

    Args:
        text: the query.
        at: where, from 0.
        problem: what was expected there, and what came.
    """

    def __init__(self, text: str, at: int, problem: str) -> None:
        self.at = at
        self.problem = problem
        super().__init__(f"query {text!r}, character {at + 1}: {problem}")


@dataclass(frozen=True)
class Compare:
    """One comparison.

    ``=`` and ``~`` hold where one of the box's values fits, ``!=`` where none does: a box without the label is unequal
    to everything. ``~`` takes ``*`` for any characters and ``?`` for one.

    Args:
        name: a label, or one of `fleet.inventory.fields.NAMES`.
        operator: how to compare.
        value: what with.
        at: where the name stands in the query; two comparisons are the same wherever they stand.
    """

    name: str
    operator: Operator
    value: str
    at: int = field(default=0, compare=False)

    def holds(self, asked: Asked) -> bool:
        """Whether it holds for a box."""
        values = asked(self.name)
        if self.operator == "~":
            return any(fits(self.value, value) for value in values)
        return (self.value in values) is (self.operator == "=")

    def __str__(self) -> str:
        value = self.value if BARE.fullmatch(self.value) else _quoted(self.value)
        return f"{self.name}{self.operator}{value}"


@dataclass(frozen=True)
class Not:
    """The opposite."""

    part: Query

    def holds(self, asked: Asked) -> bool:
        """Whether it holds for a box."""
        return not self.part.holds(asked)

    def __str__(self) -> str:
        return f"!({self.part})" if isinstance(self.part, Compare | All | Any) else f"!{self.part}"


@dataclass(frozen=True)
class All:
    """Every part; none is true of every box."""

    parts: tuple[Query, ...] = ()

    def holds(self, asked: Asked) -> bool:
        """Whether it holds for a box."""
        return all(part.holds(asked) for part in self.parts)

    def __str__(self) -> str:
        return " & ".join(_inside(part) for part in self.parts)


@dataclass(frozen=True)
class Any:
    """At least one part."""

    parts: tuple[Query, ...]

    def holds(self, asked: Asked) -> bool:
        """Whether it holds for a box."""
        return any(part.holds(asked) for part in self.parts)

    def __str__(self) -> str:
        return " | ".join(_inside(part) for part in self.parts)


Query = Compare | Not | All | Any
EVERY = All()
"""The query without a text: every box."""


def comparisons(query: Query) -> Iterator[Compare]:
    """The comparisons of a query, from left to right."""
    if isinstance(query, Compare):
        yield query
        return
    for part in (query.part,) if isinstance(query, Not) else query.parts:
        yield from comparisons(part)


def check_names(query: Query, text: str, known: Sequence[str]) -> None:
    """See that every name is one that can be asked for.

    Args:
        query: the query.
        text: what it was read from.
        known: the names of fields, and the labels that some box has.

    Raises:
        QueryError: a name is none of them; the nearest one is proposed.
    """
    for one in comparisons(query):
        if one.name not in known:
            hint = did_you_mean(one.name, known) or f"; known: {_listed(sorted(known))}"
            raise QueryError(text, one.at, f"no box has the label {one.name!r}{hint}")


def fits(pattern: str, text: str) -> bool:
    """Whether a text is what a pattern with ``*`` and ``?`` says; at most their lengths multiplied in steps."""
    at = start = 0  # where in the pattern and in the text
    star = None  # the last one seen, and up to where it reaches so far
    while start < len(text):
        if at < len(pattern) and pattern[at] == "*":
            star = (at, start)
            at += 1
        elif at < len(pattern) and pattern[at] in {"?", text[start]}:
            at, start = at + 1, start + 1
        elif star is not None:
            star = (star[0], star[1] + 1)
            at, start = star[0] + 1, star[1]
        else:
            return False
    return not pattern[at:].strip("*")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _inside(part: Query) -> str:
    return f"({part})" if isinstance(part, All | Any) else str(part)


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
