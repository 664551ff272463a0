"""What the doctor shows: to a person as it comes, to a program as one document."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from agent.doctor.finding import Finding, Level
from agent.doctor.table import Checked, exit_code
from contracts.version import VERSION

_SIGNS: dict[Level, str] = {"ok": "ok     ", "unknown": "?      ", "warning": "warning", "wrong": "WRONG  "}


def lines(checked: Checked) -> Iterator[str]:
    """A check, a line a finding; under what is not well the command that mends it."""
    for one in checked.findings:
        yield f"{_SIGNS[one.level]}  {one.what}: {one.text}"
        if one.do is not None and one.level in {"warning", "wrong"}:
            yield f"         $ {one.do}"


def summary(checked: Collection[Checked]) -> str:
    """How it came out, in a line."""
    found = [finding.level for one in checked for finding in one.findings]
    wrong, warnings = found.count("wrong"), found.count("warning")
    if not wrong and not warnings:
        return "nothing is wrong"
    return f"{wrong} wrong, {warnings} warning{'s' if warnings != 1 else ''}; the command under each mends it"


def document(checked: Collection[Checked]) -> dict[str, object]:
    """All of it as plain data."""
    return {
        "edgetally": VERSION,
        "exit_code": exit_code(checked),
        "checks": [
            {"check": one.name, "seconds": round(one.seconds, 3), "findings": [_plain(it) for it in one.findings]}
            for one in checked
        ],
    }


def _plain(finding: Finding) -> dict[str, object]:
    do = finding.do if finding.level in {"warning", "wrong"} else None
    return {"what": finding.what, "level": finding.level, "text": finding.text, "do": do}
