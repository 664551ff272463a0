"""``drift-reset``: what is usual for a camera is learned anew."""

from __future__ import annotations

from agent.rpc.ports import Agent
from contracts.rpc import DriftReset, DriftResetRequest, RpcRequest


def reset_drift(request: RpcRequest, agent: Agent) -> DriftReset:
    """Carry it out.

    Args:
        request: a `DriftResetRequest`.
        agent: whose cameras.

    Raises:
        UnknownNameError: there is no such camera.
        StorageError: the disk refuses; nothing is forgotten.
    """
    assert isinstance(request, DriftResetRequest)
    return DriftReset(camera=request.camera, since=agent.learn_anew(request.camera))
