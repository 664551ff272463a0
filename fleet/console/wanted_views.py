"""What boxes should run, as pages and API show it."""

from __future__ import annotations

import json

from fleet.configuration.masking import masked
from fleet.console.console import Console
from fleet.console.layer_documents import WantedAnswer
from fleet.inventory.show import utc
from fleet.store import wanted as store
from fleet.wanted.rules import standing


def wanted(console: Console, device: str) -> WantedAnswer | None:
    """What a box should run; None where nothing was wanted of it yet."""
    stored = console.devices.get(device)
    with console.database.reading() as connection:
        found = store.load(connection, [device]).get(device)
    if found is None or stored is None:
        return None
    return WantedAnswer(
        device=device,
        epoch=found.epoch,
        config_revision=found.config_revision,
        model_revision=found.model_revision,
        published=bool(found.document) and found.waits_ms is None,
        waits_since=utc(found.waits_ms),
        expires=utc(found.expires_ms) or "",
        standing="ahead" if found.ahead else standing(stored.device, found.revisions),
        ahead=found.ahead,
        problem=found.problem,
        config=masked(json.loads(found.config or "{}")),
        models=dict(found.models),
    )


def ahead(console: Console) -> int:
    """How many boxes were given a newer document than this database knows."""
    with console.database.reading() as connection:
        return store.count_ahead(connection)
