"""What a box made of an offer, from what it reports.

What an agent tells in each case (``agent/update``, ``agent/remote``):

* The models that run take the document's ``model_revision`` with the flip of ACTIVATE, before they are proven: it says
  nothing alone. ``Reported.epoch`` is that of the configuration that runs, so a new epoch can stand beside a
  ``model_revision`` of the old one. Only the update report bears both of the same document; it alone is compared.
* What runs already is an attempt too: it ends ``committed``, with the code ``committed``, before anything is fetched.
* The attempt stands in the journal and is told again after a restart. The first report of a boot may come before the
  journal is open and say nothing of it: nothing is decided then. An attempt within ACTIVATE or PROBATION goes on.
* What ran before comes back with its own ``model_revision``; a slot that counts with nothing is left out of ``models``.
* Somebody on site is a newer attempt without epoch and revision, and so are the models that it brings. It supersedes a
  document's attempt that has touched nothing, and that document is then never attempted again: such a box stays
  ``offered``, and the deadline makes it silent. An attempt on site that fails leaves what runs, and its revision.
* Files that a box can run since (a runtime came) are fetched by an attempt of the same document without models; what
  runs goes on whatever becomes of it.
* A document that was not taken stands in ``refused``; no attempt is made of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from contracts.desired import RefusalCode, RunningModel
from contracts.update import UpdateCode, UpdateReport, UpdateState
from fleet.inventory.device import Device

LEFT = "left"
"""Code of a box that committed and runs something else since, under the same document."""

_FAILED: Mapping[UpdateState, str] = MappingProxyType(
    {
        "rejected": "the box refused the release",
        "failed": "the box could not take it this time",
        "rolled_back": "the box took it and went back",
        "rollback_failed": "the box took it, and what ran before does not come back",
    }
)
_UNTOUCHED: frozenset[UpdateState] = frozenset({"resolve", "fetch", "verify", "prepare", "selftest", "shadow"})
_LASTING: frozenset[UpdateCode] = frozenset({"cancelled", "too_many_steps"})  # somebody said no, or a bug did
_PASSING: frozenset[RefusalCode] = frozenset({"expired", "not_yet_valid", "storage", "internal"})
_STALE: frozenset[RefusalCode] = frozenset({"stale_epoch", "stale_revision"})


@dataclass(frozen=True)
class Offer:
    """What a box was offered.

    Args:
        epoch: of its document.
        model_revision: of it.
        slot: that the release is for.
        artifacts: digests of the release's artifacts.
        manifest: SHA-256 of its manifest.
        committed: whether the box committed it before.
    """

    epoch: int
    model_revision: int
    slot: str
    artifacts: frozenset[str]
    manifest: str
    committed: bool = False

    @property
    def order(self) -> tuple[int, int]:
        """Which of two documents' models are newer."""
        return self.epoch, self.model_revision


@dataclass(frozen=True)
class Outcome:
    """How it stands.

    Args:
        state: of the box in the rollout; ``offered`` until there is an end.
        code: why: one of `contracts.update.UpdateCode`, `contracts.desired.RefusalCode` or `LEFT`; None in between.
        reason: in words.
        hard: the box may run neither the release nor what it ran before.
        transient: the same offer may succeed another time.
    """

    state: Literal["offered", "committed", "failed", "superseded"]
    code: str | None = None
    reason: str = ""
    hard: bool = False
    transient: bool = False


_NO_END = Outcome("offered")


def outcome(device: Device, offer: Offer) -> Outcome:
    """How the box stands; asked again with everything that it reports, for even a commit is not for ever.

    Args:
        device: what is known of it.
        offer: what it was offered.
    """
    update = device.update
    order = _order(update)
    if order is not None and order > offer.order:
        return Outcome("superseded", "newer_wish", f"the box is at epoch {order[0]}, model revision {order[1]}")
    if device.epoch is not None and device.epoch > offer.epoch:
        return Outcome("superseded", "stale_epoch", f"the box is at epoch {device.epoch}")
    if update is not None and order == offer.order:
        return _of_attempt(device, update, offer)
    if offer.committed or (device.model_revision == offer.model_revision and update is not None and order is None):
        return _since(device, offer)  # somebody on site came after it
    return _of_refusal(device, offer)


def _of_attempt(device: Device, update: UpdateReport, offer: Offer) -> Outcome:
    """The newest attempt is of the offer."""
    if update.state == "committed" or offer.committed:
        return _since(device, offer, update)
    keeps = device.model_revision == offer.model_revision and _runs(device, offer)
    if keeps and (update.state in _UNTOUCHED or not update.models):
        return _committed(update)  # it ran before this attempt: only other files of it are fetched
    if update.state == "superseded":
        return Outcome("superseded", update.code or update.state, update.reason)
    if update.state not in _FAILED:
        return _NO_END
    return _failed(update)


def _failed(update: UpdateReport) -> Outcome:
    return Outcome(
        "failed",
        update.code or update.state,
        update.reason or _FAILED[update.state],
        hard=update.state == "rollback_failed",
        transient=update.state == "failed" and update.code not in _LASTING,
    )


def _since(device: Device, offer: Offer, update: UpdateReport | None = None) -> Outcome:
    """The box committed the offer; whether it runs it still."""
    if update is not None and update.state == "rollback_failed":
        return _failed(update)
    if _runs(device, offer):
        return _committed(update)
    running = device.models.get(offer.slot)
    if running is None:  # for a while, as when an engine is built anew: what runs instead is not told either
        return _committed(update) if offer.committed else _NO_END
    what = running.release or "a model"
    reason = f"slot {offer.slot} runs {what} since, artifact {running.artifact_digest}, which is not the release"
    return Outcome("failed", LEFT, reason)


def _of_refusal(device: Device, offer: Offer) -> Outcome:
    """Nothing was attempted of the offer yet."""
    refused = device.refused
    if refused is None or (refused.epoch, refused.model_revision) != offer.order:
        return _NO_END
    if refused.code in _STALE:
        return Outcome("superseded", refused.code, refused.reason)
    return Outcome("failed", refused.code, refused.reason, transient=refused.code in _PASSING)


def _committed(update: UpdateReport | None) -> Outcome:
    if update is None or update.state != "committed":
        return Outcome("committed", "committed", "it runs the release")
    return Outcome("committed", update.code or "committed", update.reason)


def runs_release(running: RunningModel | None, artifacts: Collection[str], manifest: str) -> bool:
    """Whether what a slot runs is the release.

    A release may differ from another in its manifest alone, as in a threshold; so the artifact does not tell all, where
    the box's agent is new enough to tell the manifest.
    """
    return running is not None and running.artifact_digest in artifacts and running.manifest in {None, manifest}


def _runs(device: Device, offer: Offer) -> bool:
    return runs_release(device.models.get(offer.slot), offer.artifacts, offer.manifest)


def _order(update: UpdateReport | None) -> tuple[int, int] | None:
    """Epoch and model revision of the document that an attempt is of; None where it is of none."""
    if update is None or update.epoch is None or update.model_revision is None:
        return None
    return update.epoch, update.model_revision
