"""What the commands print of rollouts and plans."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fleet.inventory.show import utc
from fleet.rollout.amounts import show_duration
from fleet.rollout.creating import Planned
from fleet.rollout.gate import Counts
from fleet.rollout.view import ClassView, RolloutView
from fleet.store.rollout_events import RolloutEvent
from fleet.store.rollouts import Rollout, RolloutBox

_NUMBERS = ("committed", "failed", "silent", "pending", "unreached", "waiting")
_STYLES = {
    "halted": "bold red",
    "reverting": "bold yellow",
    "reverted": "yellow",
    "passed": "green",
    "completed": "green",
    "soaking": "cyan",
    "open": "cyan",
    "running": "cyan",
}
_EVENTS_SHOWN = 8


def plan_table(planned: Planned) -> Table:
    """A plan: what each wave of each class adds, and what it proves."""
    table = Table("class", "wave", "boxes", "in all", "offline", "what it proves where none of them fails")
    for each in planned.plan.classes:
        for wave in each.waves:
            numbers = (str(wave.wave + 1), str(len(wave.boxes)), str(wave.cumulated), str(wave.offline))
            table.add_row(Text(each.hardware_class), *numbers, wave.proves)
    return table


def plan_document(planned: Planned) -> dict[str, object]:
    """A plan as plain data."""
    return {
        "boxes": planned.boxes,
        "classes": [asdict(each) for each in planned.plan.classes],
        "left_out": [asdict(each) for each in planned.plan.left_out],
        "in_other_rollouts": {str(number): list(boxes) for number, boxes in planned.busy.items()},
        "coverage": dict(planned.plan.coverage),
        "notes": list(planned.notes),
    }


def rollouts_table(rollouts: Sequence[Rollout]) -> Table:
    """Rollouts, a line each."""
    table = Table("rollout", "release", "state", "boxes of", "by", "made", "why")
    for each in rollouts:
        release = f"{each.spec.model} {each.spec.version}"
        state = Text(each.state, style=_STYLES.get(each.state, ""))
        made = (utc(each.created_ms) or "")[:16]
        table.add_row(str(each.id), release, state, Text(each.spec.query or "all"), each.created_by, made, each.reason)
    return table


def rollout_document(rollout: Rollout) -> dict[str, object]:
    """A rollout as plain data, without its boxes."""
    return {
        "id": rollout.id,
        "spec": rollout.spec.model_dump(mode="json"),
        "state": rollout.state,
        "reason": rollout.reason,
        "revision": rollout.revision,
        "created": utc(rollout.created_ms),
        "created_by": rollout.created_by,
        "ended": utc(rollout.ended_ms),
    }


def view_document(view: RolloutView) -> dict[str, object]:
    """A rollout with its classes and what happened, as plain data."""
    return {
        **rollout_document(view.rollout),
        "boxes": view.boxes,
        "committed": view.committed,
        "actions": list(view.actions),
        "classes": [
            {
                **asdict(each.stored),
                "opened": utc(each.stored.opened_ms),
                "forgiven": each.forgiven,
                "boxes": each.boxes,
                "counts": asdict(each.opened),
                "out": dict(each.out),
                "waves": [{"wave": wave.wave, "counts": asdict(wave.counts)} for wave in each.waves],
            }
            for each in view.classes
        ],
        "events": [event_document(each) for each in view.events],
    }


def event_document(event: RolloutEvent) -> dict[str, object]:
    """Something that happened, as plain data."""
    plain = {"class": event.hardware_class, "what": event.what, "detail": event.detail}
    return {"at": utc(event.at_ms), **plain}


def box_document(box: RolloutBox) -> dict[str, object]:
    """A box of a rollout as plain data."""
    plain = asdict(box)
    previous = None if box.previous is None else box.previous.model_dump(mode="json")
    times = {"offered": utc(plain.pop("offered_ms")), "changed": utc(plain.pop("changed_ms"))}
    return {**plain, **times, "previous": previous}


def boxes_table(boxes: Sequence[RolloutBox]) -> Table:
    """Boxes of a rollout."""
    table = Table("box", "class", "wave", "state", "offers", "changed", "why")
    for box in boxes:
        why = ": ".join(part for part in (box.code, box.reason) if part)
        changed = (utc(box.changed_ms) or "")[:19]
        numbers = (str(box.wave + 1), Text(box.state), str(box.attempts), changed)
        table.add_row(Text(box.device), Text(box.hardware_class), *numbers, Text(why))
    return table


def rollout_screen(view: RolloutView, now_ms: int) -> RenderableType:
    """A rollout as it is watched: its classes with their waves and gates, and what happened last."""
    rollout = view.rollout
    head = Text.assemble(
        f"rollout {rollout.id}: {rollout.spec.model} {rollout.spec.version}, ",
        (rollout.state, _STYLES.get(rollout.state, "")),
        f", {view.how_far}",
    )
    can = [Text(f"you can: {', '.join(view.actions)}", style="dim")] if view.actions else []
    numbers = [_numbers(each) for each in view.classes]
    # Columns of nothing but nothing would leave a terminal of 80 characters no room for the others.
    shown = [name for name in _NUMBERS if name == "committed" or any(one[name] for one in numbers)]
    table = Table("class", "state", "wave", "", *shown)
    for each, of_it in zip(view.classes, numbers, strict=True):
        table.add_row(*_class_cells(view, each), *(str(of_it[name] or "") for name in shown))
    gates = [_gate(each, now_ms) for each in view.classes]
    lines = [Text(line, style="dim") for line in event_lines(view.events[:_EVENTS_SHOWN])]
    return Group(head, *([Text(rollout.reason)] if rollout.reason else []), table, *gates, *lines, *can)


def event_lines(events: Sequence[RolloutEvent]) -> Iterator[str]:
    """What happened, a line each."""
    for each in events:
        where = each.hardware_class or "all"
        yield f"{(utc(each.at_ms) or '')[:19]}Z  {where}: {each.what}{f' - {each.detail}' if each.detail else ''}"


def _numbers(each: ClassView) -> dict[str, int]:
    """How the boxes of its open waves stand; those that wait, of all waves."""
    return {name: getattr(each.every if name == "waiting" else each.opened, name) for name in _NUMBERS}


def _class_cells(view: RolloutView, each: ClassView) -> Iterator[RenderableType]:
    stored = each.stored
    yield Text(stored.hardware_class)
    yield Text(stored.state, style=_STYLES.get(stored.state, ""))
    yield f"{stored.wave + 1} of {len(view.rollout.spec.waves)}"
    yield _bar(each)


def _gate(each: ClassView, now_ms: int) -> Text:
    """What the gate of a class says."""
    stored = each.stored
    since = "" if stored.opened_ms is None else f" (open for {show_duration((now_ms - stored.opened_ms) / 1000)})"
    others = [*sorted(each.out.items()), ("held", each.every.held), ("accepted by a person", each.forgiven)]
    out = ", ".join(f"{n} {state}" for state, n in others if n)
    told = stored.reason + (since if stored.state in {"open", "soaking"} else "")
    return Text(f"{stored.hardware_class}: " + ("; ".join(part for part in (told, out) if part) or "not begun"))


def _bar(each: ClassView, width: int = 20) -> Text:
    """Of all boxes of a class: committed, failed or silent, under way."""
    counts: Counts = each.opened
    of = max(1, each.boxes)
    parts = ((counts.committed, "green"), (counts.failed + counts.silent, "red"), (counts.pending, "cyan"))
    bar = Text()
    used = 0
    for number, style in parts:
        length = min(width - used, round(width * number / of) or (1 if number else 0))
        bar.append("━" * length, style=style)
        used += length
    bar.append("─" * (width - used), style="dim")
    return bar
