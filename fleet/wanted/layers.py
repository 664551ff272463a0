"""The layers of the database as what makes configurations of them."""

from __future__ import annotations

from sqlalchemy import Connection

from contracts.errors import WrittenError
from fleet.configuration.resolve import Layers, Problem
from fleet.inventory.device import Device
from fleet.store.layers import read_layers
from fleet.wanted.writing import Configure


def configure_from(connection: Connection) -> Configure:
    """Reads the layers; what it gives makes the configuration of a box of them."""
    layers = Layers(stored.layer for stored in read_layers(connection))

    def configure(device: Device) -> str:
        found = layers.resolve(device)
        if isinstance(found, Problem):
            raise WrittenError(found.text)
        return found.config

    return configure
