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
_MOST_GONE = 64  # cameras that are remembered to be gone


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
        """Take back the states of all cameras but these; at the start and after every change.

        Nobody tells when the broker has it, so those that are gone are taken back again at every start.
        """
        current = sorted(cameras)
        try:
            text = self._memory.remembered(_MEMORY)
            known: list[str] = [] if text is None else json.loads(text)
            gone = [camera for camera in known if camera not in current][-_MOST_GONE:]
            if known != [*gone, *current]:  # the disk is not written at every start
                self._memory.remember(_MEMORY, json.dumps([*gone, *current]))
        except StorageError as error:
            _log.error("%s; the last state of a camera that is gone may stay at the broker", error)
            return
        for camera in gone:
            self._outlet.state(Topic(self._device, Channel.CAMERA_STATE, camera), None)
