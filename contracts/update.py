"""A change of the models of a box: its states, the codes it ends with, and what is reported of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from contracts.documents import Id, MachineModel, Sha256
from contracts.release import Version

UpdateState = Literal[
    "resolve",
    "fetch",
    "verify",
    "prepare",
    "selftest",
    "shadow",
    "activate",
    "probation",
    "rolling_back",
    "committed",
    "rejected",
    "failed",
    "superseded",
    "rolled_back",
    "rollback_failed",
]
"""Where an attempt stands. Up to ``shadow`` nothing that counts was touched, and each can be done again; from
``committed`` on it is over."""

UpdateCode = Literal[
    # REJECTED: this release or this wish is wrong for this box; doing it again changes nothing
    "unknown_release",
    "unknown_slot",
    "not_trusted",
    "metadata_rollback",
    "metadata_expired",
    "metadata_invalid",
    "withdrawn",
    "manifest_mismatch",
    "digest_mismatch",
    "bundle_invalid",
    "no_artifact_fits",
    "cannot_count",
    "golden_mismatch",
    "selftest_crashed",
    "crashes_agent",
    "too_slow",
    "counts_differ",
    "no_root",
    # FAILED: this time; the same wish may succeed later
    "server_unreachable",
    "server_wrong",
    "no_space",
    "over_quota",
    "storage",
    "build_failed",
    "held_too_long",
    "cancelled",
    "too_many_steps",
    "internal",
    # SUPERSEDED
    "newer_wish",
    # ROLLED_BACK: it counted, and what counted before counts again
    "does_not_start",
    "did_not_load",
    "no_frames",
    "fps_low",
    "errors",
    "memory",
    "temperature",
    "no_broker",
    # ROLLBACK_FAILED
    "previous_broken",
    # COMMITTED
    "committed",
    "committed_offline",
]
"""Why an attempt ended; docs/updates.md says of each what to do."""


class WantedModel(MachineModel):
    """A bundle that a slot should run.

    Attributes:
        name: of the model.
        version: of it.
        manifest: SHA-256 of the bytes of its manifest.json; None where whoever asks does not know it (a memory stick).
    """

    name: Id
    version: Version
    manifest: Sha256 | None = None


class UpdateProgress(MachineModel):
    """How far the state is that an attempt is in.

    Attributes:
        text: in words: ``12 of 48 MB``, ``waits for 02:00``.
        fraction: 0 to 1; None where nobody can tell.
    """

    text: str = Field(max_length=500)
    fraction: Annotated[float, Field(ge=0, le=1)] | None = None


class UpdateReport(MachineModel):
    """The newest attempt to change the models of a box.

    Attributes:
        attempt: counts the attempts of this box, from 1.
        epoch: of the document that asked for it, None where somebody on site did.
        model_revision: the same document's.
        state: see `UpdateState`.
        code: why it ended, or why it waits; None while it goes on.
        reason: that in words, with what to do.
        models: slot to what it should run.
        progress: while it goes on.
        starts: of the agent in the state that it is in; a crash shows here.
    """

    attempt: int
    epoch: int | None = None
    model_revision: int | None = None
    state: UpdateState
    code: UpdateCode | None = None
    reason: str = ""
    models: dict[Id, WantedModel] = Field(default_factory=dict)
    progress: UpdateProgress | None = None
    starts: int = 0
