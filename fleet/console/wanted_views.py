"""What boxes should run, as pages and API show it."""

from __future__ import annotations

import json

from fleet.configuration.masking import masked
from fleet.console.console import Console
from fleet.console.layer_documents import WantedAnswer
from fleet.inventory.show import utc
from fleet.store.wanted import count_ahead
from fleet.wanted.view import view


def wanted(console: Console, device: str) -> WantedAnswer | None:
    """What a box should run; None where nothing was wanted of it yet."""
    stored = console.devices.get(device)
    found = None if stored is None else view(console.database, stored.device, console.now_ms())
    if found is None or found.wanted is None or found.stands is None:
        return None
    box = found.wanted
    return WantedAnswer(
        device=device,
        epoch=box.epoch,
        config_revision=box.config_revision,
        model_revision=box.model_revision,
        published=bool(box.document) and box.waits_ms is None,
        waits_since=utc(box.waits_ms),
        expires=utc(box.expires_ms) or "",
        standing=found.stands,
        problem=box.problem,
        config=masked(json.loads(box.config or "{}")),
        models=dict(box.models),
    )


def ahead(console: Console) -> int:
    """How many boxes were given a newer document than this database knows."""
    with console.database.reading() as connection:
        return count_ahead(connection)
