"""What each state of an attempt does, up to the self-test: nothing that counts is touched."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from agent.engines.supply import EngineMissingError
from agent.update.ahead import measure
from agent.update.box import Box
from agent.update.choosing import check_countable, files_of, fitting
from agent.update.errors import UpdateError, UpdateStoppedError, UpdateWaitsError
from agent.update.journal import Journal
from agent.update.ports import Download, Fetcher, Note, Releases, Stopped
from agent.update.rules import Attempt, InstalledModel, InstalledSet
from agent.update.shelf import Shelf
from agent.update.updater import Done
from contracts.config import RuntimeConfig
from contracts.errors import BundleError, EdgetallyError, UnknownNameError
from contracts.manifest import MANIFEST_NAME, Artifact, Manifest
from contracts.release import LARGEST_MANIFEST, Blob, blob_path
from runtime.bundle import Bundle, open_bundle, parse_manifest
from runtime.tensorrt.build import BuildCancelledError, BuildProgress


class Library(Protocol):
    """Where bundles come from: what is released there, and how it is fetched."""

    @property
    def releases(self) -> Releases:
        """What is released, and signed where this box asks for signatures."""

    @property
    def fetcher(self) -> Fetcher:
        """Fetches it."""


@dataclass(frozen=True)
class Means:
    """What the steps work with.

    Args:
        box: the running agent.
        journal: of the update.
        shelf: the bundles on the disk.
        library: opens where a wish is to be taken from: a folder, or the servers for None.
    """

    box: Box
    journal: Journal
    shelf: Shelf
    library: Callable[[str | None], Library]

    def wanted(self, slot: str) -> RuntimeConfig:
        """What the configuration asks of a slot's runtime.

        Raises:
            UpdateError: there is no such slot.
        """
        config = self.box.config
        if slot not in config.slots:
            unknown = UnknownNameError("model slot", slot, config.slots)
            raise UpdateError("unknown_slot", f"{unknown}; name a slot of this box, or add one to its agent.toml")
        return config.slots[slot].runtime or config.runtime

    def known(self, models: Mapping[str, InstalledModel]) -> dict[str, InstalledModel]:
        """Those whose slots agent.toml still has: somebody may have taken one out."""
        return {slot: model for slot, model in models.items() if slot in self.box.config.slots}

    def manifest(self, model: InstalledModel) -> Manifest:
        """Of a bundle whose manifest is on the shelf.

        Raises:
            UpdateError: it is none that this edgetally reads.
        """
        where = f"{model.name} {model.version}"
        try:
            manifest = parse_manifest(self.manifest_bytes(model.manifest), where)
        except BundleError as error:
            raise UpdateError("bundle_invalid", str(error)) from error
        if (manifest.model.name, manifest.model.version) != (model.name, model.version):
            came = f"{manifest.model.name} {manifest.model.version}"
            raise UpdateError(
                "manifest_mismatch", f"expected the manifest of {where}, it is of {came}; release it anew"
            )
        return manifest

    def manifest_bytes(self, sha256: str) -> bytes:
        """A manifest that is on the shelf, by its digest.

        Raises:
            UpdateError: it is not, or the disk spoiled it.
        """
        for path in (self.shelf.path(sha256), self.shelf.bundle(sha256) / MANIFEST_NAME):
            data = _read(path)
            if data is not None and hashlib.sha256(data).hexdigest() == sha256:
                return data
        raise UpdateError("storage", f"the manifest {sha256} is not on the disk any more; ask for the model again")

    def has_manifest(self, sha256: str) -> bool:
        """Whether it is on the shelf."""
        return self.shelf.path(sha256).is_file() or (self.shelf.bundle(sha256) / MANIFEST_NAME).is_file()

    def bundle(self, model: InstalledModel) -> Bundle:
        """A bundle on the shelf, open.

        Raises:
            BundleError: it is not whole.
        """
        return open_bundle(self.shelf.bundle(model.manifest))


def resolve(means: Means, attempt: Attempt, note: Note, stopped: Stopped) -> Done:
    """Find what is wanted, and that this box can run it."""
    wish, active = attempt.wish, means.journal.active
    if wish.back:
        found = means.known(active.previous.models)
    elif wish.document is None or wish.refit:
        found = means.known(active.running.models)  # slots that nobody asks for keep what they run
    else:
        found = {}
    found |= {slot: _find(means, attempt, slot, note, stopped) for slot in wish.models}
    for slot, model in found.items():
        config = means.box.config
        manifest = means.manifest(model)
        fitting(manifest, means.box.facts, means.wanted(slot))
        check_countable(manifest, [camera for camera in config.camera if camera.model == slot])
    if found == active.running.models and not wish.refit and is_whole(means, found):
        if wish.document is not None:
            target = InstalledSet(epoch=wish.epoch, model_revision=wish.model_revision, models=found)
            means.journal.point(active.model_copy(update={"running": target}))
        return Done(resolved=found, settled=("committed", "it runs already"))
    return Done(resolved=found)


def _find(means: Means, attempt: Attempt, slot: str, note: Note, stopped: Stopped) -> InstalledModel:
    means.wanted(slot)
    model = attempt.wish.models[slot]
    runs = means.journal.active.running.models.get(slot)
    if runs is not None and (runs.name, runs.version, runs.manifest) == (model.name, model.version, model.manifest):
        return runs
    library = means.library(attempt.wish.source)
    try:
        note(f"looking for {model.name} {model.version}", None)
        library.releases.refresh()
        release = library.releases.find(model.name, model.version)
    except UpdateWaitsError:
        if model.manifest is None or not means.has_manifest(model.manifest):
            raise
        return InstalledModel(name=model.name, version=model.version, manifest=model.manifest)
    if model.manifest not in {None, release.manifest.sha256}:
        raise UpdateError(
            "manifest_mismatch",
            f"{model.name} {model.version} is released with the manifest {release.manifest.sha256}, the document asks "
            f"for {model.manifest}; publish the document anew from the release",
        )
    library.fetcher.fetch([Download(release.path, release.manifest)], note, stopped)
    return InstalledModel(name=model.name, version=model.version, manifest=release.manifest.sha256)


def is_whole(means: Means, models: Mapping[str, InstalledModel]) -> bool:
    """Whether all files that this box can take now are in the bundles that run: a runtime may have come since.

    Raises:
        UpdateError: it can take none of a bundle, or the bundle is none.
    """
    for slot, model in models.items():
        manifest = means.manifest(model)
        artifacts = fitting(manifest, means.box.facts, means.wanted(slot))
        folder = means.shelf.bundle(model.manifest)
        if not all((folder / entry.path).exists() for entry in files_of(manifest, artifacts)):
            return False
    return True


def fetch(means: Means, attempt: Attempt, note: Note, stopped: Stopped) -> Done:
    """Bring the files of everything that fits onto the shelf."""
    downloads: dict[str, Download] = {}
    for slot, model in attempt.resolved.items():
        manifest = means.manifest(model)
        for entry in files_of(manifest, fitting(manifest, means.box.facts, means.wanted(slot))):
            blob = Blob(sha256=entry.sha256, size=entry.size)
            downloads[entry.sha256] = Download(blob_path(entry.sha256), blob)
    if downloads:
        missing = [one for one in downloads.values() if not means.shelf.holds(one.blob)]
        if missing:  # else nobody need be asked, and a box without a network goes back to what it has
            means.library(attempt.wish.source).fetcher.fetch(list(downloads.values()), note, stopped)
    return Done()


def verify(means: Means, attempt: Attempt, note: Note, stopped: Stopped) -> Done:
    """Put the bundles together, and check every byte of them as it lies there."""
    for slot, model in attempt.resolved.items():
        note(f"checking {model.name} {model.version}", None)
        manifest = means.manifest(model)
        files = files_of(manifest, fitting(manifest, means.box.facts, means.wanted(slot)))
        means.shelf.assemble(means.manifest_bytes(model.manifest), [entry.sha256 for entry in files])
        bundle = means.bundle(model)
        for entry in files:
            bundle.file(entry)
            if stopped():
                raise UpdateStoppedError("the check was stopped")
    return Done()


def prepare(means: Means, attempt: Attempt, note: Note, stopped: Stopped) -> Done:
    """Build the engines that the new artifacts need, and measure which of them is best here, while the old ones count.

    A refit is of the model that counts: it is measured where it does.
    """
    for slot, model in attempt.resolved.items():
        bundle = means.bundle(model)
        artifacts = fitting(bundle.manifest, means.box.facts, means.wanted(slot))
        problems = {one.id: _build_problem(means, bundle, one, note, stopped) for one in artifacts}
        if all(problems.values()):
            reasons = "; ".join(f"{name}: {why}" for name, why in problems.items())
            raise UpdateError("build_failed", f"no engine of {model.name} {model.version} could be built: {reasons}")
    if not attempt.wish.refit:
        running = means.journal.active.running.models
        new = {slot: model for slot, model in attempt.resolved.items() if running.get(slot) != model}
        grounds = [means.box.ground(slot, means.shelf.bundle(model.manifest)) for slot, model in new.items()]
        measure(means.box, grounds, note, stopped)
        return Done()
    for slot in attempt.resolved:
        means.box.reconsider(
            slot
        )  # the same model in another form, as after an engine was built: nothing to go back to
    return Done(settled=("committed", "the files that this box can run now are here"))


def _build_problem(means: Means, bundle: Bundle, artifact: Artifact, note: Note, stopped: Stopped) -> str | None:
    """Build the engine of an artifact that needs one and has none; returns why it cannot be, where it cannot."""
    engines = means.box.engines
    try:
        engines.engine(bundle.manifest.model.name, artifact)
    except EngineMissingError as missing:
        try:
            engines.build(bundle, missing.awaited.needed, partial(_note_build, note, artifact.id), stopped)
        except BuildCancelledError as error:
            raise UpdateStoppedError("the build was stopped") from error
        except EdgetallyError as error:
            return str(error)
    except EdgetallyError as error:
        return str(error)
    return None


def _note_build(note: Note, artifact: str, progress: BuildProgress) -> None:
    phase = f", {progress.phase}" if progress.phase else ""
    note(f"building the engine of {artifact}{phase}", progress.fraction)


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_MANIFEST)
    except OSError:
        return None


def folders(shelf: Shelf, models: Mapping[str, InstalledModel]) -> dict[str, Path]:
    """Slot to the folder of its bundle on the shelf."""
    return {slot: shelf.bundle(model.manifest) for slot, model in models.items()}
