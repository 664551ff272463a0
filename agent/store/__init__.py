"""What a box must not forget: totals, sequence numbers and reports that wait for the broker."""

from agent.store.counters import Counter, LineDefinition, Totals
from agent.store.lock import StateInUseError
from agent.store.outbox import ReportDraft, Row
from agent.store.store import Store, StoreStatus

__all__ = [
    "Counter",
    "LineDefinition",
    "ReportDraft",
    "Row",
    "StateInUseError",
    "Store",
    "StoreStatus",
    "Totals",
]
