"""The bill as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tools.billing.bill import Bill

_MOST_SPANS = 5  # of one camera or store; --json has them all


def table(bill: Bill) -> str:
    """The bill, with what is missing below it."""
    if bill.start is None:
        return "nothing to bill: no report came"
    items = [
        (i.device, i.camera, i.line, i.label or "-", i.direction, str(i.counted), str(i.recovered), str(i.events))
        for i in bill.items
    ]
    cameras = [
        (c.device, c.camera, f"{c.share:.2%}", f"{c.covered:.0f} of {c.seconds:.0f} s", str(c.windows), str(c.late))
        for c in bill.cameras
    ]
    head = f"from {bill.start} until {bill.end}"
    first = _columns(("device", "camera", "line", "label", "way", "counted", "recovered", "events"), items)
    second = _columns(("device", "camera", "seen", "", "windows", "late"), cameras)
    return "\n".join([head, "", *first, "", *second, "", *_missing(bill)])


def _missing(bill: Bill) -> Iterator[str]:
    """What is missing and what is wrong, a sentence each."""
    for store in bill.stores:
        if store.missing:
            runs = _some([f"{first}" if first == last else f"{first} to {last}" for first, last in store.missing])
            yield f"missing: {store.count} of the numbers of {store.device}, store {store.store_id}: {runs}"
    for camera in bill.cameras:
        name = f"{camera.device}/{camera.camera}"
        if camera.missing:
            yield f"missing: no report of {name} for {_some([f'{start} to {end}' for start, end in camera.missing])}"
        for quality, windows in sorted(camera.blind.items()):
            yield f"not seen: {name}, windows without a frame ({quality}): {windows}"
        if camera.unsynced:
            yield f"doubtful: {name}, windows while its clock was not synchronised: {camera.unsynced}"
    if bill.refused:
        yield f"refused: messages that are none of ours: {bill.refused}"
    yield from (f"PROBLEM: {problem}" for problem in bill.problems)


def _some(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _MOST_SPANS} more" if len(texts) > _MOST_SPANS else ""
    return ", ".join(texts[:_MOST_SPANS]) + more


def _columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [header, *rows]
    ]
