"""What pages and API show of boxes, counts and the audit log; both ask the same functions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from contracts.errors import WrittenError, did_you_mean
from fleet.console.console import Console
from fleet.console.documents import (
    AuditAnswer,
    AuditPage,
    ChangeAnswer,
    ClassCount,
    CountAnswer,
    DeviceAnswer,
    DevicePage,
    DeviceSummary,
    Overview,
)
from fleet.console.errors import Refused
from fleet.inventory.box_state import BOX_STATES, BoxState, box_state
from fleet.inventory.fields import select, values
from fleet.inventory.query import QueryError
from fleet.inventory.show import utc
from fleet.store.audit import StoredEntry
from fleet.store.count_reports import BUCKET_MS
from fleet.store.counts import CameraCount, merged
from fleet.store.devices import StoredDevice

LONGEST_QUERY = 1_000  # characters
LONGEST_COUNTS_MS = 32 * 86_400_000

_WORD = re.compile(r"[a-z0-9_-]+")


def chosen(console: Console, text: str) -> Sequence[StoredDevice]:
    """The boxes that a query means; a bare word means those whose id holds it.

    Raises:
        QueryError: it cannot be read, or names what no box has.
    """
    stored = console.known.all()
    text = text.strip()
    if not text:
        return stored
    if len(text) > LONGEST_QUERY:
        raise QueryError(text[:40], LONGEST_QUERY, f"expected at most {LONGEST_QUERY} characters, {len(text)} came")
    if _WORD.fullmatch(text):
        return [each for each in stored if text in each.device.device]
    by_id = {each.device.device: each for each in stored}
    return [by_id[device.device] for device in select(text, [each.device for each in stored])]


def only(stored: Sequence[StoredDevice], state: BoxState | None) -> Sequence[StoredDevice]:
    """Those that are so; all where None."""
    return stored if state is None else [each for each in stored if health(each) == state]


def health(stored: StoredDevice) -> BoxState:
    """How a box is."""
    return box_state(stored.device, stored.last_seen_ms)


def overview(stored: Iterable[StoredDevice]) -> Overview:
    """Boxes, counted."""
    each = Counter((one.device.hardware_class, health(one), one.device.version or "") for one in stored)
    states, versions = Counter[BoxState](), Counter[str]()
    classes: dict[str, Counter[BoxState]] = {}
    for (hardware_class, state, version), n in each.items():
        states[state] += n
        versions[version] += n
        classes.setdefault(hardware_class, Counter())[state] += n
    return Overview(
        total=states.total(),
        states=_all_states(states),
        classes=[
            ClassCount(hardware_class=name, total=of_it.total(), states=_all_states(of_it))
            for name, of_it in sorted(classes.items())
        ],
        versions=dict(sorted(versions.items())),
    )


def devices(console: Console, query: str, limit: int, after: str = "", state: BoxState | None = None) -> DevicePage:
    """A page of the boxes that a query means.

    Raises:
        QueryError: the query cannot be read.
    """
    every = only(chosen(console, query), state)
    rest = [each for each in every if each.device.device > after]
    page = rest[:limit]
    more = page[-1].device.device if len(rest) > limit else None
    return DevicePage(total=len(every), devices=[_summary(each) for each in page], next=more)


def device(console: Console, name: str) -> DeviceAnswer:
    """All that is known of a box.

    Raises:
        Refused: it is not known.
    """
    stored = console.devices.get(name)
    if stored is None:
        near = did_you_mean(name[:64], (each.device.device for each in console.known.all()))
        raise Refused(404, "not_found", f"no box {name[:64]!r} is known{near}")
    return DeviceAnswer(
        **dict(stored.device),
        health=health(stored),
        targets=list(values(stored.device, "target")),
        first_heard=utc(stored.first_heard_ms) or "",
        last_seen=utc(stored.last_seen_ms),
    )


def changes(console: Console, name: str, limit: int) -> list[ChangeAnswer]:
    """What changed of a box, newest first; none of one that is not known."""
    return [
        ChangeAnswer(at=utc(one.at_ms) or "", what=one.change.what, before=one.change.before, after=one.change.after)
        for one in console.devices.changes(name, limit)
    ]


def counts(
    console: Console, name: str, start_ms: int, end_ms: int, step_ms: int = BUCKET_MS, camera: str | None = None
) -> list[CameraCount]:
    """What a box counted, by camera and time.

    Args:
        console: that is asked.
        name: of the box.
        start_ms: from when on, milliseconds since 1970.
        end_ms: until before when.
        step_ms: what a row is of; a multiple of five minutes.
        camera: only this one.

    Raises:
        WrittenError: the time is too long or ends before it begins, or the step is none.
    """
    if not 0 < end_ms - start_ms <= LONGEST_COUNTS_MS:
        raise WrittenError("'from' should be before 'to', and by at most 32 days")
    if step_ms <= 0 or step_ms % BUCKET_MS:
        raise WrittenError("'step' should be a multiple of 5 minutes")
    return merged(console.counts.of(name, start_ms, end_ms, camera), step_ms)


def count_answer(count: CameraCount) -> CountAnswer:
    """A row of counts as it is answered."""
    return CountAnswer(
        camera=count.camera,
        start=utc(count.start_ms) or "",
        observed_seconds=count.observed_seconds,
        level=count.level,
        crossings_in=count.crossings_in,
        crossings_out=count.crossings_out,
    )


def audit(console: Console, limit: int, before: int | None = None, subject: str | None = None) -> AuditPage:
    """Entries of the audit log, newest first."""
    found = console.audit.newest(limit + 1, before=before, subject=subject)
    more = found[limit - 1].id if len(found) > limit else None
    return AuditPage(entries=[_entry(one) for one in found[:limit]], next=more)


def _entry(stored: StoredEntry) -> AuditAnswer:
    entry = stored.entry
    return AuditAnswer(
        id=stored.id,
        at=utc(entry.at_ms) or "",
        who=entry.author.who,
        via=entry.author.via,
        action=entry.action,
        subject=entry.subject,
        summary=entry.summary,
        diff=entry.diff,
    )


def _summary(stored: StoredDevice) -> DeviceSummary:
    known = stored.device
    return DeviceSummary(
        device=known.device,
        health=health(stored),
        hardware_class=known.hardware_class,
        version=known.version,
        labels=known.labels,
        state=known.state,
        update=None if known.update is None else known.update.state,
        warnings=len(known.warnings),
        last_seen=utc(stored.last_seen_ms),
    )


def _all_states(counted: Counter[BoxState]) -> dict[BoxState, int]:
    return {state: counted[state] for state in BOX_STATES}
