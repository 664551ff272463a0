"""Running the agent as a program: signals, faults of its threads, exit codes."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from pathlib import Path

from agent.daemon import Daemon
from agent.ending import LastResort
from agent.rpc.restart import RESTART_EXIT_CODE
from agent.service.service import Service
from agent.thread_faults import ThreadFaults
from contracts.config import AgentConfig
from contracts.errors import DeviceError

_log = logging.getLogger(__name__)


def run_until_stopped(
    config: AgentConfig, *, keys: Path | None = None, until_end: bool = False, service: Service | None = None
) -> int:
    """Run until SIGTERM or SIGINT, or until every source has ended.

    Args:
        config: all settings of this box itself; what came from afar is laid over them.
        keys: the operators' keys, as of `Daemon`.
        until_end: stop when every source has ended.
        service: what it is run as; of nobody where it is left out.

    Returns:
        The exit code: another one than 0 asks whoever started it to start it anew.

    Raises:
        EdgetallyError: it cannot start: settings, bundle, artifact or disk; or, until the end, a source broke.
        RuntimeError: a fault ended one of its threads.
    """
    service = service or Service()
    daemon = Daemon(config, keys=keys, problems=service.problems)
    service.watch(daemon)
    daemon.end.begun = _all_of(LastResort().begin, service.stopping)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: daemon.stop())
    with ThreadFaults(daemon.stop) as faults:
        try:
            daemon.start()
            daemon.run(until_end=until_end)
            broken = [unit.problem for unit in daemon.units if unit.problem]
        except BaseException:
            _close_after_fault(daemon)
            raise
        daemon.close()
    faults.raise_first()
    if until_end and broken and not daemon.stopped:
        raise DeviceError("; ".join(broken))
    service.ended_well()
    return RESTART_EXIT_CODE if daemon.restarting else 0


def _all_of(*hears: Callable[[], None]) -> Callable[[], None]:
    def tell_all() -> None:
        for hear in hears:
            hear()

    return tell_all


def _close_after_fault(daemon: Daemon) -> None:
    """What fails in the end must not be said instead of what it ended for."""
    try:
        daemon.close()
    except Exception:  # noqa: BLE001 - the fault itself is raised
        _log.exception("after a fault, the end failed too")
