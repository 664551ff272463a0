"""Updates of a running agent: which models it starts with, who asks for others, and what is told of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from agent.disk import Disk
from agent.limited_log import LimitedLog
from agent.update.box import Box
from agent.update.errors import UpdateError
from agent.update.journal import Journal
from agent.update.on_site import OnSite
from agent.update.ports import Note, Stopped
from agent.update.recovery import give_up, recover
from agent.update.rules import Attempt, InstalledSet, Wish
from agent.update.shelf import Shelf
from agent.update.steps import Library, Means, fetch, folders, is_whole, prepare, resolve, verify
from agent.update.takeover import activate, roll_back
from agent.update.updater import Done, Step, Updater, UpdaterSettings
from agent.update.upkeep import Upkeep
from contracts.config import AgentConfig
from contracts.desired import Desired
from contracts.errors import StorageError
from contracts.update import UpdateReport, UpdateState, WantedModel

_log = logging.getLogger(__name__)

FOLDER = "update"
"""Below the state directory."""


@dataclass(frozen=True)
class Judges:
    """The steps that look whether a model does what it should.

    Args:
        selftest: proves it on this box, in a process of its own.
        shadow: runs it beside the one that counts; None where that is not asked for.
        probation: watches it count.
        begin: told before it takes over.
    """

    selftest: Callable[[Means], Step]
    shadow: Callable[[Means], Step] | None
    probation: Callable[[Means], Step]
    begin: Callable[[Attempt], None] = lambda _: None


class Updates:
    """See above. `report` may be called by any thread, `offer` and `look` by the daemon's.

    Args:
        disk: of the folder, in the state directory that the caller holds.
        shelf: the bundles on its disk.
        library: opens where bundles come from: a folder, or the servers for None.
        upkeep: is done between two attempts.

    Attributes:
        installed: slot to the folder of the bundle that runs instead of agent.toml's, before `start`.
    """

    def __init__(
        self, disk: Disk, shelf: Shelf, library: Callable[[str | None], Library], upkeep: Upkeep | None = None
    ) -> None:
        self._shelf = shelf
        self._library = library
        self._upkeep = upkeep
        self._on_site = OnSite(disk.directory)
        self._limited = LimitedLog(_log, seconds=60.0)
        self._journal = Journal(disk)
        self.installed: Mapping[str, Path] = folders(shelf, recover(self._journal).models)
        self._updater: Updater | None = None
        self._offered: object = None
        self._asked: str | None = None
        self._serves_nothing = False

    def go_back(self, problem: str) -> bool:
        """The models of `installed` cannot be opened: have those before instead, where an update brought them.

        Returns:
            Whether there are others now.
        """
        before = give_up(self._journal, "does_not_start", problem)
        if before is None:
            return False
        self.installed = folders(self._shelf, before.models)
        return True

    def start(self, box: Box, judges: Judges, settings: UpdaterSettings) -> None:
        """Go on with what was under way, and take what is asked for."""
        means = Means(box, self._journal, self._shelf, self._library)
        self._updater = Updater(self._journal, _steps(means, judges), settings)
        self._updater.start()
        if self.can_refit(box.config) and (self._serves_nothing or not _fits(means)):
            running = self._journal.active.running
            _log.warning("this box can run other files of its models than it has; they are fetched")
            self._updater.want(Wish(epoch=running.epoch, model_revision=running.model_revision, refit=True))

    def serves_nothing(self, problem: str) -> bool:
        """No artifact of any model runs here: files of them may be spoiled, or an update brought it about.

        Returns:
            Whether another start of the agent has the models before the update.
        """
        self._serves_nothing = True
        return self.go_back(problem)

    def can_refit(self, config: AgentConfig) -> bool:
        """Whether files that are missing of the models that run may come from somewhere."""
        return bool(config.update.server and self._journal.active.running.models)

    def stop(self, timeout: float) -> None:
        """Do nothing more; twice is harmless."""
        if self._updater is not None:
            self._updater.stop(timeout)

    def offer(self, desired: Desired | None) -> None:
        """The document that runs now, however often; without models it asks for nothing."""
        if self._updater is None or desired is None or not desired.model_revision:
            return
        asked = (desired.epoch, desired.model_revision, desired.models)
        if asked == self._offered:  # another configuration is no other wish
            return
        self._offered = asked
        models = {
            slot: WantedModel(name=model.name, version=model.version, manifest=model.manifest)
            for slot, model in desired.models.items()
        }
        self._updater.want(Wish(epoch=desired.epoch, model_revision=desired.model_revision, models=models))

    def look(self) -> None:
        """Take what somebody on site asked for; it lies there until it stands in the journal."""
        if self._updater is None or not self._on_site.waits:
            return
        request, attempt = self._on_site.request(), self._journal.attempt
        if request is not None and request.id != self._asked:
            self._asked = request.id
            if request.cancel:
                self._updater.cancel()
            elif attempt is None or attempt.wish.request != request.id:
                source, models = request.source, request.models
                self._updater.want(Wish(models=models, source=source, back=request.back, request=request.id))
        if request is None or request.cancel or (attempt is not None and attempt.wish.request == request.id):
            try:
                self._on_site.done()
            except StorageError as error:
                self._limited.error("%s; what was asked for on site stays there", error)

    def running(self) -> InstalledSet:
        """Which models are the ones that run."""
        return self._journal.active.running

    def upkeep(self) -> float | None:
        """Do what is due between two attempts; seconds until it should be done again."""
        return self._upkeep() if self._upkeep is not None else None

    @property
    def problems(self) -> tuple[str, ...]:
        """What somebody has to see to, in words."""
        found = self._upkeep.problems if self._upkeep is not None else ()
        return (*(f"the journal of updates: the file {one}" for one in self._journal.damage), *found)

    def sets(self) -> Sequence[InstalledSet]:
        """The models whose files stay on the disk: what runs, what ran before, and what is under way."""
        active, attempt = self._journal.active, self._journal.attempt
        under_way = () if attempt is None or attempt.is_over else (attempt.target, active.older)
        return (active.running, active.previous, *under_way)

    def report(self) -> UpdateReport | None:
        """The newest attempt; None where there never was one."""
        return self._updater.report() if self._updater is not None else None


def _fits(means: Means) -> bool:
    """Whether the box has all files of its models that it can run."""
    try:
        return is_whole(means, means.known(means.journal.active.running.models))
    except UpdateError:
        return False


def _steps(means: Means, judges: Judges) -> dict[UpdateState, Step]:
    """Every state that is no end, and what it does."""
    steps: dict[UpdateState, Step] = {
        "resolve": partial(resolve, means),
        "fetch": partial(fetch, means),
        "verify": partial(verify, means),
        "prepare": partial(prepare, means),
        "selftest": judges.selftest(means),
        "activate": partial(activate, judges.begin, means),
        "probation": judges.probation(means),
        "rolling_back": partial(roll_back, means),
    }
    # An attempt may stand in a shadow that agent.toml asks for no more.
    steps["shadow"] = judges.shadow(means) if judges.shadow is not None else _nothing
    return steps


def _nothing(attempt: Attempt, note: Note, stopped: Stopped) -> Done:
    del attempt, note, stopped
    return Done()
