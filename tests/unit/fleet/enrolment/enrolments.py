"""A fleet that lets boxes in, without a network: the very rules, authority and database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from agent.provisioning.errors import RefusedError
from agent.provisioning.keys import make_key, make_request
from contracts.enrolment import BrokerAddress, EnrolAnswer, EnrolRequest, RenewRequest
from fleet.enrolment.authority import Authority, new_authority
from fleet.enrolment.enrol import Enrolment
from fleet.enrolment.errors import EnrolmentRefusedError
from fleet.enrolment.terms import Terms
from fleet.enrolment.tokens import Bounds
from fleet.store.audit import Author
from fleet.store.database import Database
from fleet.store.enrolment import EnrolTokens

AUTHOR = Author("ada", "cli")
START_MS = 1_800_000_000_000
DAY_MS = 86_400_000
BROKER = BrokerAddress(host="broker.example", port=8883)


@dataclass
class Fleet:
    """A database, an authority, and a clock that stands still.

    Args:
        folder: for the database.
        terms: what boxes are given.
    """

    folder: Path
    terms: Terms = field(default_factory=lambda: Terms(BROKER, "", reserved=frozenset({"fleet"})))
    now_ms: int = START_MS

    def __post_init__(self) -> None:
        self.database = Database(str(self.folder / "fleet.db"))
        self.authority: Authority = new_authority("test", START_MS, 3_650)
        self.enrolment = Enrolment(self.database, self.authority, self.terms)
        self.tokens = EnrolTokens(self.database)

    def token(self, days: float = 7, **bounds: object) -> str:
        """The text of a new token."""
        limits = Bounds(**bounds)  # type: ignore[arg-type]
        return self.tokens.add("", limits, AUTHOR, self.now_ms, self.now_ms + int(days * DAY_MS))[1]

    def enrol(
        self, token: str, name: str | None = None, *, key: bytes | None = None, serial: str | None = None
    ) -> EnrolAnswer:
        """Let a box in."""
        csr = make_request(key or make_key())
        return self.enrolment.enrol(
            EnrolRequest(token=SecretStr(token), csr=csr, name=name, serial=serial), self.now_ms
        )


@dataclass
class LocalServer:
    """A fleet as a box asks it (an `agent.provisioning.ports.EnrolServer`); its answer may be lost on the way.

    Args:
        fleet: that answers.
        lost: called with what is answered before the box has it.
    """

    fleet: Fleet
    lost: Callable[[], None] = lambda: None
    asked: int = 0

    def enrol(self, request: EnrolRequest) -> EnrolAnswer:
        return self._answer(lambda: self.fleet.enrolment.enrol(request, self.fleet.now_ms))

    def renew(self, request: RenewRequest) -> EnrolAnswer:
        return self._answer(lambda: self.fleet.enrolment.renew(request, self.fleet.now_ms))

    def _answer(self, ask: Callable[[], EnrolAnswer]) -> EnrolAnswer:
        self.asked += 1
        try:
            answer = ask()
        except EnrolmentRefusedError as error:
            raise RefusedError(error.code, str(error)) from error
        self.lost()
        return answer
