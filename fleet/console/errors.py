"""What is answered where something is not done as it was asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from contracts.errors import UnknownNameError, WrittenError
from fleet.access.errors import ConflictError
from fleet.access.passwords import BusyError
from fleet.configuration.show import layer_document
from fleet.inventory.query import QueryError
from fleet.publishing.errors import ReleaseError
from fleet.rollout.acting import NoRolloutError, RolloutConflictError
from fleet.rollout.rules import ActionRefusedError
from fleet.rollout.show import rollout_document
from fleet.store.errors import DatabaseError
from fleet.store.layers import LayerConflictError, StoredLayer

API = "/api/"
"""What programs ask; everything else is for people."""


class Refused(Exception):  # noqa: N818 - it is an answer, not a fault
    """A request that is not answered as asked.

    Args:
        status: of HTTP.
        error: a word for programs.
        message: a sentence: what was expected, what came, what to do.
        details: more, for programs.
        wait: seconds after which it may be tried again; 0 where that makes no difference.
    """

    def __init__(
        self, status: int, error: str, message: str, details: Mapping[str, object] | None = None, wait: float = 0.0
    ) -> None:
        self.status = status
        self.error = error
        self.message = message
        self.details = dict(details or {})
        self.wait = wait
        super().__init__(message)

    @property
    def headers(self) -> dict[str, str]:
        """Of the answer."""
        headers = {"WWW-Authenticate": 'Bearer realm="edgetally-fleet"'} if self.status == 401 else {}  # noqa: PLR2004
        return headers | ({"Retry-After": str(int(self.wait) + 1)} if self.wait > 0 else {})

    @property
    def document(self) -> dict[str, object]:
        """For programs."""
        return {"error": self.error, "message": self.message, **self.details}


def refused(error: Exception) -> Refused:
    """What is answered for an error."""
    answer = next((answer for kind, answer in _ANSWERS if isinstance(error, kind)), None)
    return _internal(error) if answer is None else answer(error)


def _http(error: Any) -> Refused:  # noqa: ANN401 - `_ANSWERS` calls each with its own kind of error
    return Refused(error.status_code, _WORDS.get(error.status_code, "refused"), str(error.detail))


_WORDS = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}


def _invalid(error: Any) -> Refused:  # noqa: ANN401 - see `_http`
    problems = [
        {"where": ".".join(str(part) for part in each["loc"]), "expected": str(each["msg"])} for each in error.errors()
    ]
    said = "; ".join(f"{each['where']}: {each['expected']}" for each in problems[:5])
    return Refused(422, "invalid", said or "the request does not fit", {"expected": problems[:20]})


_ANSWERS: tuple[tuple[type[Exception], Callable[[Any], Refused]], ...] = (
    (Refused, lambda error: error),
    (
        RolloutConflictError,
        lambda error: Refused(409, "conflict", str(error), {"current": rollout_document(error.rollout)}),
    ),
    (LayerConflictError, lambda error: Refused(409, "conflict", str(error), {"current": _layer(error.current)})),
    (
        ActionRefusedError,
        lambda error: Refused(409, "state", str(error), {"state": error.state, "expected": list(error.allowed)}),
    ),
    (NoRolloutError, lambda error: Refused(404, "not_found", f"there is no rollout {error.number}")),
    (ReleaseError, lambda error: Refused(400, "release", str(error))),
    (ConflictError, lambda error: Refused(409, "conflict", str(error), {"current": error.current})),
    (QueryError, lambda error: Refused(400, "query", str(error), {"at": error.at})),
    (UnknownNameError, lambda error: Refused(404, "not_found", f"unknown {error.kind} {error.name!r}")),
    (WrittenError, lambda error: Refused(400, "invalid", str(error))),
    (RequestValidationError, _invalid),
    (HTTPException, _http),
    (BusyError, lambda _: Refused(503, "busy", "too many sign in at once; try again", wait=2.0)),
    # What a database says is for the log: it may tell of machines.
    (
        DatabaseError,
        lambda _: Refused(503, "database", "the database cannot be used now; the console's log says why", wait=5.0),
    ),
)
"""What is answered for which error; the first that fits."""


def _layer(stored: StoredLayer | None) -> dict[str, object] | None:
    return None if stored is None else layer_document(stored)


def _internal(_error: Exception) -> Refused:
    return Refused(500, "internal", "this is a fault of edgetally-fleet; its log has more, please report it")


def wants_json(request: Request) -> bool:
    """Whether a program asks, and not a person."""
    return request.url.path.startswith(API)
