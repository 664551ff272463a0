"""What the commands print of boxes: tables, or plain data for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone

from rich.console import Console
from rich.table import Table
from rich.text import Text

from contracts.desired import RunningModel
from fleet.inventory.device import Device
from fleet.inventory.fields import values
from fleet.printing import print_out
from fleet.store.devices import StoredChange, StoredDevice

_HEADINGS = ("device", "online", "last seen", "class", "version", "config", "models", "state", "update", "warnings")
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))
_NEVER = "never"


def utc(ms: int | None) -> str | None:
    """Milliseconds since 1970 as ISO 8601 in UTC."""
    if ms is None:
        return None
    return datetime.fromtimestamp(ms / 1000, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def device_document(stored: StoredDevice) -> dict[str, object]:
    """A box as plain data; ``targets`` are those that its facts allow."""
    return {
        **stored.device.model_dump(mode="json", exclude={"past_boots", "reported_boot", "reported_seq"}),
        "targets": list(values(stored.device, "target")),
        "first_heard": utc(stored.first_heard_ms),
        "last_seen": utc(stored.last_seen_ms),
    }


def change_document(stored: StoredChange) -> dict[str, object]:
    """A change as plain data."""
    return {"at": utc(stored.at_ms), **stored.change._asdict()}


def print_devices(stored: Sequence[StoredDevice], now_ms: int, console: Console | None = None) -> None:
    """Boxes as a table."""
    table = Table()
    for heading in _HEADINGS:
        table.add_column(heading, overflow="fold", no_wrap=heading == "device")
    for each in stored:
        table.add_row(*(Text(cell) for cell in _cells(each, now_ms)))
    print_out(table, console)


def device_lines(stored: StoredDevice, changes: Sequence[StoredChange], now_ms: int) -> Iterator[str]:
    """All that is known of a box, and what changed of it, newest first."""
    device = stored.device
    yield f"{device.device}: online {_one(device, 'online')}, last seen {_ago(stored.last_seen_ms, now_ms)}"
    yield from _rows(
        ("first heard", utc(stored.first_heard_ms)),
        ("status", device.status_reason),
        ("class", device.hardware_class),
        ("targets", ", ".join(values(device, "target"))),
        ("version", device.version),
        ("boot", device.boot_id),
        ("config", _config(device)),
        ("config digest", device.config_digest),
        ("model revision", None if device.model_revision is None else str(device.model_revision)),
        ("state", " ".join(part for part in (device.state, device.code, device.reason) if part)),
        ("refused", _refused(device)),
        ("update", _update(device)),
    )
    yield from (f"  model {slot}: {_model(model)}" for slot, model in device.models.items())
    yield from (f"  warning: {warning}" for warning in device.warnings)
    yield from (f"  label {name}: {value}" for name, value in device.labels.items())
    yield from (f"  fact {name}: {_fact(value)}" for name, value in device.facts.items())
    yield from (f"  artifact {one.artifact} ({one.model}): {one.refused or 'taken'}" for one in device.artifacts)
    yield from (f"  {utc(one.at_ms)} {_changed(one)}" for one in changes)


def _cells(stored: StoredDevice, now_ms: int) -> tuple[str, ...]:
    device = stored.device
    return (
        device.device,
        _one(device, "online"),
        _ago(stored.last_seen_ms, now_ms),
        device.hardware_class,
        device.version or "",
        _config(device) or "",
        "\n".join(f"{slot} {model.release or model.artifact_digest[:12]}" for slot, model in device.models.items()),
        device.state or "",
        device.update.state if device.update else "",
        ", ".join(values(device, "warning")),
    )


def _rows(*rows: tuple[str, str | None]) -> Iterator[str]:
    return (f"  {name}: {value}" for name, value in rows if value)


def _one(device: Device, name: str) -> str:
    return values(device, name)[0]


def _model(model: RunningModel) -> str:
    if model.release is None:
        return f"artifact {model.artifact_digest}"
    manifest = f", manifest {model.manifest}" if model.manifest else ""
    return f"{model.name} {model.version}, artifact {model.artifact_digest}{manifest}"


def _config(device: Device) -> str | None:
    return None if device.config_revision is None else f"{device.epoch}.{device.config_revision}"


def _update(device: Device) -> str | None:
    update = device.update
    if update is None:
        return None
    return f"attempt {update.attempt}: {update.state} {update.code or ''} {update.reason}".strip()


def _refused(device: Device) -> str | None:
    return None if device.refused is None else f"{device.refused.code}: {device.refused.reason}"


def _fact(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _changed(stored: StoredChange) -> str:
    what, before, after = stored.change
    return f"{what}: {after}" if before is None else f"{what}: {before} -> {'(gone)' if after is None else after}"


def _ago(then_ms: int | None, now_ms: int) -> str:
    if then_ms is None:
        return _NEVER
    seconds = max(0, now_ms - then_ms) // 1000
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds >= size), (1, "s"))
    return f"{seconds // size} {unit} ago"
