"""What a box published, read: nothing that comes is trusted, and what is kept of it is bounded and printable."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal, get_args

from pydantic import Field, ValidationError

from contracts.desired import Reported
from contracts.documents import Id
from contracts.errors import WrittenError
from contracts.facts import FactName
from contracts.health import Health
from contracts.messages import Considered, CountReport, FactsMessage, Hello, Status
from contracts.topics import Channel, Topic

Reason = Literal[
    "no_topic", "too_large", "not_json", "out_of_bounds", "invalid", "wrong_device", "late", "too_many_devices",
    "overrun", "decommissioned", "failed",
]  # fmt: skip
"""Why a message changed nothing; docs/fleet.md says of each what to do."""

REASONS: tuple[Reason, ...] = get_args(Reason)

LARGEST_PAYLOAD = 262_144  # bytes; a report of 64 cameras' page settings has some ten thousands
LONGEST_TEXT = 500  # characters; what is longer is cut, visibly
_LONGEST_KEY = 128
_LONGEST_BOOT = 128
_LONGEST_STORE = 64
_MOST_CROSSINGS = 1_000_000
_MOST_ITEMS = 1_024  # of a list or table
_MOST_LABELS = 64
_MOST_FACTS = 256
_DEEPEST = 16
_LARGEST_NUMBER = 2**53 - 1  # RFC 8259, section 6
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})  # also what turns the direction of writing


class _BoundedFacts(FactsMessage):
    labels: Annotated[dict[Id, str], Field(max_length=_MOST_LABELS)] = Field(default_factory=dict)
    facts: Annotated[dict[FactName, str | int | float | bool | list[str]], Field(max_length=_MOST_FACTS)]
    artifacts: Annotated[list[Considered], Field(max_length=_MOST_FACTS)] = Field(default_factory=list)


Message = Status | Hello | FactsMessage | Reported | Health
"""What changes what is known of a box."""

_MODELS: Mapping[Channel, type[Status | Hello | _BoundedFacts | Reported | Health | CountReport]] = MappingProxyType(
    {
        Channel.STATUS: Status,
        Channel.HELLO: Hello,
        Channel.FACTS: _BoundedFacts,
        Channel.REPORTED: Reported,
        Channel.HEALTH: Health,
        Channel.CAMERA_COUNTS: CountReport,
    }
)

CHANNELS: tuple[Channel, ...] = tuple(_MODELS)
"""What is listened to."""


class RefusedError(WrittenError):
    """A message that is not taken.

    Args:
        reason: of the refusal.
        why: the same in words; it repeats nothing of the message that is not printable.
    """

    def __init__(self, reason: Reason, why: str) -> None:
        self.reason: Reason = reason
        super().__init__(why)


def read_message(topic: str, payload: bytes) -> tuple[str, Message | CountReport]:
    """The device that a message is of, and what it says.

    Raises:
        RefusedError: it is not what its topic says, too large, or not the device's own.
    """
    try:
        named = Topic.parse(topic)
        model = _MODELS[named.channel]
    except (WrittenError, KeyError) as error:
        raise RefusedError("no_topic", f"nothing here takes what comes on {clean(topic)!r}") from error
    where = f"{named.device}, {named.channel.value}"
    document = _document(where, payload)
    try:
        message = model.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(clean(str(part)) for part in first["loc"])
        raise RefusedError("invalid", f"{where}: {place or 'it'}: {clean(first['msg'])}") from error
    _check(where, named, message)
    return named.device, message


def clean(text: str) -> str:
    """The text without what a terminal or a database would trip over, and no longer than `LONGEST_TEXT`."""
    if len(text) > LONGEST_TEXT:
        text = text[: LONGEST_TEXT - 1] + "…"
    if text.isprintable():
        return text
    text = " ".join(text.splitlines())
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(one) in _UNPRINTABLE else one for one in text)


def _document(where: str, payload: bytes) -> object:
    if len(payload) > LARGEST_PAYLOAD:
        raise RefusedError("too_large", f"{where}: {len(payload)} bytes came, {LARGEST_PAYLOAD} at most are taken")
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise RefusedError("not_json", f"{where}: it is no JSON") from error
    return _bounded(where, document, 0)


def _bounded(where: str, value: object, depth: int) -> object:
    """The same document, its texts cleaned.

    Raises:
        RefusedError: it is too deep, or has too many items or too large numbers.
    """
    if depth > _DEEPEST:
        raise RefusedError("out_of_bounds", f"{where}: it is nested more than {_DEEPEST} times")
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, int | float):
        # NaN is not smaller than anything either.
        if not abs(value) <= _LARGEST_NUMBER:
            raise RefusedError("out_of_bounds", f"{where}: a number is beyond 2^53")
        return value
    if isinstance(value, list | dict) and len(value) > _MOST_ITEMS:
        raise RefusedError("out_of_bounds", f"{where}: a list or table has {len(value)} items, {_MOST_ITEMS} at most")
    if isinstance(value, list):
        return [_bounded(where, item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {_key(where, key): _bounded(where, item, depth + 1) for key, item in value.items()}
    return value


def _key(where: str, key: str) -> str:
    if len(key) > _LONGEST_KEY:
        raise RefusedError("out_of_bounds", f"{where}: a key has {len(key)} characters, {_LONGEST_KEY} at most")
    return clean(key)


def _check(where: str, named: Topic, message: Message | CountReport) -> None:
    if not isinstance(message, Status) and message.device != named.device:
        raise RefusedError("wrong_device", f"{where}: it says that it is of {message.device!r}")
    if isinstance(message, CountReport) and (message.camera != named.name or len(message.store_id) > _LONGEST_STORE):
        raise RefusedError("invalid", f"{where}: it is of another camera, or its store_id is too long")
    if isinstance(message, CountReport):
        crossings = (number for line in message.lines.values() for number in (line.in_, line.out))
        if any(not 0 <= number <= _MOST_CROSSINGS for number in crossings):
            raise RefusedError("out_of_bounds", f"{where}: a window has 0 to {_MOST_CROSSINGS} crossings of a line")
    if isinstance(message, Status | Hello | Reported) and not 0 < len(message.boot_id) <= _LONGEST_BOOT:
        raise RefusedError("out_of_bounds", f"{where}: 'boot_id' should have 1 to {_LONGEST_BOOT} characters")
