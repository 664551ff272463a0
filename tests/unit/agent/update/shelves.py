"""A shelf, what is to be on it, and a bundle's manifest that needs no conversion."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from agent.update.fetch.fetcher import ShelfFetcher
from agent.update.fetch.pace import Time
from agent.update.ports import Download, Transport
from agent.update.shelf import Shelf
from agent.update.shelf_disk import ShelfDisk
from contracts.manifest import manifest_digest
from contracts.release import Blob, blob_path
from contracts.update_config import UpdateConfig
from tests.fakes.clock import WaitedClock


def blob(data: bytes) -> Blob:
    return Blob(sha256=hashlib.sha256(data).hexdigest(), size=len(data))


def download(data: bytes) -> Download:
    return Download(blob_path(blob(data).sha256), blob(data))


def served(*files: bytes) -> dict[str, bytes]:
    """What a repository has for them."""
    return {blob_path(blob(data).sha256): data for data in files}


def never() -> bool:
    return False


def silent(text: str, fraction: float | None) -> None:
    pass


class Box:
    """A shelf on a disk, and what fetches onto it; no time passes but by waiting."""

    def __init__(
        self,
        disk: ShelfDisk,
        transport: Transport,
        config: UpdateConfig | None = None,
        keep: Collection[str] = (),
        spread: float = 0.0,
        root: Path = Path("/nowhere"),
    ) -> None:
        self.waited = WaitedClock()
        self.disk = disk
        self.shelf = Shelf(disk, self.waited.clock)
        self.notes: list[tuple[str, float | None]] = []
        time = Time(self.waited.clock, self.waited.wait, lambda: 0.5)
        config = config or UpdateConfig(keep_free_mb=0)
        self.fetcher = ShelfFetcher(self.shelf, transport, config, lambda: keep, spread=spread, time=time, root=root)

    def fetch(self, *files: bytes, stopped: Any = never) -> None:
        downloads = [download(data) for data in files]
        self.fetcher.fetch(downloads, lambda text, fraction: self.notes.append((text, fraction)), stopped)


def manifest_of(files: Mapping[str, bytes], **other: Any) -> bytes:
    """A manifest.json that names these files as reports."""
    entries = [{"path": path, "sha256": blob(data).sha256, "size": len(data)} for path, data in files.items()]
    return manifest_of_entries(entries, **other)


def manifest_of_entries(entries: list[dict[str, Any]], **other: Any) -> bytes:
    document: dict[str, Any] = {
        "created": "2026-11-20T00:00:00Z",
        "converter": "test",
        "model": _MODEL,
        "source": _SOURCE,
        "artifacts": [],
        "reports": entries,
        **other,
    }
    document["digest"] = manifest_digest(document)
    return json.dumps(document).encode()


_MODEL = {
    "name": "fake",
    "version": "1.0.0",
    "labels": ["vehicle"],
    "input": {"width": 64, "height": 64},
    "output": {"decoder": "density"},
}
_SOURCE = {"file": "model.onnx", "sha256": "0" * 64}
