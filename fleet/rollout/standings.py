"""How the boxes of a rollout stand now, by hardware class and wave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import reduce

from sqlalchemy import Connection

from fleet.rollout.boxes import REFUSED, BoxState
from fleet.rollout.gate import Counts, Standing, standing
from fleet.store import rollout_rows, settings
from fleet.store import rollouts as store
from fleet.store.rollouts import Offered, Rollout
from fleet.store.settings import Listening

Waves = Mapping[int, Counts]
"""Wave to how its boxes stand."""


def standings(connection: Connection, rollout: Rollout, now_ms: int) -> dict[str, Waves]:
    """By hardware class."""
    found: dict[str, dict[int, Counts]] = {}
    forgiven = rollout_rows.forgiven(connection, rollout.id)
    held = rollout_rows.held(connection, rollout.id, now_ms)
    for at, n in store.tally(connection, rollout.id).items():
        _add(found, at.hardware_class, at.wave, _counts(at.state, n, forgiven[at], held[at]))
    # Where nobody listens, or lags behind, a box that says nothing is not silent.
    heard = _heard(connection, now_ms)
    for (hardware_class, wave, how, accepted), n in Counter(_unfinished(connection, rollout, heard, now_ms)).items():
        forgives = {"forgiven_silent": n} if how == "silent" and accepted else {}
        _add(found, hardware_class, wave, Counts(**{how: n}, **forgives))
    return dict(found)


def silent(connection: Connection, rollout: Rollout, hardware_class: str, wave: int, now_ms: int) -> list[str]:
    """Boxes of a class and its waves up to one that are silent."""
    heard = _heard(connection, now_ms)
    offered = store.offered(connection, rollout.id)
    mine = (one for one in offered if one.hardware_class == hardware_class and one.wave <= wave)
    return [one.device for one in mine if _stands(one, rollout, heard, now_ms) == "silent"]


def until(waves: Waves, wave: int) -> Counts:
    """How the boxes of the waves up to one stand together."""
    return together(counts for number, counts in waves.items() if number <= wave)


def together(counts: Iterable[Counts]) -> Counts:
    """Their sum."""
    return reduce(Counts.__add__, counts, Counts())


def _add(found: dict[str, dict[int, Counts]], hardware_class: str, wave: int, counts: Counts) -> None:
    waves = found.setdefault(hardware_class, {})
    waves[wave] = waves.get(wave, Counts()) + counts


def _heard(connection: Connection, now_ms: int) -> Listening:
    return settings.listening(connection) or Listening(now_ms, now_ms)


def _unfinished(
    connection: Connection, rollout: Rollout, heard: Listening, now_ms: int
) -> Iterator[tuple[str, int, Standing, bool]]:
    for one in store.offered(connection, rollout.id):
        yield one.hardware_class, one.wave, _stands(one, rollout, heard, now_ms), one.forgiven


def _stands(one: Offered, rollout: Rollout, heard: Listening, now_ms: int) -> Standing:
    until_ms, since_ms = min(now_ms, heard.until_ms), heard.since_ms
    return standing(
        one.offered_ms, one.last_seen_ms, rollout.spec, until_ms, online=one.online, listening_since_ms=since_ms
    )


def _counts(state: BoxState, n: int, forgiven: int, held: int) -> Counts:
    """How boxes of a state enter a gate; those that came to no end are told apart by the time."""
    if state == "waiting":
        return Counts(waiting=n - held, held=held)
    if state in REFUSED:
        return Counts(failed=n, hard=n - forgiven if state == "broken" else 0, forgiven_failed=forgiven)
    return Counts(committed=n) if state == "committed" else Counts()
