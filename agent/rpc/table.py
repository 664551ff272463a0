"""The operations. A further one is a row here, a request in `contracts.rpc` and a key of ``[rpc]``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from agent.rpc.drift_reset import reset_drift
from agent.rpc.ports import Agent
from agent.rpc.refusals import RpcRefusedError
from agent.rpc.restart import restart
from agent.rpc.selftest import run_self_test
from agent.rpc.snapshot import take_snapshot
from contracts.config import RpcConfig
from contracts.rpc import (
    DriftReset,
    DriftResetRequest,
    Restarting,
    RestartRequest,
    RpcOp,
    RpcRequest,
    SelfTest,
    SelfTestRequest,
    Snapshot,
    SnapshotRequest,
)

LEAST_UPTIME = 120.0
"""Seconds that the agent has to run before it may be restarted: whoever asks without end gets no more than that."""


@dataclass(frozen=True)
class Operation:
    """One row.

    Args:
        request: what its requests are read as.
        run: carries it out.
        enabled: whether the configuration allows it, by the key of ``[rpc]`` that has the operation's name.
        pause: seconds between two of them, on average.
        check: raises `RpcRefusedError` where it cannot be carried out now, before anything is done.
        ends: whether the agent ends with it, so that what was obeyed has to be remembered beyond that.
    """

    request: type[RpcRequest]
    run: Callable[[RpcRequest, Agent], Snapshot | SelfTest | Restarting | DriftReset]
    enabled: Callable[[RpcConfig], bool]
    pause: float
    check: Callable[[RpcConfig, Agent], None] = lambda *_: None
    ends: bool = False


def _check_restart(config: RpcConfig, agent: Agent) -> None:
    if not (agent.managed or config.restart_unmanaged):
        raise RpcRefusedError(
            "no_service_manager",
            "no service manager is seen that would start the agent anew; run it under systemd, or set "
            "'rpc.restart_unmanaged'",
        )
    uptime = agent.uptime()
    if uptime < LEAST_UPTIME:
        raise RpcRefusedError(
            "too_often",
            f"the agent runs for {uptime:.0f} s; it is restarted after {LEAST_UPTIME:.0f} s at the earliest",
        )


OPERATIONS: Mapping[RpcOp, Operation] = {
    "snapshot": Operation(SnapshotRequest, take_snapshot, lambda config: config.snapshot, pause=1.0),
    "self-test": Operation(SelfTestRequest, run_self_test, lambda config: config.self_test, pause=10.0),
    "restart": Operation(
        RestartRequest,
        restart,
        lambda config: config.restart,
        pause=LEAST_UPTIME,
        check=_check_restart,
        ends=True,
    ),
    "drift-reset": Operation(DriftResetRequest, reset_drift, lambda config: config.drift_reset, pause=10.0),
}
