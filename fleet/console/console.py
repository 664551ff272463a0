"""What the console works with, and what all its handlers ask for."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends, Request

from fleet.access.passwords import Passwords
from fleet.bucket import Bucket
from fleet.clock import Clock, wall_ms
from fleet.console.limits import LoginLimit
from fleet.console.releases import Releases
from fleet.console.settings import ConsoleSettings
from fleet.enrolment.enrol import Enrolment
from fleet.store.audit import AuditLog
from fleet.store.counts import CountStore
from fleet.store.database import Database
from fleet.store.devices import DeviceStore
from fleet.store.known import KnownDevices
from fleet.store.layers import LayerStore
from fleet.store.sessions import SessionStore
from fleet.store.tokens import TokenStore
from fleet.store.users import UserStore

_log = logging.getLogger(__name__)


@dataclass
class Console:
    """The stores of a database, and what a process of the console remembers of who asks.

    Args:
        database: that all of it is in.
        settings: how it is served.
        passwords: how they are compared.
        now_ms: milliseconds since 1970.
        releases: what may be rolled out; None where this console was given no repository.
        enrolment: lets boxes in; None where this console does not.
    """

    database: Database
    settings: ConsoleSettings = field(default_factory=ConsoleSettings)
    passwords: Passwords = field(default_factory=Passwords)
    now_ms: Clock = wall_ms
    releases: Releases | None = None
    enrolment: Enrolment | None = None

    def __post_init__(self) -> None:
        self.users = UserStore(self.database)
        self.sessions = SessionStore(self.database)
        self.tokens = TokenStore(self.database)
        self.devices = DeviceStore(self.database)
        self.known = KnownDevices(self.database)
        self.layers = LayerStore(self.database, lambda: (each.device for each in self.known.all()))
        self.counts = CountStore(self.database)
        self.audit = AuditLog(self.database)
        self.logins = LoginLimit()
        self.requests = Bucket(self.settings.requests, 20.0)
        self.strangers = Bucket(self.settings.strangers, 20.0)
        self.enrolments = Bucket(self.settings.enrolments, 60.0)
        self.refusals: Counter[str] = Counter()
        self._someone = False

    def has_users(self) -> bool:
        """Whether anybody could sign in."""
        self._someone = self._someone or self.users.exist()
        return self._someone

    def refuse(self, reason: str, message: str, *arguments: object) -> None:
        """Log and count something that was refused."""
        self.refusals[reason] += 1
        _log.warning(message, *arguments)


def console_of(request: Request) -> Console:
    """The console that is asked."""
    return cast("Console", request.app.state.console)


ConsoleOf = Annotated[Console, Depends(console_of)]
