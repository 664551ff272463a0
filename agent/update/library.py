"""Where bundles come from: the servers of agent.toml, a repository on a stick, or one bundle in a folder."""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from agent.disk import Disk
from agent.update.errors import UpdateError
from agent.update.fetch.fetcher import SPREAD, ShelfFetcher
from agent.update.fetch.folder import FolderTransport
from agent.update.fetch.http import HttpTransport
from agent.update.ports import Fetcher, Release, Releases, Reply, Transport
from agent.update.shelf import Shelf
from agent.update.trust.operators import note_no_operators, write_operator_keys
from agent.update.trust.releases import ROOT_NAME, TrustedReleases
from contracts.config import AgentConfig
from contracts.errors import BundleError, NotThereError
from contracts.manifest import MANIFEST_NAME, Manifest
from contracts.release import LARGEST_MANIFEST, METADATA, Blob, ReleaseInfo, blob_path
from runtime.bundle import parse_manifest

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OpenLibrary:
    """See `agent.update.steps.Library`."""

    releases: Releases
    fetcher: Fetcher


@dataclass(frozen=True)
class Libraries:
    """Opens them for a box.

    Args:
        config: of the box.
        shelf: where the files go.
        keep: digests of the manifests of the bundles that stay where room has to be made.
        keys_changed: called by the thread that asks, after the operators' keys became others.
    """

    config: AgentConfig
    shelf: Shelf
    keep: Callable[[], Collection[str]]
    keys_changed: Callable[[], None] = lambda: None

    def open(self, source: str | None) -> OpenLibrary:
        """One of them.

        Args:
            source: a folder; None for the servers.

        Raises:
            UpdateError: there is none.
        """
        if source is None:
            return self._servers()
        folder = Path(source)
        if (folder / METADATA).is_dir():
            return self._signed(FolderTransport(folder), spread=0.0)
        if not (folder / MANIFEST_NAME).is_file():
            raise UpdateError(
                "unknown_release",
                f"{folder}: expected a bundle (with {MANIFEST_NAME}) or a repository (with {METADATA}/), found neither;"
                " see whether the stick is still in its place",
            )
        if self.root.exists():
            raise UpdateError(
                "not_trusted",
                f"{folder} is a bundle without signatures, and this box takes signed ones ({self.root}); export it with"
                " `edgetally-fleet export`",
            )
        bundle = BundleFolder(folder)
        return OpenLibrary(bundle, self._fetcher(bundle, spread=0.0))

    def signed(self) -> KeyedReleases | None:
        """What is signed on the servers; None where this box has no server, or takes what is not signed."""
        if not self.config.update.server or not self.root.exists():
            return None
        releases = self._servers().releases
        assert isinstance(releases, KeyedReleases)
        return releases

    @property
    def root(self) -> Path:
        """The TUF root that is trusted first; where it is, nothing unsigned is taken."""
        named = self.config.update.root
        return Path(named) if named else Path(self.config.state_dir) / ROOT_NAME

    def _servers(self) -> OpenLibrary:
        if not self.config.update.server:
            raise UpdateError(
                "unknown_release",
                "this box knows no server to take models from; name one as 'server' in [update] of its agent.toml",
            )
        return self._signed(HttpTransport(self.config.update), spread=SPREAD)

    def _signed(self, transport: Transport, spread: float) -> OpenLibrary:
        releases = TrustedReleases.under(Path(self.config.state_dir), self.config.update, transport)
        keyed = KeyedReleases(releases, Disk(Path(self.config.state_dir)), self.keys_changed)
        return OpenLibrary(keyed, self._fetcher(transport, spread))

    def _fetcher(self, transport: Transport, spread: float) -> Fetcher:
        return ShelfFetcher(self.shelf, transport, self.config.update, self.keep, spread=spread)


class KeyedReleases:
    """Signed releases; whose keys may sign documents is taken from them too, so that those rotate without a visit.

    Args:
        releases: verified.
        disk: the state directory, where the keys are looked for.
        changed: called after they became others, or it became known that there are none.
    """

    def __init__(self, releases: TrustedReleases, disk: Disk, changed: Callable[[], None]) -> None:
        self._releases = releases
        self._disk = disk
        self._changed = changed

    def refresh(self) -> None:
        """See `agent.update.ports.Releases`; the operators' keys are those of the newest metadata after it."""
        self._releases.refresh()
        keys = self._releases.operator_keys()
        if keys is None:
            if note_no_operators(self._disk):
                _log.info("the repository names no operators' keys: documents need no signature")
                self._changed()
        elif write_operator_keys(self._disk, keys):
            _log.info("the operators' keys are those of the repository now: %s", ", ".join(sorted(keys.keys)))
            self._changed()

    def find(self, model: str, version: str) -> Release:
        """See `agent.update.ports.Releases`."""
        return self._releases.find(model, version)

    def warning(self) -> str | None:
        """What to say of metadata that ends soon; None while all is well."""
        return self._releases.warning()


class BundleFolder:
    """One bundle, as `edgetally-convert` wrote it: what it holds is the only release, and its files are the blobs.

    Args:
        folder: of the bundle.

    Raises:
        UpdateError: it cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._files = FolderTransport(folder)
        try:
            with (folder / MANIFEST_NAME).open("rb") as file:
                self._data = file.read(LARGEST_MANIFEST)
            self._manifest: Manifest = parse_manifest(self._data, str(folder / MANIFEST_NAME))
        except (OSError, BundleError) as error:
            raise UpdateError("bundle_invalid", f"{folder}: {error}; build or copy the bundle again") from error
        self._paths = {blob_path(entry.sha256): entry.path for entry in self._manifest.files()}

    def refresh(self) -> None:
        """Nothing is to be asked."""

    def find(self, model: str, version: str) -> Release:
        """See `agent.update.ports.Releases`."""
        manifest = self._manifest
        if (manifest.model.name, manifest.model.version) != (model, version):
            came = f"{manifest.model.name} {manifest.model.version}"
            raise UpdateError("unknown_release", f"expected the bundle of {model} {version}, the folder has {came}")
        info = ReleaseInfo(
            model=model,
            version=version,
            release=1,
            released=dt.datetime.now(dt.timezone.utc),
            size=sum(entry.size for entry in manifest.files()),
            targets=tuple(dict.fromkeys(artifact.target for artifact in manifest.artifacts)),
        )
        blob = Blob(sha256=hashlib.sha256(self._data).hexdigest(), size=len(self._data))
        return Release(info, blob, MANIFEST_NAME)

    def open(self, path: str, start: int = 0, tag: str | None = None) -> Reply:
        """See `agent.update.ports.Transport`."""
        name = MANIFEST_NAME if path == MANIFEST_NAME else self._paths.get(path)
        if name is None:
            raise NotThereError(path, "the bundle names no such file", "build or copy the bundle again")
        return self._files.open(name, start, tag)
