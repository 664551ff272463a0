"""The first thing at a start: which models run, before any of them is loaded."""

from __future__ import annotations

import logging

from agent.update.journal import Journal
from agent.update.rules import ACTIVE, InstalledSet, broke, started
from contracts.errors import StorageError
from contracts.update import UpdateCode

_log = logging.getLogger(__name__)


def recover(journal: Journal) -> InstalledSet:
    """The models to open.

    A start within an attempt is counted on the disk first, so that models which crash the agent are not loaded for
    ever; one that cannot be counted does not load them at all.
    """
    journal.settle()
    attempt = journal.attempt
    if attempt is None or attempt.is_over:
        return journal.active.running
    before = journal.active.flipped_back(attempt.number)
    try:
        journal.enter(started(attempt))
        if journal.attempt is not None and journal.attempt.state in {"rolling_back", "rollback_failed"}:
            journal.point(before)
    except StorageError as error:
        untouched = attempt.state == "activate" and journal.active.attempt != attempt.number
        if untouched or attempt.state not in (*ACTIVE, "rolling_back"):
            return journal.active.running
        _log.error("%s; the models before the update are loaded, as this start cannot be counted", error)
        if attempt.state in ACTIVE:
            journal.assume(broke(attempt, "storage", f"this start could not be counted: {error}"))
        return before.running
    return journal.active.running


def give_up(journal: Journal, code: UpdateCode, reason: str) -> InstalledSet | None:
    """The models to open instead of those that could not be opened at a start; None where there are no others."""
    attempt = journal.attempt
    if attempt is None or attempt.is_over or journal.active.attempt != attempt.number:
        return None
    before = journal.active.flipped_back(attempt.number)
    try:
        journal.enter(broke(attempt, code, reason))
        journal.point(before)
    except StorageError as error:
        _log.error("%s; the models before the update are loaded all the same", error)
        journal.assume(broke(attempt, code, reason))
    return before.running
