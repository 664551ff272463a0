"""The checks, in the order in which one leads to the next, and running them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from agent.doctor import box, counting
from agent.doctor.finding import EXIT_CODES, Finding, failed
from agent.doctor.ground import Ground
from agent.doctor.permissions import permissions
from agent.doctor.service import service
from contracts.errors import EdgetallyError, UnknownNameError

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Check:
    """A kind of thing that is looked at.

    Args:
        run: looks.
        doing: what is being done, for who waits.
    """

    run: Callable[[Ground], Iterator[Finding]]
    doing: str


CHECKS: dict[str, Check] = {
    "hardware": Check(box.hardware, "looking at the hardware"),
    "config": Check(counting.config, "reading the configuration"),
    "service": Check(service, "asking systemd"),
    "permissions": Check(permissions, "looking at who may do what"),
    "disk": Check(box.disk, "writing to the disk"),
    "clock": Check(box.clock, "looking at the clock"),
    "runtimes": Check(box.runtimes, "having each runtime multiply two numbers"),
    "models": Check(counting.models, "proving the models on their golden samples"),
    "cameras": Check(counting.cameras, "waiting for a frame of each camera"),
    "broker": Check(counting.broker, "publishing to the broker"),
}


@dataclass(frozen=True)
class Checked:
    """What a check came to.

    Args:
        name: of the check.
        findings: at least one.
        seconds: that it took.
    """

    name: str
    findings: tuple[Finding, ...]
    seconds: float


def examine(
    ground: Ground, only: Collection[str] = (), note: Callable[[str], None] = lambda _: None
) -> Iterator[Checked]:
    """Run the checks; every one is run, whatever became of those before.

    Args:
        ground: of the box.
        only: the names of those to run; all where empty.
        note: told what is being done.

    Raises:
        UnknownNameError: there is no such check.
    """
    for name in only:
        if name not in CHECKS:
            raise UnknownNameError("check", name, CHECKS)
    for name, check in CHECKS.items():
        if only and name not in only:
            continue
        note(check.doing)
        begun = time.perf_counter()
        findings = _found(name, check, ground)
        yield Checked(name, findings, time.perf_counter() - begun)


def exit_code(checked: Collection[Checked]) -> int:
    """2 where something is wrong, 3 where something will hurt, else 0."""
    levels = {finding.level for one in checked for finding in one.findings}
    return EXIT_CODES["wrong" if "wrong" in levels else "warning" if "warning" in levels else "ok"]


def _found(name: str, check: Check, ground: Ground) -> tuple[Finding, ...]:
    found: list[Finding] = []
    try:
        found.extend(check.run(ground))
    except EdgetallyError as error:
        found.append(failed(name, error))
    except Exception as error:  # noqa: BLE001 - those after it are run all the same
        _log.debug("the check %s failed inside", name, exc_info=True)
        found.append(Finding(name, "unknown", f"the check itself failed ({type(error).__name__}); this is a bug"))
    return tuple(found) or (Finding(name, "unknown", "without a configuration there is nothing to look at"),)
