"""What a clock that was set back leaves behind: times that are still to come."""

from __future__ import annotations

from sqlalchemy import Connection, update

from fleet.store.tables import DEVICE, ROLLOUT_DEVICE


def forget_what_is_to_come(connection: Connection, now_ms: int) -> None:
    """Have boxes be seen, and be offered a release, now instead of later: until then none of them could fall silent.

    Args:
        connection: that writes.
        now_ms: now, milliseconds since 1970.
    """
    seen = update(DEVICE).where(DEVICE.c.last_seen_ms > now_ms)
    connection.execute(seen.values(last_seen_ms=now_ms))
    offered = update(ROLLOUT_DEVICE).where(ROLLOUT_DEVICE.c.offered_ms > now_ms, ROLLOUT_DEVICE.c.state == "offered")
    connection.execute(offered.values(offered_ms=now_ms))
