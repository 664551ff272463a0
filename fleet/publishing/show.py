"""What the commands print: releases, keys and findings as tables or as plain data, and the progress of long work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

from fleet.printing import print_out
from fleet.publishing.check import Finding
from fleet.publishing.keys import KeyInfo, Keyring
from fleet.publishing.progress import Progress as ProgressCallback
from fleet.publishing.refresh import Expiry
from fleet.publishing.state import Release

_MEGABYTE = 1_000_000
_RIGHT = frozenset({"MB", "release"})


@contextmanager
def progress_bar(*, quiet: bool) -> Iterator[ProgressCallback]:
    """A bar on stderr that follows bytes; nothing where stderr is no terminal, or on request."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    bar = Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal)
    with bar:
        task = bar.add_task("reading the metadata", total=None)

        def step(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield step


def release_row(release: Release) -> dict[str, object]:
    """A release as plain data."""
    return {**release.info.model_dump(mode="json"), "manifest": release.digest}


def print_releases(releases: Sequence[Release]) -> None:
    """Releases as a table."""
    table = _table(
        "model",
        "version",
        "release",
        "released",
        "MB",
        "targets",
        "manifest",
        "withdrawn",
        whole=("model", "version", "manifest"),
    )
    for release in releases:
        info = release.info
        table.add_row(
            info.model,
            info.version,
            str(info.release),
            f"{info.released:%Y-%m-%d %H:%M}",
            f"{info.size / _MEGABYTE:.1f}",
            "\n".join(info.targets),
            release.digest[:12],
            Text(info.withdrawn.reason if info.withdrawn else ""),
        )
    print_out(table)


def key_row(info: KeyInfo, keyring: Keyring, used: set[str] | None) -> dict[str, object]:
    """A key as plain data; ``in_use`` is None where no repository was asked."""
    return {
        "name": info.name,
        "role": info.role,
        "keyid": info.keyid,
        "created": info.created.isoformat(),
        "private_here": keyring.has_private(info.keyid),
        "revoked": info.revoked,
        "in_use": None if used is None else info.keyid in used,
    }


def print_keys(rows: Sequence[dict[str, object]]) -> None:
    """Keys as a table."""
    table = _table("key", "signs", "key id", "created", "private half", "in use", whole=("key", "key id"))
    for row in rows:
        in_use = row["in_use"]
        table.add_row(
            str(row["name"]),
            str(row["role"]),
            str(row["keyid"])[:16],
            str(row["created"])[:10],
            "here" if row["private_here"] else "elsewhere",
            "revoked" if row["revoked"] else "?" if in_use is None else "yes" if in_use else "no",
        )
    print_out(table)


def expiry_rows(expiries: Sequence[Expiry]) -> list[dict[str, object]]:
    """Expiries as plain data."""
    return [
        {"role": one.role, "version": one.version, "expires": one.expires.isoformat(), "alarm": one.alarm.isoformat()}
        for one in expiries
    ]


def print_expiries(expiries: Sequence[Expiry]) -> None:
    """Expiries as a table."""
    table = _table("role", "version", "expires", "alarm from")
    for one in expiries:
        table.add_row(one.role, str(one.version), f"{one.expires:%Y-%m-%d %H:%M}", f"{one.alarm:%Y-%m-%d}")
    print_out(table)


def finding_document(finding: Finding) -> dict[str, object]:
    """What a check found, as plain data."""
    return {
        "problems": list(finding.problems),
        "alarms": list(finding.alarms),
        "unfinished": finding.unfinished,
        "unreferenced": finding.unreferenced,
        "releases": finding.releases,
        "files": finding.files,
        "bytes": finding.size,
    }


def finding_lines(finding: Finding) -> Iterator[str]:
    """What a check found, in sentences."""
    yield f"{finding.releases} releases, {finding.files} files, {finding.size / _MEGABYTE:.1f} MB: all digests computed"
    if finding.unfinished:
        yield "a change was cut short; the next publish or refresh finishes it"
    if finding.unreferenced:
        count, size = len(finding.unreferenced), sum(finding.unreferenced.values()) / _MEGABYTE
        yield f"{count} files ({size:.1f} MB) are needed by no reader; `repository collect` removes them"
    yield from (f"problem: {problem}" for problem in finding.problems)
    yield from (f"alarm: {alarm}" for alarm in finding.alarms)


def _table(*headings: str, whole: tuple[str, ...] = ()) -> Table:
    table = Table()
    for heading in headings:
        justify: Literal["left", "right"] = "right" if heading in _RIGHT else "left"
        table.add_column(heading, justify=justify, overflow="fold", no_wrap=heading in whole)
    return table
