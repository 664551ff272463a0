"""``restart``: the agent ends, and its service manager starts it anew."""

from __future__ import annotations

import os
from collections.abc import Mapping

from agent.rpc.ports import Agent
from contracts.rpc import Restarting, RpcRequest

RESTART_EXIT_CODE = 75
"""EX_TEMPFAIL of sysexits.h, "try again": systemd starts anew what ends so, with Restart=always or on-failure."""


def is_managed(environment: Mapping[str, str], pid: int) -> bool:
    """Whether systemd, or another that speaks sd_notify, runs this very process.

    Args:
        environment: of the process.
        pid: of the process: a shell below a service inherits the variables.
    """
    own = environment.get("SYSTEMD_EXEC_PID", str(pid)) == str(pid)  # since systemd 248
    return own and bool(environment.get("INVOCATION_ID") or environment.get("NOTIFY_SOCKET"))


def this_is_managed() -> bool:
    """As `is_managed`, of this process."""
    return is_managed(os.environ, os.getpid())


def restart(request: RpcRequest, agent: Agent) -> Restarting:
    """What is replied; the agent ends once the reply is handed over."""
    del request
    return Restarting(boot_id=agent.boot_id, exit_code=RESTART_EXIT_CODE)
