"""Power of x86 processors by their energy counters (Linux: Documentation/power/powercap/powercap.rst).

The kernel lets only root read them, unless the system's administrator opens them.
"""

from __future__ import annotations

from pathlib import Path

from agent.telemetry.reading import Differences, Reading
from agent.telemetry.sysfs import apart, found, name, scaled

_MICRO = 1e-6


class Rapl:
    """All power domains.

    Args:
        domains: folders by name.
    """

    def __init__(self, domains: list[tuple[str, Path]]) -> None:
        self._domains = list(apart(domains))
        self._differences = Differences()

    @classmethod
    def find(cls, root: Path) -> Rapl | None:
        """Those of a box; None where it has none."""
        domains = [(_name(path), path) for path in found(root, "sys/class/powercap/intel-rapl:*")]
        return cls(domains) if domains else None

    def read(self, now: float) -> Reading:
        """See `Reader.read`. A counter that overflowed tells nothing this once."""
        rises = {
            word: self._differences.rise(word, scaled(path / "energy_uj", _MICRO), now) for word, path in self._domains
        }
        return Reading(watts={word: round(rise[0] / rise[1], 3) for word, rise in rises.items() if rise is not None})


def _name(domain: Path) -> str:
    """``package-0``, ``package-0:core``: ``intel-rapl:0:1`` lies within ``intel-rapl:0``."""
    above, _, part = domain.name.rpartition(":")
    own = name(domain / "name", domain.name)
    return f"{name(domain.with_name(above) / 'name', above)}:{own}" if part and above.count(":") else own
