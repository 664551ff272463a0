r"""Reading a query.

::

    query   = all { "|" all }
    all     = one { "&" one }
    one     = "!" one | "(" query ")" | name operator value
    name    = characters of a-z A-Z 0-9 _ . : -
    operator = "=" | "!=" | "~"
    value   = characters of a-z A-Z 0-9 _ . : / * ? + @ - | '"' anything '"', with \" and \\ in it

``!`` binds tighter than ``&``, and ``&`` than ``|``. An empty text means every box.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, cast

from fleet.inventory.query import BARE, EVERY, All, Any, Compare, Not, Operator, Query, QueryError

LONGEST_QUERY = 4_096  # characters
_DEEPEST = 32  # parentheses and "!" within each other

Kind = Literal["word", "text", "operator", "sign", "end"]

_TOKENS = re.compile(
    rf"""(?P<space>\s+) | (?P<operator>!=|=|~) | (?P<sign>[()&|!]) | (?P<word>{BARE.pattern})
    | (?P<text>"(?:[^"\\]|\\["\\])*")""",
    re.VERBOSE,
)
_NAME = re.compile(r"[A-Za-z0-9_.:-]+")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True)
class _Token:
    kind: Kind
    text: str
    at: int

    @property
    def shown(self) -> str:
        return "the end" if self.kind == "end" else repr(self.text)


def parse_query(text: str) -> Query:
    """Read a query.

    Raises:
        QueryError: it is none; the error says where, what was expected and what came.
    """
    if len(text) > LONGEST_QUERY:
        shown = f"{text[:20]}…"
        raise QueryError(shown, LONGEST_QUERY, f"expected {LONGEST_QUERY} characters at most, got {len(text)}")
    parser = _Parser(text)
    return parser.whole() if text.strip() else EVERY


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._next = 0
        self._depth = 0

    def whole(self) -> Query:
        query = self._any()
        if self._token.kind != "end":
            raise self._wrong("'&', '|' or the end")
        return query

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._token
        self._next += 1
        return token

    def _is(self, sign: str) -> bool:
        return self._token.kind == "sign" and self._token.text == sign

    def _wrong(self, expected: str) -> QueryError:
        return QueryError(self._text, self._token.at, f"expected {expected}, got {self._token.shown}")

    def _expect(self, kinds: set[Kind], what: str) -> None:
        if self._token.kind not in kinds:
            raise self._wrong(what)

    def _any(self) -> Query:
        parts = [self._all()]
        while self._is("|"):
            self._take()
            parts.append(self._all())
        return Any(tuple(parts)) if len(parts) > 1 else parts[0]

    def _all(self) -> Query:
        parts = [self._one()]
        while self._is("&"):
            self._take()
            parts.append(self._one())
        return All(tuple(parts)) if len(parts) > 1 else parts[0]

    def _one(self) -> Query:
        if not (self._is("!") or self._is("(")):
            return self._compare()
        if self._depth == _DEEPEST:
            raise self._wrong(f"{_DEEPEST} '(' and '!' within each other at most")
        self._depth += 1
        inner = Not(self._one()) if self._take().text == "!" else self._parenthesis()
        self._depth -= 1
        return inner

    def _parenthesis(self) -> Query:
        query = self._any()
        if not self._is(")"):
            raise self._wrong("'&', '|' or ')'")
        self._take()
        return query

    def _compare(self) -> Compare:
        if self._token.kind != "word" or not _NAME.fullmatch(self._token.text):
            raise self._wrong("a label, '!' or '('")
        name = self._take()
        self._expect({"operator"}, f"'=', '!=' or '~' after {name.text!r}")
        operator = cast("Operator", self._take().text)
        self._expect({"word", "text"}, f"a value after {name.text}{operator}")
        return Compare(name.text, operator, _value(self._take()), name.at)


def _value(token: _Token) -> str:
    return _ESCAPED.sub(r"\1", token.text[1:-1]) if token.kind == "text" else token.text


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text):
        match = _TOKENS.match(text, at)
        if match is None:
            raise QueryError(text, at, _unreadable(text[at]))
        if match.lastgroup != "space":
            yield _Token(cast("Kind", match.lastgroup), match[0], at)
        at = match.end()
    yield _Token("end", "", at)


def _unreadable(character: str) -> str:
    if character == '"':
        return (
            "a text begins here that is not well formed; it ends with '\"', and '\\' stands before '\"' and '\\' only"
        )
    return f"expected a label, a value, '=', '!=', '~', '&', '|', '!', '(' or ')', got {character!r}; put it in quotes"
