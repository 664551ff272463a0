"""What boxes tell, held against what they should run: a hello is answered, and a box that is ahead is noted."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial

from sqlalchemy import Connection

from fleet.bucket import Bucket, Monotonic
from fleet.configuration.layers import depends_on
from fleet.inventory.device import Device
from fleet.store import stale
from fleet.store import wanted as store
from fleet.store.devices import Observer, Told
from fleet.wanted.rules import standing

_BURST = 10  # hellos of a box that are answered at once
_REFILL_SECONDS = 100.0  # until as many are again; a box that says hello in a loop costs no more than that


def wanted_watch(clock: Monotonic = time.monotonic) -> Observer:
    """Concludes from what boxes told.

    Args:
        clock: by which boxes that say hello in a loop are bounded.
    """
    return partial(_watch, Bucket(_BURST, _REFILL_SECONDS, clock))


def _watch(answers: Bucket, connection: Connection, told: Sequence[Told], known: Mapping[str, Device]) -> None:
    """Note what follows from what boxes told.

    A box whose labels, class, facts or version changed may be meant by other layers, so that is worked out anew. One
    that says hello and does not run what it should gets its document again, whatever the broker remembers.
    """
    now_ms = max(each.at_ms for each in told)
    changed = [each.device.device for each in told if _differs(known.get(each.device.device), each.device)]
    stale.mark_stale(connection, changed, now_ms)
    revisions = store.revisions(connection, (each.device.device for each in told))
    again: list[str] = []
    flipped: dict[bool, list[str]] = {False: [], True: []}
    for each in told:
        device = each.device.device
        if device not in revisions:
            continue
        wanted, was_ahead = revisions[device]
        stands = standing(each.device, wanted)
        if each.greeted and stands == "behind" and not answers.take(device):
            again.append(device)
        if (stands == "ahead") != was_ahead:
            flipped[not was_ahead].append(device)
    store.say_again(connection, again, now_ms)
    for ahead, ids in flipped.items():
        store.set_ahead(connection, ids, ahead=ahead)


def _differs(before: Device | None, now: Device) -> bool:
    """Whether what queries may ask for differs; what changes with every message is not among it."""
    if before is None:
        return True
    return depends_on(before) != depends_on(now)
