"""What a box should run, as people see it, beside what it runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fleet.inventory.device import Device
from fleet.inventory.show import utc
from fleet.rollout.amounts import show_duration
from fleet.store import penalties, stale
from fleet.store import rollouts as rollout_store
from fleet.store import wanted as store
from fleet.store.database import Database
from fleet.store.rollouts import RolloutBox
from fleet.wanted.rules import Standing, Wanted, standing

_ROLLOUTS = 5


@dataclass(frozen=True)
class WantedView:
    """What a box should run.

    Args:
        wanted: its document; None where nothing is wanted of it.
        stands: how what it runs stands to that, as far as it told; None where nothing is wanted.
        is_stale: whether it is about to be worked out anew.
        penalty: why no rollout takes it now; None where one may.
        rollouts: that it is in, newest first.
    """

    wanted: Wanted | None
    stands: Standing | None
    is_stale: bool
    penalty: str | None
    rollouts: tuple[RolloutBox, ...]


def view(database: Database, device: Device, now_ms: int) -> WantedView:
    """What a box should run.

    Raises:
        DatabaseError: it cannot be read.
    """
    name = device.device
    with database.reading() as connection:
        wanted = store.load(connection, [name]).get(name)
        return WantedView(
            wanted,
            None if wanted is None else "ahead" if wanted.ahead else standing(device, wanted.revisions),
            stale.is_stale(connection, name),
            penalties.reason(connection, name, now_ms),
            tuple(rollout_store.of_device(connection, name, _ROLLOUTS)),
        )


def document(found: WantedView) -> dict[str, object]:
    """The same as plain data, without the configuration, which holds secrets."""
    wanted = found.wanted
    return {
        "wanted": None
        if wanted is None
        else {
            **wanted.revisions._asdict(),
            "models": {slot: model.model_dump(mode="json") for slot, model in wanted.models.items()},
            "problem": wanted.problem,
            "waits_since": utc(wanted.waits_ms),
            "expires": utc(wanted.expires_ms),
        },
        "stands": found.stands,
        "is_stale": found.is_stale,
        "penalty": found.penalty,
        "rollouts": [
            {"rollout": box.rollout, "state": box.state, "wave": box.wave, "code": box.code, "reason": box.reason}
            for box in found.rollouts
        ],
    }


def lines(found: WantedView, now_ms: int) -> Iterator[str]:
    """The same, a line each."""
    wanted = found.wanted
    if wanted is not None:
        models = ", ".join(f"{slot}: {model.name} {model.version}" for slot, model in sorted(wanted.models.items()))
        revisions = f"epoch {wanted.epoch}, configuration {wanted.config_revision}, models {wanted.model_revision}"
        yield f"should run: {revisions}{f' ({models})' if models else ''}; it is {_STANDS[found.stands or 'same']}"
        if wanted.problem:
            yield f"problem: {wanted.problem}"
        if wanted.waits_ms is not None:
            waited = show_duration((now_ms - wanted.waits_ms) / 1000)
            yield f"its document waits for the broker since {waited}; does `edgetally-fleet serve` run?"
    if found.penalty:
        yield f"in the penalty box: {found.penalty}"
    for box in found.rollouts:
        why = ": ".join(part for part in (box.code, box.reason) if part)
        yield f"rollout {box.rollout}: {box.state}{f' ({why})' if why else ''}"


_STANDS: dict[Standing, str] = {
    "same": "there",
    "behind": "not there yet",
    "ahead": "ahead: see `edgetally-fleet database restored --help`",
}
