"""Changing what boxes should run: revisions, documents and signatures, many boxes in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from pydantic import ValidationError
from sqlalchemy import Connection

from contracts.desired import DesiredModel
from contracts.errors import EdgetallyError, WrittenError
from fleet.inventory.device import Device
from fleet.store import settings
from fleet.store import wanted as store
from fleet.wanted.rules import NOTHING, Wanted, document, first_epoch, in_epoch, with_config, with_models, with_problem
from fleet.wanted.signing import Sign

Configure = Callable[[Device], str]
"""The configuration that the layers make for a box, as canonical JSON; raises `WrittenError` where they make none."""

Models = Mapping[str, DesiredModel]

_NO_MODELS: Mapping[str, Models] = MappingProxyType({})


@dataclass(frozen=True)
class WantedWriter:
    """Changes what boxes should run.

    Args:
        sign: makes of a document what is published.
        lifetime_ms: from its making until boxes do not take it any more; it is made anew after half of that.
    """

    sign: Sign
    lifetime_ms: int

    def write(
        self,
        connection: Connection,
        devices: Mapping[str, Device],
        configure: Configure,
        now_ms: int,
        models: Mapping[str, Models] = _NO_MODELS,
    ) -> dict[str, Wanted]:
        """Work out what these boxes should run, and write what changed.

        Args:
            connection: that writes.
            devices: the boxes, locked (`fleet.store.wanted.lock_devices`).
            configure: makes their configurations.
            now_ms: now.
            models: what boxes should be given, under a new revision even where it is what they should run already.

        Returns:
            What boxes should run from now on; those lack of whom nothing is wanted.
        """
        epoch = settings.epoch(connection, first_epoch(now_ms))
        known = store.load(connection, devices, lock=True)
        after: dict[str, Wanted] = {}
        for device in sorted(devices):
            before = known.get(device) or Wanted(device, epoch)
            wanted = _configured(in_epoch(before, epoch), devices[device], configure)
            if device in models:
                wanted = with_models(wanted, models[device], again=True)
            # Of a box that no layer is for nothing is wanted: its own file rules it.
            if device in known or wanted.models or wanted.problem or wanted.config != NOTHING:
                after[device] = self._issued(before, wanted, now_ms)
        store.save(connection, known, [one for device, one in after.items() if one != known.get(device)])
        return after

    def _issued(self, before: Wanted, wanted: Wanted, now_ms: int) -> Wanted:
        if not wanted.config:
            return wanted
        fresh = wanted.expires_ms - now_ms > self.lifetime_ms // 2
        if wanted.document and wanted.revisions == before.revisions and fresh:
            return wanted
        expires_ms = now_ms + self.lifetime_ms
        try:
            text = self.sign(wanted.device, document(wanted, now_ms, expires_ms))
        except (EdgetallyError, ValidationError) as error:
            # What it should run stays as it was: a document that no box takes is worse than an older one.
            return with_problem(before, str(error))
        waits_ms = now_ms if wanted.waits_ms is None else wanted.waits_ms
        return replace(wanted, document=text, expires_ms=expires_ms, waits_ms=waits_ms)


def _configured(wanted: Wanted, device: Device, configure: Configure) -> Wanted:
    try:
        return with_config(wanted, configure(device))
    except WrittenError as error:
        return with_problem(wanted, str(error))
