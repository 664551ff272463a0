"""Intel's graphics: clock, time awake and what slows them (i915: gt/gtN since Linux 5.18; xe: tileN/gtN)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.telemetry.reading import Differences, Reading
from agent.telemetry.sysfs import found, integer, scaled, text
from contracts.health import Accelerator

_INTEL = "0x8086"
_MILLI = 1e-3
_POWER_LIMITS = ("pl1", "pl2", "pl4", "fast_vmode")


@dataclass(frozen=True)
class _Engine:
    """A graphics engine of a card, and where its files lie.

    Args:
        name: ``card0:gt0``.
        clock: MHz.
        idle: milliseconds asleep, counted.
        reasons: files that hold 1 while they slow it down, by what they stand for.
    """

    name: str
    clock: Path
    idle: Path
    reasons: Mapping[str, Path]


class IntelGpu:
    """All engines of all cards.

    Args:
        engines: where they lie.
    """

    def __init__(self, engines: list[_Engine]) -> None:
        self._engines = engines
        self._differences = Differences()

    @classmethod
    def find(cls, root: Path) -> IntelGpu | None:
        """Those of a box; None where it has none."""
        cards = [card for card in found(root, "sys/class/drm/card*") if text(card / "device/vendor").strip() == _INTEL]
        engines = [engine for card in cards for engine in (*_of_i915(card), *_of_xe(card))]
        return cls(engines) if engines else None

    def read(self, now: float) -> Reading:
        """See `Reader.read`."""
        accelerators: dict[str, Accelerator] = {}
        holds: dict[str, bool] = {}
        for engine in self._engines:
            asleep = self._differences.share(engine.name, scaled(engine.idle, _MILLI), now)
            load, clock = None if asleep is None else round(1 - asleep, 3), scaled(engine.clock, 1.0)
            if load is not None or clock is not None:
                accelerators[engine.name] = Accelerator(load=load, mhz=clock)
            states = {reason: integer(path) for reason, path in engine.reasons.items()}
            holds |= {f"{engine.name}:{reason}": state > 0 for reason, state in states.items() if state is not None}
        return Reading(
            accelerators=accelerators,
            throttles={reason: held for reason, held in holds.items() if not reason.endswith(_POWER_LIMITS)},
            caps={reason: held for reason, held in holds.items() if reason.endswith(_POWER_LIMITS)},
        )


def _of_i915(card: Path) -> list[_Engine]:
    prefix = "throttle_reason_"
    return [
        _Engine(
            name=f"{card.name}:{engine.name}",
            clock=engine / "rps_act_freq_mhz",
            idle=engine / "rc6_residency_ms",
            reasons=_reasons(found(engine, f"{prefix}*"), prefix),
        )
        for engine in found(card, "gt/gt[0-9]*")
    ]


def _of_xe(card: Path) -> list[_Engine]:
    prefix = "reason_"
    return [
        _Engine(
            name=f"{card.name}:{engine.name}",
            clock=engine / "freq0/act_freq",
            idle=engine / "gtidle/idle_residency_ms",
            reasons=_reasons(found(engine, f"freq0/throttle/{prefix}*"), prefix),
        )
        for engine in found(card, "device/tile[0-9]*/gt[0-9]*")
    ]


def _reasons(paths: list[Path], prefix: str) -> dict[str, Path]:
    """Without ``status``, which is whether any of the others holds."""
    named = {path.name.removeprefix(prefix): path for path in paths}
    return {reason: path for reason, path in named.items() if reason != "status"}
