"""Wires the updates of models into the running agent."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from agent.changeover import Changeover
from agent.disk import Disk
from agent.host import clock_synced
from agent.remote.signing import KEYS_NAME
from agent.slots import Slots
from agent.update.library import Libraries
from agent.update.shelf import Shelf
from agent.update.shelf_disk import ShelfDisk
from agent.update.trust.operators import NONE_NAME
from agent.update.trust.releases import ROOT_NAME
from agent.update.updater import UpdaterSettings
from agent.update.updates import FOLDER, Judges, Updates
from agent.update.upkeep import Upkeep
from agent.update.watching import Watching
from agent.update.witness import Witness
from contracts.config import AgentConfig
from contracts.errors import BundleError
from contracts.facts import Facts
from contracts.health import Telemetry

_log = logging.getLogger(__name__)


def open_updates(config: AgentConfig, keys_changed: Callable[[], None]) -> Updates:
    """The updates of a box whose state directory is held: which models it starts with is known then.

    Args:
        config: of the box.
        keys_changed: called from any thread after the operators' keys became others.
    """
    folder = Path(config.state_dir) / FOLDER
    shelf = Shelf(ShelfDisk(folder))

    def keep() -> list[str]:
        return [model.manifest for models in updates.sets() for model in models.models.values()]

    libraries = Libraries(config, shelf, keep, keys_changed)
    knows = _knows_operators(config)
    upkeep = Upkeep(shelf, keep, lambda: updates.running().models, libraries.signed, at_once=not knows)
    updates = Updates(Disk(folder), shelf, libraries.open, upkeep)
    return updates


def operator_keys_file(config: AgentConfig, beside: Path | None) -> Path:
    """Where the operators' keys are: in the state directory where signed metadata names them, else beside agent.toml.

    Args:
        config: of the box.
        beside: the file beside agent.toml, whether it is there or not; None for the state directory.

    Raises:
        StorageError: the keys from beside agent.toml could not be taken over.
    """
    state_dir = Path(config.state_dir)
    kept = state_dir / KEYS_NAME
    if beside is None or kept.exists():
        return kept
    if not _has_root(config):
        return beside
    if beside.exists():  # they hold until the metadata names others
        Disk(state_dir).replace(KEYS_NAME, beside.read_bytes())
    return kept


def awaits_operator_keys(config: AgentConfig) -> bool:
    """Whether signed metadata has still to say who may sign documents, where no keys are there.

    Until then nobody knows whether a document that is not signed may be taken, so none is, unless agent.toml says so.
    """
    return _has_root(config) and not _knows_operators(config) and not config.update.unsigned_documents


def _has_root(config: AgentConfig) -> bool:
    named = config.update.root
    return (Path(named) if named else Path(config.state_dir) / ROOT_NAME).exists()


def _knows_operators(config: AgentConfig) -> bool:
    """Whether signed metadata was read once: it named keys, or none."""
    return any((Path(config.state_dir) / name).exists() for name in (KEYS_NAME, NONE_NAME))


def open_slots(updates: Updates, config: AgentConfig, facts: Facts, changed: Callable[[], None]) -> Slots:
    """The models of a box: those of an update in the place of the configuration's.

    Raises:
        BundleError: one cannot be opened, and there is none to go back to.
    """
    try:
        return Slots(config, facts, changed, updates.installed)
    except BundleError as error:
        if not updates.go_back(str(error)):
            raise
        _log.error("%s; the models before the update are loaded", error)
        return Slots(config, facts, changed, updates.installed)


def start_updates(
    updates: Updates,
    box: Changeover,
    witness: Witness,
    telemetry: Callable[[], Telemetry | None],
    changed: Callable[[], None],
) -> None:
    """Go on with what is under way, and take what is asked for.

    Args:
        updates: of the box.
        box: the running agent.
        witness: watches it.
        telemetry: what the hardware tells.
        changed: called after an attempt went on.
    """
    config = box.config.update
    watching = Watching(
        witness=witness,
        config=config,
        disk=Disk(Path(box.config.state_dir) / FOLDER),
        telemetry=telemetry,
        synced=clock_synced,
    )
    judges = Judges(
        selftest=lambda means: partial(watching.selftest, means),
        shadow=None if config.shadow is None else lambda means: partial(watching.shadow, means),
        probation=lambda means: partial(watching.probation, means),
        begin=watching.begin,
    )
    settings = UpdaterSettings(
        shadow=config.shadow is not None,
        patience=config.patience_hours * 3600,
        gate=watching.gate,
        changed=changed,
        idle=updates.upkeep,
    )
    updates.start(box, judges, settings)
