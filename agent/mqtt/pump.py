"""What to send next: newest values, then reports in order, as many as the broker may leave unanswered.

No thread, no socket and no clock of its own: the link feeds it what happened and sends what it says.
"""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent.limited_log import LimitedLog
from agent.mqtt.board import Board
from agent.mqtt.ports import Acknowledged, Address, ForeignTopic, Limits, Outbox, Outgoing, Refusal
from agent.mqtt.problems import PACKET_TOO_LARGE
from agent.store import Row
from contracts.topics import Topic

_log = logging.getLogger(__name__)

_OVERHEAD = 32  # bytes of a PUBLISH beside its topic and payload, generously


@dataclass(frozen=True)
class PumpSettings:
    """How the pump behaves.

    Args:
        in_flight: messages of QoS 1 that wait for an answer at most, where the broker allows as many.
        late_after: seconds after which a report is marked as late.
        answer_within: seconds in which the broker has to answer a message.
        hold: seconds after which refused reports are tried again.
    """

    in_flight: int = 32
    late_after: float = 30.0
    answer_within: float = 30.0
    hold: float = 60.0


Item = Row | Address | None
"""What a message in flight is: a report, a newest value, or a greeting."""


class Pump:
    """Decides what is sent next; used by one thread.

    Args:
        outbox: reports that wait.
        board: newest values.
        boot_id: of this boot; reports of another one are late.
        settings: how it behaves.
        monotonic: seconds since boot, the clock that the reports were committed by.
    """

    def __init__(
        self,
        outbox: Outbox,
        board: Board,
        boot_id: str,
        settings: PumpSettings,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outbox = outbox
        self._board = board
        self._boot_id = boot_id
        self._settings = settings
        self._monotonic = monotonic
        self._refusals = LimitedLog(_log, seconds=60.0)
        self.refusal: str | None = None
        self.acknowledged = 0
        self._limits = Limits("5")
        self._greetings: deque[Outgoing] = deque()
        self._rows: deque[Row] = deque()
        self._in_flight: dict[int, tuple[Item, float]] = {}
        self._answered: list[int] = []
        self._cursor = 0
        self._may_have_more = True
        self._held_until: float | None = None

    def begin(self, limits: Limits, greetings: Sequence[Outgoing]) -> None:
        """A connection begins: whatever was not acknowledged is sent again."""
        self._limits = limits
        self._greetings = deque(greetings)
        self._in_flight.clear()
        self._restart_rows()
        self.refusal = None
        self._board.connected()

    def end(self) -> None:
        """The connection ended.

        Raises:
            StorageError: what was acknowledged could not be forgotten.
        """
        self._board.disconnected()
        self._forget_answered()

    def look_again(self) -> None:
        """The outbox may have new reports."""
        self._may_have_more = True

    def feed(self, publish: Callable[[Outgoing], int]) -> None:
        """Send what may be sent now.

        Args:
            publish: hands a message to the network and returns its token.

        Raises:
            StorageError: reports could not be read.
        """
        while len(self._in_flight) < self._window:
            chosen = self._next()
            if chosen is None:
                return
            item, message = chosen
            token = publish(message)
            if message.qos:
                self._in_flight[token] = (item, self._monotonic())
            elif isinstance(item, (Topic, ForeignTopic)):
                self._board.answered(item)

    def answered(self, answers: Sequence[Acknowledged]) -> None:
        """The broker answered.

        Raises:
            StorageError: the store could not be told; the reports are forgotten later.
        """
        for answer in answers:
            item, _ = self._in_flight.pop(answer.token, (None, 0.0))
            if isinstance(item, (Topic, ForeignTopic)):
                self._board.answered(item)
            self.acknowledged += not answer.refusal
            if answer.refusal:
                self._refused(item, answer.refusal)
            elif isinstance(item, Row):
                self._answered.append(item.seq)
        self._forget_answered()

    @property
    def is_idle(self) -> bool:
        """Whether everything is with the broker."""
        return not (self._in_flight or self._greetings or self._rows or self._may_have_more) and self._board.is_clean

    @property
    def deadline(self) -> float | None:
        """When something is to be done although nothing happened, None for never."""
        times = [since + self._settings.answer_within for _, since in list(self._in_flight.values())[:1]]
        times += [self._held_until] if self._held_until is not None else []
        return min(times, default=None)

    @property
    def is_stuck(self) -> bool:
        """Whether the broker owes an answer for too long."""
        oldest = next(iter(self._in_flight.values()), None)
        return oldest is not None and self._monotonic() - oldest[1] >= self._settings.answer_within

    @property
    def _window(self) -> int:
        return max(1, min(self._settings.in_flight, self._limits.receive_maximum))

    def _next(self) -> tuple[Item, Outgoing] | None:
        if self._greetings:
            return None, self._greetings.popleft()
        while (posted := self._board.take()) is not None:
            if self._fits(posted[1]):
                return posted
            self._refusals.error("%s: the broker takes %s bytes at most", posted[0], self._limits.packet_size)
            self._board.answered(posted[0])
        return self._next_row()

    def _next_row(self) -> tuple[Row, Outgoing] | None:
        if self._is_holding():
            return None
        while True:
            if not self._rows:
                self._fetch()
            if not self._rows:
                return None
            row = self._rows.popleft()
            try:
                message = Outgoing(row.topic, self._marked(row), 1, retain=False)
            except ValueError:  # a dying card; one spoilt report must not hold up all that come after it
                self._discard(row, "it is no JSON")
                continue
            if self._fits(message):
                return row, message
            self._discard(row, f"it has {len(row.payload)} bytes, the broker takes {self._limits.packet_size} at most")

    def _fetch(self) -> None:
        """Read reports ahead, a window at once, so that not every answer costs a query."""
        if not self._may_have_more:
            return
        rows = self._outbox.waiting(self._cursor, self._window)
        self._may_have_more = len(rows) == self._window
        if rows:
            self._cursor = rows[-1].seq
            self._rows.extend(rows)

    def _marked(self, row: Row) -> bytes:
        waited = self._monotonic() - row.committed_at
        is_late = row.boot_id != self._boot_id or waited > self._settings.late_after
        return mark_late(row.payload) if is_late else row.payload

    def _fits(self, message: Outgoing) -> bool:
        limit = self._limits.packet_size
        return limit is None or len(message.topic) + len(message.payload) + _OVERHEAD <= limit

    def _refused(self, item: Item, refusal: Refusal) -> None:
        if isinstance(item, Row) and refusal.code == PACKET_TOO_LARGE:
            self._discard(item, str(refusal))
            return
        topic = item.topic if isinstance(item, Row) else str(item or "the greeting")
        self.refusal = f"the broker refused {topic}: {refusal}; check its access rules and quotas for this device"
        self._refusals.error("%s", self.refusal)
        if isinstance(item, Row):  # not its fault: it is kept, and tried again when the broker may have been mended
            self._held_until = self._monotonic() + self._settings.hold

    def _discard(self, row: Row, why: str) -> None:
        self._refusals.error("report %d cannot ever be sent and is dropped: %s", row.seq, why)
        self._outbox.discard([row.seq])

    def _is_holding(self) -> bool:
        if self._held_until is None:
            return False
        reports_fly = any(isinstance(item, Row) for item, _ in self._in_flight.values())
        if reports_fly or self._monotonic() < self._held_until:
            return True
        self.refusal = None
        self._restart_rows()
        return False

    def _restart_rows(self) -> None:
        """Read the outbox from its beginning: it leaves out what was acknowledged."""
        self._held_until = None
        self._rows.clear()
        self._cursor = 0
        self._may_have_more = True

    def _forget_answered(self) -> None:
        if self._answered:
            self._outbox.acknowledge(self._answered)
            self._answered = []


def mark_late(payload: bytes) -> bytes:
    """The report with ``late`` set; all else, also what this version does not know, is kept.

    Raises:
        ValueError: it is no JSON.
    """
    return json.dumps({**json.loads(payload), "late": True}, separators=(",", ":"), ensure_ascii=False).encode()
