"""How the boxes of a rollout stand now, by hardware class and wave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import reduce

from sqlalchemy import Connection

from fleet.rollout.boxes import BoxState
from fleet.rollout.gate import Counts, standing
from fleet.store import rollouts as store
from fleet.store import settings
from fleet.store.rollouts import Rollout
from fleet.store.settings import Listening

Waves = Mapping[int, Counts]
"""Wave to how its boxes stand."""


def standings(connection: Connection, rollout: Rollout, now_ms: int) -> dict[str, Waves]:
    """By hardware class."""
    found: dict[str, dict[int, Counts]] = {}
    for at, n in store.tally(connection, rollout.id).items():
        _add(found, at.hardware_class, at.wave, _counts(at.state, n))
    # Where nobody listens, or lags behind, a box that says nothing is not silent.
    heard = settings.listening(connection) or Listening(now_ms, now_ms)
    until_ms = min(now_ms, heard.until_ms)
    unfinished: Counter[tuple[str, int, str]] = Counter()
    for hardware_class, wave, offered_ms, seen_ms, online in store.offered(connection, rollout.id):
        stands = standing(offered_ms, seen_ms, rollout.spec, until_ms, online=online, listening_since_ms=heard.since_ms)
        unfinished[hardware_class, wave, stands] += 1
    for (hardware_class, wave, how), n in unfinished.items():
        _add(found, hardware_class, wave, Counts(**{how: n}))
    return dict(found)


def until(waves: Waves, wave: int) -> Counts:
    """How the boxes of the waves up to one stand together."""
    return together(counts for number, counts in waves.items() if number <= wave)


def together(counts: Iterable[Counts]) -> Counts:
    """Their sum."""
    return reduce(Counts.__add__, counts, Counts())


def _add(found: dict[str, dict[int, Counts]], hardware_class: str, wave: int, counts: Counts) -> None:
    waves = found.setdefault(hardware_class, {})
    waves[wave] = waves.get(wave, Counts()) + counts


def _counts(state: BoxState, n: int) -> Counts:
    """How boxes of a state enter a gate; those that came to no end are told apart by the time."""
    if state == "broken":
        return Counts(failed=n, hard=n)
    return Counts(**{state: n}) if state in {"committed", "failed", "waiting"} else Counts()
