"""Whether a document is taken: newer than all before it, and not out of date. Pure."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from agent.remote.refusals import DocumentRefusedError
from contracts.desired import Desired, WrongField, canonical
from contracts.documents import MachineModel

CLOCK_SLACK = 300.0  # seconds that a controller's clock may be ahead of ours
_NEEDS_SIGNATURE = ("gst:",)  # a pipeline can write files: whoever may send it may do anything to the box


class Floors(MachineModel):
    """What was taken so far, below which nothing is taken any more. Kept on disk.

    ``config_print`` and ``models_print`` are SHA-256 digests of what came under the newest revisions, passwords
    included; ``rejected`` is that of a configuration that was taken back; ``seen`` is the latest time, in seconds since
    1970, that was ever believed.
    """

    epoch: int = Field(0, ge=0)
    config_revision: int = Field(0, ge=0)
    config_print: str = ""
    model_revision: int = Field(0, ge=0)
    models_print: str = ""
    rejected: str = ""
    seen: float = 0.0

    @property
    def order(self) -> tuple[int, int, int]:
        """What never falls."""
        return self.epoch, self.config_revision, self.model_revision


@dataclass(frozen=True)
class Moment:
    """Now, as far as this box knows.

    Args:
        wall: seconds since 1970 by the wall clock.
        trusted: whether that clock is synchronised; None where nobody can tell.
    """

    wall: float
    trusted: bool | None

    def now(self, floors: Floors) -> float:
        """Seconds since 1970: a clock that is not trusted is not believed where it is behind what was seen before."""
        return self.wall if self.trusted else max(self.wall, floors.seen)


def fingerprint(part: object) -> str:
    """SHA-256 of a part of a document, as it came."""
    return hashlib.sha256(canonical(part)).hexdigest()


def judge(desired: Desired, document: Mapping[str, object], floors: Floors, moment: Moment) -> Literal["new", "same"]:
    """Whether the document is the one that was taken last, or a newer one.

    Args:
        desired: the document.
        document: the same as it came.
        floors: what was taken so far.
        moment: now.

    Raises:
        DocumentRefusedError: it is neither, or out of date.
    """
    prints = fingerprint(document["config"]), fingerprint(document.get("models", {}))
    _check_order(desired, floors)
    if desired.epoch == floors.epoch:
        config_same = _check_reuse(desired.config_revision, floors.config_revision, prints[0] == floors.config_print)
        models_same = _check_reuse(desired.model_revision, floors.model_revision, prints[1] == floors.models_print)
        if config_same and prints[0] == floors.rejected:
            raise DocumentRefusedError(
                "reverted", "this configuration was taken back, as it lost the broker; publish a new revision"
            )
        if config_same and models_same:
            return "same"
    _check_time(desired, floors, moment)
    return "new"


def raised(desired: Desired, document: Mapping[str, object], floors: Floors, moment: Moment) -> Floors:
    """The floors once the document is taken."""
    now = moment.wall if moment.trusted else max(moment.now(floors), desired.issued.timestamp())
    return Floors(
        epoch=desired.epoch,
        config_revision=desired.config_revision,
        config_print=fingerprint(document["config"]),
        model_revision=desired.model_revision,
        models_print=fingerprint(document.get("models", {})),
        seen=now,
    )


def highest(*floors: Floors) -> Floors:
    """The floors that exclude the most, of several copies; what was rejected under it stays so."""
    top = max(floors, key=lambda one: (one.order, bool(one.rejected)))
    return top.model_copy(update={"seen": max(one.seen for one in floors)})


def unsigned_problems(desired: Desired) -> list[WrongField]:
    """What only a signed document may ask for."""
    cameras = desired.config.keys.get("camera", ())
    assert isinstance(cameras, tuple)
    return [
        WrongField(
            path=f"config.camera.{camera['id']}.source",
            problem="a pipeline can write files, so it is only taken from a signed document",
        )
        for camera in cameras
        if str(camera.get("source", "")).lstrip().lower().startswith(_NEEDS_SIGNATURE)
    ]


def _check_order(desired: Desired, floors: Floors) -> None:
    if desired.epoch < floors.epoch:
        raise DocumentRefusedError(
            "stale_epoch", f"epoch {desired.epoch} came, {floors.epoch} was seen before; a lower one is not taken"
        )
    if desired.epoch > floors.epoch:
        return
    for what, came, floor in (
        ("config_revision", desired.config_revision, floors.config_revision),
        ("model_revision", desired.model_revision, floors.model_revision),
    ):
        if came < floor:
            raise DocumentRefusedError(
                "stale_revision", f"{what} {came} came, {floor} was seen before; publish a higher one"
            )


def _check_reuse(came: int, floor: int, same: bool) -> bool:  # noqa: FBT001 - a comparison's outcome
    """Whether it is the same part under the same revision."""
    if came == floor and came and not same:
        raise DocumentRefusedError(
            "revision_reused", f"revision {came} was used before with another content; publish a new revision"
        )
    return came == floor


def _check_time(desired: Desired, floors: Floors, moment: Moment) -> None:
    now = moment.now(floors)
    if now >= desired.expires.timestamp():
        raise DocumentRefusedError(
            "expired", f"the document expired {_text(desired.expires)}, here it is {_text(_utc(now))}; issue a new one"
        )
    if moment.trusted and desired.issued.timestamp() > now + CLOCK_SLACK:
        raise DocumentRefusedError(
            "not_yet_valid",
            f"the document is issued {_text(desired.issued)}, here it is {_text(_utc(now))}; check the sender's clock",
        )


def _utc(seconds: float) -> dt.datetime:
    """A time; one beyond what can be written down stands at the end of it."""
    return dt.datetime.fromtimestamp(min(max(0.0, seconds), 253_402_300_799.0), dt.timezone.utc)


def _text(when: dt.datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%S%z").replace("+0000", "Z")
