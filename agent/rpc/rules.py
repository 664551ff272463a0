"""Whether a request is carried out: readable, meant for this box and topic, in time, and never before. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from agent.counting.clock import utc_text
from agent.remote.refusals import DocumentRefusedError
from agent.remote.rules import CLOCK_SLACK, Moment
from agent.remote.signing import open_payload
from agent.rpc.refusals import RpcRefusedError
from contracts.desired import OperatorKeys, canonical
from contracts.rpc import LARGEST_REQUEST, RpcCode, RpcOp, RpcRequest, SignedRequest
from contracts.wrong_fields import wrong_fields

_MOST_IDS = 1024
_MOST_FIELDS = 5  # wrong fields that a refusal names
_LONGEST_ID = 64


@dataclass(frozen=True)
class Arrival:
    """A request as it came.

    Args:
        op: of the topic.
        payload: its bytes; none where it is too large to be looked at.
        size: how many bytes it had.
        retained: whether the broker had kept it.
    """

    op: RpcOp
    payload: bytes
    size: int
    retained: bool


def open_request(arrival: Arrival, keys: OperatorKeys | None) -> dict[str, object]:
    """What a request says, not validated yet.

    Args:
        arrival: what came.
        keys: whose signatures are accepted; None where none were provisioned.

    Raises:
        RpcRefusedError: it is kept by the broker, cannot be read, or its signature is missing, foreign or wrong.
    """
    if arrival.retained:
        raise RpcRefusedError(
            "retained",
            "the request is retained, so it would be obeyed after each connection; publish it without retain",
        )
    if arrival.size > LARGEST_REQUEST:
        raise RpcRefusedError(
            "too_large", f"the request has {arrival.size} bytes; expected {LARGEST_REQUEST} at most, shorten it"
        )
    try:
        return open_payload(arrival.payload, keys, SignedRequest).document
    except DocumentRefusedError as error:
        raise RpcRefusedError(error.code, error.reason) from None


def id_of(document: Mapping[str, object]) -> str | None:
    """The request's id as far as there is one that a reply can carry."""
    found = document.get("id")
    return found if isinstance(found, str) and 0 < len(found) <= _LONGEST_ID else None


def read_request(document: Mapping[str, object], kind: type[RpcRequest], device: str, op: RpcOp) -> RpcRequest:
    """The request, validated.

    Args:
        document: what `open_request` gave.
        kind: of the topic's operation.
        device: the id of this box.
        op: of the topic.

    Raises:
        RpcRefusedError: it is bound to another box or operation, or a field is wrong.
    """
    _check_bound(document, "device", device, "wrong_device")
    _check_bound(document, "op", op, "wrong_op")
    try:
        return kind.model_validate_json(canonical(document), strict=True)
    except ValidationError as error:
        found = wrong_fields(kind, error, document)[:_MOST_FIELDS]
        raise RpcRefusedError("invalid", "; ".join([*(one.problem for one in found), "ask again"])) from None


def _check_bound(document: Mapping[str, object], key: str, expected: str, code: RpcCode) -> None:
    came = document.get(key)
    if isinstance(came, str) and came != expected:
        raise RpcRefusedError(
            code, f"the request is bound to {key} {came[:_LONGEST_ID]!r}, expected {expected!r}; make one for it"
        )


def check_time(request: RpcRequest, moment: Moment, believed: float) -> None:
    """Whether it is in time.

    Args:
        request: what is asked.
        moment: now.
        believed: seconds since 1970 of the newest request that was obeyed: where the clock is not trusted it is not
            earlier than that.

    Raises:
        RpcRefusedError: it expired, or is issued in the future.
    """
    now = moment.wall if moment.trusted else max(moment.wall, believed)
    if now >= request.expires.timestamp():
        raise RpcRefusedError(
            "expired",
            f"the request expired {utc_text(request.expires.timestamp())}, here it is {utc_text(now)}; ask anew, "
            "and compare the clocks",
        )
    if moment.trusted and request.issued.timestamp() > now + CLOCK_SLACK:
        raise RpcRefusedError(
            "not_yet_valid",
            f"the request is issued {utc_text(request.issued.timestamp())}, here it is {utc_text(now)}; check the "
            "sender's clock",
        )


class Obeyed:
    """The requests that were obeyed: none is twice.

    A bounded number of ids is kept; whatever is not newer than one that had to be forgotten counts as known, so that
    forgetting opens nothing.

    Args:
        floor: seconds since 1970; what was issued before is not obeyed.
        most: ids kept.
    """

    def __init__(self, floor: float, most: int = _MOST_IDS) -> None:
        self._floor = floor
        self._most = most
        self._ids: OrderedDict[str, float] = OrderedDict()
        self.newest = floor

    def check(self, request: RpcRequest) -> None:
        """Whether it is another one.

        Raises:
            RpcRefusedError: it was obeyed before, or may have been.
        """
        if request.id in self._ids:
            raise RpcRefusedError("replayed", f"request {request.id!r} was obeyed before; ask with a new id")
        if request.issued.timestamp() < self._floor:
            raise RpcRefusedError(
                "replayed",
                f"the request was issued {utc_text(request.issued.timestamp())}, and what was issued before "
                f"{utc_text(self._floor)} is not obeyed any more; ask anew, and compare the clocks",
            )

    def note(self, request: RpcRequest) -> None:
        """It is obeyed."""
        issued = request.issued.timestamp()
        self._ids[request.id] = issued
        self.newest = max(self.newest, issued)
        if len(self._ids) > self._most:
            _, forgotten = self._ids.popitem(last=False)
            self._floor = max(self._floor, forgotten + 1e-6)
