"""Which of the documents on disk may run: the newest that still fits this box's own settings."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from agent.remote.layers import Layer, effective
from agent.remote.parse import read_desired, read_part
from agent.remote.refusals import DocumentRefusedError, invalid
from agent.remote.store import Kept, KeptDocument
from contracts.config import AgentConfig
from contracts.desired import Desired, WrongField

_log = logging.getLogger(__name__)

Check = Callable[[AgentConfig], Sequence[WrongField]]
"""What cannot run on this box although it is well formed, by its path in agent.toml; nothing is opened for it."""


@dataclass(frozen=True)
class Base:
    """What a document is laid over.

    Args:
        local: what the file, the environment and the flags give.
        page: what was set on the local page.
        check: finds what cannot run here.
    """

    local: AgentConfig
    page: Mapping[str, object]
    check: Check

    def with_document(self, desired: Desired | None) -> AgentConfig:
        """The configuration that results with a document, or without one.

        Raises:
            DocumentRefusedError: it does not fit, or cannot run here.
        """
        layers = [Layer("page", self._page_without(self.strays(desired)))] if self.page else []
        if desired is not None:
            layers.append(Layer("remote", desired.config.keys))
        config = effective(self.local, layers)
        problems = self.check(config) if layers else ()
        if problems:
            raise invalid([WrongField(path=f"config.{one.path}", problem=one.problem) for one in problems])
        return config

    def strays(self, desired: Desired | None) -> frozenset[str]:
        """Cameras that were drawn on and that nothing else has: a document had them. What was drawn waits for them."""
        known = {camera.id for camera in self.local.camera}
        if desired is not None:
            known |= {str(row["id"]) for row in _cameras(desired.config.keys)}
        return frozenset(str(row["id"]) for row in _cameras(self.page) if "source" not in row) - known

    def _page_without(self, strays: frozenset[str]) -> Mapping[str, object]:
        keys = read_part(self.page).keys
        kept = [row for row in _cameras(keys) if row["id"] not in strays]
        return {**keys, "camera": kept} if strays else keys


def _cameras(keys: Mapping[str, object]) -> list[Mapping[str, object]]:
    rows = keys.get("camera", ())
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, Sequence) else []


@dataclass(frozen=True)
class ConfigCandidate:
    """A configuration that may run.

    Args:
        base: what the document is laid over.
        record: the document's, as it was kept.
        desired: the document; None where none runs.
        config: what results.
        left_out: why what is newer does not run; None where this is the newest.
    """

    base: Base
    record: KeptDocument
    desired: Desired | None
    config: AgentConfig
    left_out: DocumentRefusedError | None = None


def first_that_fits(base: Base, kept: Kept) -> ConfigCandidate:
    """The newest that fits; at the least the local settings alone.

    agent.toml may have been edited since, so that a document that was taken then does not fit any more.
    """
    left_out: DocumentRefusedError | None = None
    for layer, record in _choices(base, kept):
        found = _fit(layer, record)
        if isinstance(found, ConfigCandidate):
            return replace(found, left_out=left_out)
        left_out = left_out or found
    return ConfigCandidate(replace(base, page={}), KeptDocument(), None, base.local, left_out)


def _fit(base: Base, record: KeptDocument) -> ConfigCandidate | DocumentRefusedError:
    """What results, or why it does not fit."""
    try:
        desired = None if record.document is None else read_desired(record.document, base.local.device)
        return ConfigCandidate(base, record, desired, base.with_document(desired))
    except DocumentRefusedError as error:
        return error
    except Exception:  # noqa: BLE001 - what came from afar must not keep the agent from starting
        _log.exception("what was configured from afar could not be looked at")
        return DocumentRefusedError("internal", "the agent failed on it, its log says where")


def _choices(base: Base, kept: Kept) -> Iterator[tuple[Base, KeptDocument]]:
    bare = replace(base, page={})
    for record in (kept.current, kept.good, KeptDocument()):
        yield base, record
        if base.page:
            yield bare, record
