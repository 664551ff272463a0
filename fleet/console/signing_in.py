"""Signing in and out."""

from __future__ import annotations

import logging

from fleet.access.passwords import new_password
from fleet.access.visitor import Visitor
from fleet.console.console import Console
from fleet.console.errors import Refused

_log = logging.getLogger(__name__)
_LONGEST_NAME = 64
_WRONG = "the name or the password is wrong"


def sign_in(console: Console, name: str, password: str, address: str) -> str:
    """Open a session; returns its token.

    Whether a user exists is told by neither the words nor the time of the answer.

    Raises:
        Refused: name or password is wrong, or wrong ones came too often.
        BusyError: too many sign in at once.
    """
    name = name if len(name) <= _LONGEST_NAME else ""
    hashed = _try(console, name, password, address)
    token = console.sessions.open(name, hashed, console.now_ms())
    if token is None:  # disabled, or given another password, just now
        raise Refused(403, "login", _WRONG)
    _log.info("%s signed in from %s", name, address)
    return token


def _try(console: Console, name: str, password: str, address: str) -> str:
    """What is stored of the user's password, where this is it."""
    wait = console.logins.begin(name, address)
    if wait:
        console.refuse("login_rate", "%s tries passwords too often", address)
        message = f"too many wrong passwords; try again in {wait:.0f} s"
        raise Refused(429, "too_many_requests", message, wait=wait)
    known = console.users.with_hash(name)
    hashed = None if known is None or known[0].disabled else known[1]
    if not console.passwords.matches(hashed, password) or hashed is None:
        # What is no user's name may be a password that was typed into the wrong field.
        whose = repr(name) if known else "no user of ours"
        console.refuse("login", "%s could not sign in from %s", whose, address)
        raise Refused(403, "login", _WRONG)
    console.logins.succeeded(name, address)
    return hashed


def change_password(console: Console, visitor: Visitor, old: str, new: str, address: str) -> None:
    """Give somebody another password who knows the old one.

    Raises:
        Refused: the old one is wrong, a token asks, or wrong ones came too often.
        WrittenError: the new one is too short or too long.
    """
    name = visitor.author.who
    if visitor.session is None:
        raise Refused(403, "forbidden", "only who signed in may change their password")
    new_password(new)
    _try(console, name, old, address)
    console.users.set_password(name, console.passwords.hash(new), visitor.author, console.now_ms())


def next_page(text: str) -> str:
    """Where to go after signing in: a page of ours, never another site."""
    inside = text.startswith("/") and not text.startswith(("//", "/\\", "/login")) and text.isprintable()
    return text if inside and "\\" not in text else "/"
