"""What the commands print of layers: texts, or plain data for programs; secrets are never in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from contracts.layers import leaves
from contracts.toml_lines import assignment, toml_lines
from fleet.configuration.layers import Layer
from fleet.configuration.masking import masked
from fleet.configuration.preview import Preview
from fleet.configuration.resolve import Layers, Problem, origins
from fleet.inventory.device import Device
from fleet.inventory.show import utc
from fleet.printing import print_out
from fleet.store.audit import StoredEntry
from fleet.store.layers import StoredLayer

_MOST_SHOWN = 5  # boxes that are named of those that change alike
_MOST_GROUPS = 20


def layer_document(stored: StoredLayer) -> dict[str, object]:
    """A layer as plain data."""
    layer = stored.layer
    group = {"query": str(layer.query), "rank": layer.rank} if layer.name.kind == "group" else {}
    return {
        "layer": str(layer.name),
        **group,
        "revision": stored.revision,
        "changed_at": utc(stored.changed_ms),
        "changed_by": stored.changed_by,
        "config": masked(layer.keys),
    }


def layer_text(stored: StoredLayer) -> str:
    """A layer as TOML that can be changed and handed in again."""
    layer = stored.layer
    head = [f"# layer {layer.name}, revision {stored.revision}, {utc(stored.changed_ms)} by {stored.changed_by}"]
    if layer.name.kind == "group":
        head.append(f"# query: {layer.query or 'every box'}; rank {layer.rank}")
    return "\n".join([*head, *toml_lines(masked(layer.keys), _line)])


def print_layers(stored: Sequence[StoredLayer], console: Console | None = None) -> None:
    """Layers as a table, the lowest first."""
    table = Table("layer", "query", "rank", "revision", "changed", "by", "values")
    for each in stored:
        is_group = each.layer.name.kind == "group"
        cells = (
            str(each.layer.name),
            str(each.layer.query) if is_group else "",
            str(each.layer.rank) if is_group else "",
            str(each.revision),
            utc(each.changed_ms) or "",
            each.changed_by,
            str(len(leaves(each.layer.keys))),
        )
        table.add_row(*(Text(cell) for cell in cells))
    print_out(table, console)


def preview_lines(shown: Preview) -> Iterator[str]:
    """What a change would do."""
    yield shown.sentence
    yield from (f"note: {note}" for note in shown.notes)
    for group in shown.affected[:_MOST_GROUPS]:
        yield f"{len(group.devices)} like this ({_some(group.devices)}):"
        yield from (f"  {difference}" for difference in group.difference)
    for trouble in shown.broken[:_MOST_GROUPS]:
        yield f"problem of {len(trouble.devices)} ({_some(trouble.devices)}): {trouble.problem}"
    left_out = max(0, len(shown.affected) - _MOST_GROUPS) + max(0, len(shown.broken) - _MOST_GROUPS)
    if left_out:
        yield f"and {left_out} further kinds of change or problem; --json has them all"


def preview_document(shown: Preview) -> dict[str, object]:
    """What a change would do, as plain data."""
    return {
        "devices": shown.devices,
        "changed": shown.changed,
        "affected": [
            {"difference": [one._asdict() for one in group.difference], "devices": list(group.devices)}
            for group in shown.affected
        ],
        "broken": [{"problem": trouble.problem, "devices": list(trouble.devices)} for trouble in shown.broken],
        "mended": list(shown.mended),
        "still_broken": shown.still_broken,
        "notes": list(shown.notes),
    }


def resolved_document(device: Device, layers: Sequence[Layer]) -> dict[str, object]:
    """What a box should be configured as, and which layer each value is from."""
    every = Layers(layers)
    own = every.of(device)
    found = every.merged(own).resolve(device)
    names = [str(layer.name) for layer in own]
    if isinstance(found, Problem):
        return {"device": device.device, "layers": names, "problem": found.text, "config": None, "values": {}}
    config: Mapping[str, object] = masked(json.loads(found.config))
    values, sources = leaves(config), origins(own)
    rows = {".".join(path): {"value": values[path], "layer": str(sources[path])} for path in sorted(values)}
    return {"device": device.device, "layers": names, "problem": None, "config": config, "values": rows}


def resolved_lines(document: Mapping[str, object]) -> Iterator[str]:
    """What `resolved_document` made, a value a line."""
    names, rows = document["layers"], document["values"]
    assert isinstance(names, list)
    assert isinstance(rows, dict)
    yield f"{document['device']}: {' < '.join(names) or 'no layer is for it'}"
    if document["problem"] is not None:
        yield f"problem: {document['problem']}"
    widths = [
        max((len(text) for text in texts), default=0) for texts in (rows, [row["layer"] for row in rows.values()])
    ]
    for path, row in rows.items():
        value = json.dumps(row["value"], ensure_ascii=False)
        yield f"{path:<{widths[0]}}  {row['layer']:<{widths[1]}}  {value}"


def entry_document(stored: StoredEntry) -> dict[str, object]:
    """An entry of the audit log as plain data."""
    entry = stored.entry
    return {
        "id": stored.id,
        "at": utc(entry.at_ms),
        "who": entry.author.who,
        "via": entry.author.via,
        "action": entry.action,
        "subject": entry.subject,
        "summary": entry.summary,
        "diff": entry.diff,
    }


def entry_lines(stored: StoredEntry) -> Iterator[str]:
    """An entry of the audit log, and its difference below."""
    entry = stored.entry
    who = f"{entry.author.who} ({entry.author.via})"
    yield f"{utc(entry.at_ms)}  {who}  {entry.action}  {entry.subject}: {entry.summary}"
    yield from (f"    {line}" for line in entry.diff.splitlines())


def _some(devices: Sequence[str]) -> str:
    more = f" and {len(devices) - _MOST_SHOWN} more" if len(devices) > _MOST_SHOWN else ""
    return ", ".join(devices[:_MOST_SHOWN]) + more


def _line(key: str, value: object) -> str:
    # TOML has no null.
    return (
        f"# {key} = null: unset, whatever a lower layer says; as JSON only" if value is None else assignment(key, value)
    )
