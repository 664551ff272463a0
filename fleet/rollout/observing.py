"""What boxes tell, held against the rollouts that they are in: nothing else makes a box committed, or failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection

from fleet.inventory.device import Device
from fleet.rollout.boxes import NOT_BACK, REFUSED, BoxState
from fleet.rollout.outcome import Offer, Outcome, outcome
from fleet.rollout.spec import RolloutSpec
from fleet.store import penalties
from fleet.store import rollouts as store
from fleet.store import wanted as wanted_store
from fleet.store.devices import Told
from fleet.store.rollout_rows import spec_of
from fleet.store.rollouts import RolloutBox

_SETTLED: tuple[BoxState, ...] = ("waiting", "superseded", "reverted", "withdrawn")
"""Boxes whose reports say nothing of this rollout, any more or yet."""

_Specs = Mapping[int, RolloutSpec]


def watch_rollouts(connection: Connection, told: Sequence[Told], known: Mapping[str, Device]) -> None:  # noqa: ARG001 - a port
    """Conclude from what boxes told (a `fleet.store.devices.Observer`)."""
    devices = {each.device.device: each.device for each in told}
    boxes = [box for box in store.active_boxes(connection, devices) if box.state not in _SETTLED]
    if not boxes:
        return
    now_ms = max(each.at_ms for each in told)
    epochs = {device: found.epoch for device, (found, _) in wanted_store.revisions(connection, devices).items()}
    specs = {rollout: spec_of(connection, rollout) for rollout in {box.rollout for box in boxes}}
    after = [_observed(box, devices[box.device], epochs.get(box.device, 0), specs, now_ms) for box in boxes]
    store.move(connection, boxes, after)
    _punish(connection, boxes, after, specs, now_ms)


def _observed(box: RolloutBox, device: Device, epoch: int, specs: _Specs, now_ms: int) -> RolloutBox:
    spec = specs[box.rollout]
    if box.state == "reverting":
        return _going_back(box, device, epoch, spec, now_ms)
    committed = box.state == "committed"
    offer = Offer(epoch, box.model_revision, spec.slot, frozenset(spec.artifacts), spec.manifest, committed)
    return _judged(box, outcome(device, offer), spec, now_ms)


def _judged(box: RolloutBox, found: Outcome, spec: RolloutSpec, now_ms: int) -> RolloutBox:
    state: BoxState = "broken" if found.hard else found.state
    if found.transient and box.attempts <= spec.retries:
        state = "waiting"
    changed_ms = now_ms if state != box.state else box.changed_ms
    return replace(box, state=state, code=found.code, reason=found.reason, changed_ms=changed_ms)


def _going_back(box: RolloutBox, device: Device, epoch: int, spec: RolloutSpec, now_ms: int) -> RolloutBox:
    """A box that is to run what it ran before; one that cannot is told again where that may help, else given up."""
    if _is_back(box, device, epoch, spec.slot):
        return replace(box, state="reverted", changed_ms=now_ms)
    manifest = "" if box.previous is None else box.previous.manifest
    found = outcome(device, Offer(epoch, box.model_revision, spec.slot, frozenset(), manifest))
    if found.state == "superseded":
        return replace(box, state="superseded", code=found.code, reason=found.reason, changed_ms=now_ms)
    if found.state != "failed":
        return box
    if found.transient and box.attempts <= spec.retries:
        return replace(box, state="failed", code=NOT_BACK, reason=found.reason, changed_ms=now_ms)
    reason = f"it could not go back to what it ran: {found.reason}"
    return replace(box, state="withdrawn", code=found.code, reason=reason, changed_ms=now_ms)


def _is_back(box: RolloutBox, device: Device, epoch: int, slot: str) -> bool:
    """Whether the box took the document that takes it back, and runs the model of it."""
    if box.previous is None or (device.epoch, device.model_revision) != (epoch, box.model_revision):
        return False
    update = device.update
    own = update is not None and (update.epoch, update.model_revision) == (epoch, box.model_revision)
    if own and update is not None:
        return update.state == "committed"
    running = device.models.get(slot)
    return running is not None and running.manifest in {None, box.previous.manifest}


def _punish(
    connection: Connection, before: Sequence[RolloutBox], after: Sequence[RolloutBox], specs: _Specs, now_ms: int
) -> None:
    """A box that failed goes to the penalty box; each failure begins it anew."""
    for rollout, spec in specs.items():
        failed = {
            new.device: f"{spec.model} {spec.version}: {new.code}"
            for old, new in zip(before, after, strict=True)
            if new.rollout == rollout and new.state in REFUSED and old.state not in (*REFUSED, "reverting")
        }
        if spec.penalty_seconds:
            penalties.punish(connection, failed, now_ms, now_ms + spec.penalty_seconds * 1000)
