"""When the newest restart that was obeyed had been asked for; on disk, so that a replay cannot loop a box."""

from __future__ import annotations

import json
import logging

from pydantic import Field, ValidationError

from agent.disk import Disk
from agent.rpc.refusals import RpcRefusedError
from contracts.documents import MachineModel
from contracts.rpc import RpcRequest

_log = logging.getLogger(__name__)
NAME = "restart.json"


class _Kept(MachineModel):
    """The file; seconds since 1970."""

    issued: float = Field(ge=0, allow_inf_nan=False)
    id: str


class Floor:
    """Below it nothing that outlasts the agent is obeyed.

    Args:
        disk: of the state directory.
        otherwise: seconds since 1970 that count where the file is damaged.
    """

    def __init__(self, disk: Disk, otherwise: float) -> None:
        self._disk = disk
        self.issued = self._load(otherwise)

    def check(self, request: RpcRequest, limit: float) -> None:
        """Whether it is newer than all before it.

        Args:
            request: what is asked.
            limit: seconds since 1970 that no floor can be above: one that is was let in by a wrong clock, and is void.

        Raises:
            RpcRefusedError: it is not.
        """
        if request.issued.timestamp() <= self.issued <= limit:
            raise RpcRefusedError(
                "replayed", "a request that was issued at this time or later was obeyed before; ask anew"
            )

    def write(self, request: RpcRequest) -> None:
        """It is going to be obeyed.

        Raises:
            StorageError: that could not be noted.
        """
        kept = _Kept(issued=request.issued.timestamp(), id=request.id)
        self._disk.replace(NAME, kept.model_dump_json().encode())
        self.issued = kept.issued

    def _load(self, otherwise: float) -> float:
        try:
            data = self._disk.read(NAME)
            return 0.0 if data is None else _Kept.model_validate(json.loads(data)).issued
        except (OSError, ValueError, RecursionError, ValidationError) as error:
            _log.error("%s cannot be read: %s", self._disk.directory / NAME, error)
            return otherwise
