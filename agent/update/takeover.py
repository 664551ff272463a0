"""The steps that touch what counts: the new models take over, are watched, and go back where they do not do."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from agent.errands import AgentEndsError
from agent.tuning.ground import Ground
from agent.update.box import Box, Opened
from agent.update.errors import UpdateError, UpdateStoppedError
from agent.update.ports import Note, Stopped
from agent.update.rules import Attempt, InstalledSet
from agent.update.steps import Means, folders
from agent.update.updater import Done
from contracts.errors import EdgetallyError, StorageError


def activate(begin: Callable[[Attempt], None], means: Means, attempt: Attempt, note: Note, stopped: Stopped) -> Done:
    """Flip the pointer, then have what it names count: a crash between the two starts with the new models.

    What fails for the disk alone (`StorageError`) touched nothing, and is done again from its beginning.

    Args:
        begin: told before anything is touched; again where that waited for the disk.
        means: what it works with.
        attempt: which one.
        note: told how far it is.
        stopped: not asked, for this is not cut short.
    """
    del stopped
    note("the new models take over", None)
    if means.journal.active.attempt != attempt.number:
        begin(attempt)
    means.journal.point(means.journal.active.flipped(attempt.target, attempt.number))
    try:
        run(means, attempt.target)
    except UpdateStoppedError:
        raise
    except EdgetallyError as error:
        raise UpdateError("did_not_load", f"{error}; the models before it go on") from error
    return Done()


def roll_back(means: Means, attempt: Attempt, note: Note, stopped: Stopped) -> Done:
    """Flip the pointer back, and have what counted before count again; that is seen, not assumed."""
    del stopped
    note("the models before come back", None)
    full_disk: StorageError | None = None
    before = means.journal.active.flipped_back(attempt.number)
    try:
        means.journal.point(before)
    except StorageError as error:
        full_disk = error
    try:
        run(means, before.running)
    except UpdateStoppedError:
        raise
    except EdgetallyError as error:
        raise UpdateError("previous_broken", f"what counted before does not come back: {error}") from error
    if full_disk is not None:
        raise full_disk
    return Done()


def run(means: Means, models: InstalledSet) -> None:
    """Have these models count, and for every other slot the one of agent.toml; those that do already are left alone.

    Args:
        means: what it works with.
        models: what should count.

    Raises:
        UpdateStoppedError: the agent ends.
        EdgetallyError: one does not; all of them go on that were not replaced yet.
    """
    wanted = folders(means.shelf, models.models)
    try:
        with _opened(means.box, wanted) as opened:
            problems = means.box.flip(opened) if opened else ()
    except AgentEndsError as error:
        raise UpdateStoppedError(str(error)) from error
    if problems:
        raise UpdateError("did_not_load", "; ".join(problems))


def load(ground: Ground) -> Opened:
    """The best of a bundle that works now, loaded beside what counts.

    Raises:
        NoArtifactFitsError: nothing of it does.
    """
    selection = ground.select(None)
    if selection.model is None:
        raise selection.nothing_fits()
    return Opened(ground, selection)


@contextlib.contextmanager
def _opened(box: Box, wanted: Mapping[str, Path]) -> Iterator[dict[str, Opened]]:
    """What does not count yet, loaded and proven beside what does; let go of where it does not take over."""
    now = box.counts_with()
    opened: dict[str, Opened] = {}
    try:
        for slot in box.config.slots:
            ground = box.ground(slot, wanted.get(slot))
            if ground.bundle.path.resolve() == now[slot].resolve():
                continue
            opened[slot] = load(ground)
        yield opened
    except BaseException:
        running = box.counts_with()
        for slot, one in opened.items():
            if running[slot].resolve() != one.ground.bundle.path.resolve():
                one.close()
        raise
