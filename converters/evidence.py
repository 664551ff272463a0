"""How far an artifact was proven on this host."""

from __future__ import annotations

from contracts.facts import Requirement
from contracts.manifest import Evidence
from runtime.environment import host_facts

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
