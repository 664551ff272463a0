"""How a box is, in one word: what an overview of thousands shows.

The first that holds:

============  =====================================================================================
``never``     it was never heard, and the broker does not say that it is online
``offline``   its status says so, or the broker lost it
``failed``    the newest change of its models failed, was refused or was taken back
``updating``  a change of its models is under way
``warning``   somebody should look: a warning, a refused document, or not all of a document works
``ok``        none of these
============  =====================================================================================
"""

from __future__ import annotations

from typing import Literal, get_args

from fleet.inventory.device import Device

BoxState = Literal["never", "offline", "failed", "updating", "warning", "ok"]

BOX_STATES: tuple[BoxState, ...] = get_args(BoxState)

_FAILED = frozenset({"rejected", "failed", "rolled_back", "rollback_failed"})
_OVER = _FAILED | {"committed", "superseded"}


def box_state(device: Device, last_seen_ms: int | None) -> BoxState:
    """How a box is.

    Args:
        device: what is known of it.
        last_seen_ms: when it was last heard; None where never.
    """
    if device.online is None and last_seen_ms is None:
        return "never"
    if device.online is False:
        return "offline"
    update = None if device.update is None else device.update.state
    if update in _FAILED:
        return "failed"
    if update is not None and update not in _OVER:
        return "updating"
    return "warning" if device.warnings or device.refused or device.state == "degraded" else "ok"
