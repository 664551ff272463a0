"""Targets that are finished outlive an interrupt: the same build, started again, takes them as they are.

They grow in a hidden folder beside the bundle's place, named by everything that they follow from. A target's folder
gets its name, and its list of what is in it, only when all of it is written.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError

from contracts.documents import MachineModel
from contracts.errors import DocumentError, EdgetallyError
from contracts.manifest import Artifact
from converters.made import Made
from converters.pack import locked, remove_abandoned, write_through
from converters.report.rows import Row
from runtime.bundle import sha256

_LIST = "made.json"


class _Listed(MachineModel):
    """What a finished target's folder holds."""

    artifacts: tuple[Artifact, ...]
    rows: tuple[Row, ...]
    warnings: tuple[str, ...]


class Finished:
    """The targets of one build that are finished.

    Args:
        folder: where they are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def root(self, target: str) -> Path:
        """An empty folder for a target to grow in."""
        root = self._folder / f"{target}.growing"
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        return root

    def keep(self, target: str, made: Made) -> None:
        """A target is finished: everything of it is in its `root`.

        Raises:
            OSError: it cannot be written.
        """
        root = self._folder / f"{target}.growing"
        listed = _Listed(artifacts=tuple(made.artifacts), rows=tuple(made.rows), warnings=tuple(made.warnings))
        (root / _LIST).write_text(listed.model_dump_json(), encoding="utf-8")
        write_through(root)
        root.rename(self._folder / target)

    def load(self, target: str) -> Made | None:
        """A target that an earlier build finished, or None where there is none, or its files changed."""
        root = self._folder / target
        try:
            listed = _Listed.model_validate_json((root / _LIST).read_bytes())
            whole = all(sha256(root / file.path) == file.sha256 for one in listed.artifacts for file in one.files)
        except (OSError, ValidationError):
            whole = False
        if not whole:
            shutil.rmtree(root, ignore_errors=True)
            return None
        return Made(list(listed.artifacts), list(listed.rows), list(listed.warnings))

    def copy_into(self, bundle: Path, target: str) -> None:
        """Put a target's files where the bundle wants them; they stay here too, for what follows takes long as well."""
        source = self._folder / target / "artifacts" / target
        if source.is_dir():
            shutil.copytree(source, bundle / "artifacts" / target, copy_function=_linked)


@contextlib.contextmanager
def finished_targets(out: Path, follows_from: Mapping[str, object]) -> Iterator[Finished]:
    """The finished targets of a build; removed when it ends, whether well or with an error, but not when interrupted.

    Args:
        out: where the bundle goes.
        follows_from: everything that the artifacts follow from, as JSON.

    Raises:
        DocumentError: the same build is under way.
        OSError: nothing can be written there.
    """
    key = hashlib.sha256(json.dumps(follows_from, sort_keys=True, default=str).encode()).hexdigest()[:16]
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = out.parent / f".{out.name}.finished-{key}"
    folder.mkdir(exist_ok=True)
    with _alone(folder, out):
        _remove_others(out, folder)
        try:
            yield Finished(folder)
        except (EdgetallyError, OSError):
            shutil.rmtree(folder, ignore_errors=True)
            raise
        except BaseException:
            if not any(folder.glob(f"*/{_LIST}")):
                shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _alone(folder: Path, out: Path) -> Iterator[None]:
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locked(folder))
        except BlockingIOError:
            raise DocumentError(
                "--out", [f"another build of the same is writing {out}; wait until it ends, or give another path"]
            ) from None
        yield


def _linked(source: str, copy: str) -> None:
    """A second name for a file, which costs nothing; a copy where the file system has no such thing."""
    try:
        os.link(source, copy)
    except OSError:
        shutil.copyfile(source, copy)


def _remove_others(out: Path, ours: Path) -> None:
    """Remove what other builds of the same bundle left: the model or the pictures changed since."""
    for folder in out.parent.glob(f".{out.name}.finished-*"):
        if folder != ours:
            remove_abandoned(out.parent, folder.name)
