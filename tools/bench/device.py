"""The machine that figures are of, in a line."""

from __future__ import annotations

import platform

from agent.facts import device_facts


def device_line() -> str:
    """Processor, cores and Python."""
    facts = device_facts()
    return f"{facts.get('cpu.model', platform.machine())}, {facts['cpu.count']} cores, Python {facts['python']}"
