"""Where boxes come in, ``/api/enrol``: for whoever has a token, without a user or session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import PlainTextResponse
from pydantic import ValidationError

from contracts.documents import Model
from contracts.enrolment import (
    CA_PATH,
    ENROL_PATH,
    LARGEST_REQUEST,
    RENEW_PATH,
    EnrolAnswer,
    EnrolRequest,
    RenewRequest,
)
from fleet.console.access import address_of, stranger
from fleet.console.console import Console, ConsoleOf
from fleet.console.errors import Refused
from fleet.console.limits import network
from fleet.enrolment.enrol import Enrolment
from fleet.enrolment.errors import EnrolmentRefusedError
from fleet.inventory.reading import clean

router = APIRouter(include_in_schema=False)

_FORBIDDEN = frozenset({"token_unknown", "token_expired", "token_revoked", "token_used_up", "certificate"})


async def _body(request: Request) -> bytes:
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > LARGEST_REQUEST:
            raise Refused(413, "too_large", f"expected at most {LARGEST_REQUEST} bytes")
    return data


BodyOf = Annotated[bytes, Depends(_body)]


@router.get(CA_PATH)
def authority(request: Request, console: ConsoleOf) -> PlainTextResponse:
    """The certificate of who signed this server's, for a box that knows its SHA-256 and nothing else yet."""
    stranger(request, console)
    return PlainTextResponse(_enrolment(console).server_ca, media_type="application/x-pem-file")


@router.post(ENROL_PATH)
def enrol(request: Request, console: ConsoleOf, body: BodyOf) -> EnrolAnswer:
    """Let a box in."""
    return _answered(request, console, lambda to: to.enrol(_read(EnrolRequest, body), console.now_ms()))


@router.post(RENEW_PATH)
def renew(request: Request, console: ConsoleOf, body: BodyOf) -> EnrolAnswer:
    """Give a box its next certificate."""
    return _answered(request, console, lambda to: to.renew(_read(RenewRequest, body), console.now_ms()))


def _answered(request: Request, console: Console, ask: Callable[[Enrolment], EnrolAnswer]) -> EnrolAnswer:
    enrolment = _asked(request, console)
    try:
        answer = ask(enrolment)
    except EnrolmentRefusedError as error:
        raise _refused(error, request, console) from error
    console.enrolments.give_back(network(address_of(request)))
    return answer


def _enrolment(console: Console) -> Enrolment:
    if console.enrolment is None:
        raise Refused(404, "no_enrolment", "this console lets no boxes in; start it with --enrolment enrolment.toml")
    return console.enrolment


def _asked(request: Request, console: Console) -> Enrolment:
    """What is asked, where it may be: who fails too often waits, who is let in does not count."""
    enrolment = _enrolment(console)
    wait = console.enrolments.take(network(address_of(request)))
    if wait:
        console.refuse("enrol_rate", "%s asks too often to be let in", address_of(request))
        raise Refused(429, "too_many_requests", f"too many requests; try again in {wait:.0f} s", wait=wait)
    return enrolment


def _read(model: type[Model], body: bytes) -> Model:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        where = "; ".join(sorted({".".join(map(str, each["loc"])) or "the body" for each in error.errors()})[:5])
        raise Refused(422, "invalid", f"expected a {model.__name__} as JSON; wrong: {clean(where)}") from None


def _refused(error: EnrolmentRefusedError, request: Request, console: Console) -> Refused:
    console.refuse("enrol", "a box at %s is not let in (%s): %s", address_of(request), error.code, error)
    status = 403 if error.code in _FORBIDDEN else 409
    return Refused(status, error.code, str(error))
