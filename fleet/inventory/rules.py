"""What a message changes of what is known of its box.

Messages are ordered by boots and, within one, by their arrival. A boot that nothing was heard of before is the newest;
from then on what comes of the boots before it is late and changes nothing: a will of a connection that is long gone, a
message that the broker held back, one that somebody repeats. Within a boot reports count up, and so do attempts to
change the models.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import singledispatch
from itertools import islice

from contracts.desired import Reported, RunningModel
from contracts.facts import FactValue
from contracts.health import Health
from contracts.messages import FactsMessage, Hello, Status
from fleet.inventory.device import Change, Device
from fleet.inventory.hardware_class import hardware_class
from fleet.inventory.reading import Message, clean

_BOOTS_REMEMBERED = 32
_MOST_WARNINGS = 32


def after(device: Device, message: Message) -> Device | None:
    """What is known once the message came; None where it came too late. The same message again changes nothing."""
    if isinstance(message, Status | Hello | Reported):
        if message.boot_id in device.past_boots:
            return None
        device = _in_boot(device, message.boot_id)
    return _told(message, device)


def changes(before: Device, now: Device) -> list[Change]:
    """What is worth remembering of the difference; progress and wordings are not."""
    old, new = dict(_facets(before, now)), dict(_facets(now, before))
    names = [*old, *(name for name in new if name not in old)]
    return [Change(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)]


def _in_boot(device: Device, boot_id: str) -> Device:
    if device.boot_id in {None, boot_id}:
        return device.model_copy(update={"boot_id": boot_id})
    past = (device.boot_id, *device.past_boots)[:_BOOTS_REMEMBERED]
    return device.model_copy(update={"boot_id": boot_id, "past_boots": past})


@singledispatch
def _told(message: Message, _device: Device) -> Device | None:
    raise TypeError(f"no rule for {type(message).__name__}")


@_told.register
def _status(message: Status, device: Device) -> Device | None:
    return device.model_copy(update={"online": message.status == "online", "status_reason": message.reason})


@_told.register
def _hello(message: Hello, device: Device) -> Device | None:
    models = {slot: _running(device, slot, digest) for slot, digest in message.models.items()}
    return device.model_copy(
        update={
            "version": message.version,
            "epoch": message.epoch,
            "config_revision": message.config_revision,
            "model_revision": message.model_revision,
            "models": models,
        }
    )


def _running(device: Device, slot: str, digest: str) -> RunningModel:
    """What a slot runs; a hello tells the artifact alone, so what a report told of the same one stays."""
    known = device.models.get(slot)
    return known if known is not None and known.artifact_digest == digest else RunningModel(artifact_digest=digest)


@_told.register
def _facts(message: FactsMessage, device: Device) -> Device | None:
    facts: dict[str, FactValue] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in message.facts.items()
    }
    return device.model_copy(
        update={
            "labels": message.labels,
            "facts": facts,
            "hardware_class": hardware_class(facts),
            "artifacts": tuple(message.artifacts),
        }
    )


@_told.register
def _reported(message: Reported, device: Device) -> Device | None:
    if device.reported_boot == message.boot_id and _is_older(message, device):
        return None
    names = ("epoch", "config_revision", "config_digest", "model_revision", "models", "state", "code", "reason")
    told = {name: getattr(message, name) for name in (*names, "refused", "update")}
    return device.model_copy(update={**told, "reported_boot": message.boot_id, "reported_seq": message.seq})


def _is_older(message: Reported, device: Device) -> bool:
    """Whether a report is of before the one that is known of the same boot; an agent that numbers none has attempts."""
    if message.seq is not None and device.reported_seq is not None and message.seq < device.reported_seq:
        return True
    update, known = message.update, device.update
    return update is not None and known is not None and update.attempt < known.attempt


@_told.register
def _health(message: Health, device: Device) -> Device | None:
    drift = islice(_drift_warnings(message), _MOST_WARNINGS)
    told = {
        "drift_warnings": tuple(drift),
        "update_problems": message.update_problems[:_MOST_WARNINGS],
        "config_problems": tuple(map(clean, message.config_problems[:_MOST_WARNINGS])),
    }
    return device.model_copy(update=told)


def _drift_warnings(message: Health) -> Iterator[str]:
    for camera, health in sorted(message.cameras.items()):
        for warning in health.drift.warnings if health.drift else ():
            yield clean(f"{camera}: {warning}")


def _facets(device: Device, other: Device) -> Iterator[tuple[str, str | None]]:
    """What changes are remembered of, as texts; tables that are the same in both are left out, as most always are."""
    yield "boot_id", device.boot_id
    yield "online", None if device.online is None else "yes" if device.online else f"no: {device.status_reason}"
    yield "version", device.version
    yield "class", device.hardware_class
    yield "config", None if device.config_revision is None else f"{device.epoch}.{device.config_revision}"
    yield "config_digest", device.config_digest
    yield "model_revision", None if device.model_revision is None else str(device.model_revision)
    yield "state", None if device.state is None else f"{device.state} ({device.code})" if device.code else device.state
    if device.refused is not None:
        yield "refused", f"{device.refused.epoch}.{device.refused.config_revision} ({device.refused.code})"
    if device.update is not None:
        yield "update", f"attempt {device.update.attempt}: {device.update.state} ({device.update.code or 'goes on'})"
    yield "drift_warnings", str(len(device.drift_warnings)) if device.drift_warnings else None
    yield "update_problems", str(len(device.update_problems)) if device.update_problems else None
    yield "config_problems", str(len(device.config_problems)) if device.config_problems else None
    yield from ((f"model.{slot}", _model(model)) for slot, model in device.models.items())
    if device.labels != other.labels:
        yield from ((f"label.{name}", value) for name, value in device.labels.items())
    if device.facts != other.facts:
        yield from ((f"fact.{name}", _fact(value)) for name, value in device.facts.items())


def _model(model: RunningModel) -> str:
    return model.artifact_digest if model.release is None else f"{model.release} ({model.artifact_digest})"


def _fact(value: FactValue) -> str:
    return clean(", ".join(value) if isinstance(value, tuple) else str(value))
