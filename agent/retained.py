"""Retained states of cameras that are gone are taken back, also where the agent was stopped in between."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable

from agent.home_assistant import Memory
from agent.mqtt.ports import Outlet
from contracts.errors import StorageError
from contracts.topics import Channel, Topic

_log = logging.getLogger(__name__)

_MEMORY = "cameras"


class RetainedStates:
    """Knows of which cameras the broker keeps a state.

    Args:
        outlet: publishes; the link.
        memory: survives a restart; the store.
        device: the box's id.
    """

    def __init__(self, outlet: Outlet, memory: Memory, device: str) -> None:
        self._outlet = outlet
        self._memory = memory
        self._device = device

    def update(self, cameras: Iterable[str]) -> None:
        """Take back the states of all cameras but these; at the start and after every change."""
        current = sorted(cameras)
        try:
            text = self._memory.remembered(_MEMORY)
            known: list[str] = [] if text is None else json.loads(text)
            if known != current:  # the disk is not written at every start
                self._memory.remember(_MEMORY, json.dumps(current))
        except StorageError as error:
            _log.error("%s; the last state of a camera that is gone may stay at the broker", error)
            return
        for camera in set(known) - set(current):
            self._outlet.state(Topic(self._device, Channel.CAMERA_STATE, camera), None)
