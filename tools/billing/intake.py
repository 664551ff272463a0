"""Taking messages in: each report and event once, whatever came twice, late, out of order or from somebody else."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from contracts.documents import Id, MachineModel
from contracts.errors import WrittenError
from contracts.messages import CountReport, CrossingEvent, QualityEvent, StateEvent
from contracts.topics import Channel, Topic


class UnknownEvent(MachineModel):
    """An event of a kind that a newer agent knows: not counted, but its number is not missing."""

    kind: str
    store_id: str
    seq: int
    device: Id
    camera: Id
    at: str
    late: bool = False


Numbered = CountReport | CrossingEvent | QualityEvent | StateEvent | UnknownEvent
"""What carries a number ``(store_id, seq)``."""

_Kind = TypeVar("_Kind", CountReport, CrossingEvent, QualityEvent, StateEvent)
_EVENTS: dict[object, type[CrossingEvent | QualityEvent | StateEvent]] = {
    "crossing": CrossingEvent,
    "quality": QualityEvent,
    "state": StateEvent,
}


@dataclass
class Intake:
    """All that came, by its number.

    Attributes:
        messages: by ``store_id`` and ``seq``.
        repeated: deliveries of what was there already, which at least once allows.
        conflicts: numbers that came with two contents, which must not be.
        refused: messages that are none, or say that they are of another device or camera than their topic.
    """

    messages: dict[tuple[str, int], Numbered] = field(default_factory=dict)
    repeated: int = 0
    conflicts: list[tuple[str, int]] = field(default_factory=list)
    refused: int = 0

    def take(self, payload: bytes | str, topic: str | None = None) -> None:
        """Take a message in; never raises.

        Args:
            payload: as it came.
            topic: what it came on; None where that is not known any more.
        """
        try:
            message = _read(payload)
            is_ours = topic is None or _fits(message, topic)
        except (ValueError, RecursionError, WrittenError):  # pydantic's ValidationError is a ValueError
            is_ours = False
        if not is_ours:
            self.refused += 1
            return
        before = self.messages.setdefault((message.store_id, message.seq), message)
        if before is message:
            return
        self.repeated += 1
        # ``late`` says of a delivery, not of what was counted, that it came late.
        if before.model_copy(update={"late": False}) != message.model_copy(update={"late": False}):
            self.conflicts.append((message.store_id, message.seq))

    def of(self, kind: type[_Kind]) -> Iterator[_Kind]:
        """Every message of a kind, in the order of the numbers within each store."""
        return (message for _, message in sorted(self.messages.items()) if isinstance(message, kind))


def read_lines(lines: Iterable[str], intake: Intake) -> None:
    """Take in a dump of JSON lines.

    A line is a payload as it was published, or an object with ``topic`` and ``payload`` (text or JSON), as
    ``mosquitto_sub -F %j`` and ``-F %J`` write it. Other topics than counts and events are passed over.
    """
    for line in lines:
        if not line.strip():
            continue
        try:
            document = json.loads(line)
        except (ValueError, RecursionError):
            intake.refused += 1
            continue
        if not (isinstance(document, dict) and {"topic", "payload"} <= document.keys()):
            intake.take(line)
        elif is_counted(topic := str(document["topic"])):
            payload = document["payload"]
            intake.take(payload if isinstance(payload, str) else json.dumps(payload), topic)


def is_counted(topic: str) -> bool:
    """Whether it is a topic of counts or events."""
    try:
        return Topic.parse(topic).channel in {Channel.CAMERA_COUNTS, Channel.CAMERA_EVENTS}
    except WrittenError:
        return False


def _read(payload: bytes | str) -> Numbered:
    document = json.loads(payload)
    kind = document.get("kind") if isinstance(document, dict) else None
    model = _EVENTS.get(kind, UnknownEvent) if isinstance(kind, str) else CountReport
    message: Numbered = model.model_validate(document)
    if not isinstance(message, CountReport):
        seconds(message.at)
    elif seconds(message.window.start) >= seconds(message.window.end):
        raise ValueError("a window that ends before it starts")
    else:
        for since in [one.since for one in message.lines.values()] + [one.since for one in message.states.values()]:
            seconds(since)
    return message


def seconds(text: str) -> float:
    """ISO 8601 as seconds since 1970.

    Raises:
        ValueError: it is none.
    """
    moment = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.timezone.utc)).timestamp()


def _fits(message: Numbered, topic: str) -> bool:
    """Whether the message says of itself what its topic says; brokers' access rules know only topics."""
    parsed = Topic.parse(topic)
    channel = Channel.CAMERA_COUNTS if isinstance(message, CountReport) else Channel.CAMERA_EVENTS
    return (parsed.device, parsed.name, parsed.channel) == (message.device, message.camera, channel)
