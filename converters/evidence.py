"""How far an artifact was proven on this host, and what this host is called."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from contracts.facts import Facts, Requirement
from contracts.manifest import Evidence

_FIXED = frozenset({"arch", "os", "device"})  # facts that another device differs in; versions it may share


def evidence_of(requires: tuple[Requirement, ...]) -> Evidence:
    """``measured`` where this host is of the target's own kind, ``emulated`` where its artifact ran on another.

    The parity figures of an artifact were taken on this host through the very backend that the device uses. On a host
    of the target's architecture that is a measurement, and the manifest names the host; elsewhere (the Arm artifact on
    an x86 host) the same file ran, but with other kernels. Speed is not meant: only a benchmark tells.
    """
    facts = host_facts()
    fits = all(requirement.refusal(facts) is None for requirement in requires if requirement.fact in _FIXED)
    return "measured" if fits else "emulated"


def host_facts() -> Facts:
    """What this host is, as far as evidence asks."""
    return {"arch": platform.machine(), "os": platform.system().lower()}


def host_name() -> str:
    """What this host is called in a manifest: processor and number of its cores, not its network name."""
    return f"{_processor()}, {os.cpu_count()} CPUs"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
