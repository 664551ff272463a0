"""What comes from the broker: handed on to who takes it, and nothing that comes may do harm."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from agent.limited_log import LimitedLog
from agent.mqtt.ports import Received, Unreadable
from contracts.health import MESSAGE_REFUSALS, MessageRefusal

_log = logging.getLogger(__name__)

Receiver = Callable[[Received], None]
"""Takes a message; what it raises is logged and counted."""


class Incoming:
    """Hands messages on, and counts those that nobody took.

    Args:
        receiver: takes messages; where there is none each is refused.
        listeners: take instead of it what comes on their topic; more may be added by any thread.
    """

    def __init__(self, receiver: Receiver | None = None, listeners: Mapping[str, Receiver] | None = None) -> None:
        self._receiver = receiver
        self._listeners = {} if listeners is None else listeners
        self._limited = LimitedLog(_log, seconds=60.0)
        self._refused: dict[MessageRefusal, int] = dict.fromkeys(MESSAGE_REFUSALS, 0)

    @property
    def refused(self) -> Mapping[MessageRefusal, int]:
        """How many were refused since the start, by reason; any thread may ask."""
        return dict(self._refused)

    def take(self, message: Received | Unreadable) -> None:
        """A message came; never raises."""
        if isinstance(message, Unreadable):
            self._refuse(message.reason, "a message was refused: %s", message.why)
        elif not message.payload:
            return  # a retained message was taken back
        elif (listener := self._listeners.get(message.topic)) is not None:
            self._hand_on(listener, message)
        elif self._receiver is None:
            self._refuse("unexpected", "a message on %r was refused, as nobody here takes any", message.topic)
        else:
            self._hand_on(self._receiver, message)

    def _hand_on(self, receiver: Receiver, message: Received) -> None:
        try:
            receiver(message)
        except Exception:  # noqa: BLE001 - whoever sends must not be able to stop the link
            self._refused["failed"] += 1
            self._limited.exception("a message on %r was refused", message.topic)

    def _refuse(self, reason: MessageRefusal, text: str, detail: str) -> None:
        self._refused[reason] += 1
        self._limited.error(text, detail)
