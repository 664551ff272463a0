"""What a rollout is asked to do; it never changes once the rollout is there."""

from __future__ import annotations

import itertools
import math
import re
from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator
from typing_extensions import Self

from contracts.documents import Id, Sha256, WrittenModel
from contracts.release import Version
from fleet.rollout.amounts import AmountError, parse_share

_MOST_WAVES = 32
_LONGEST = 366 * 86_400  # seconds
_COUNT = re.compile(r"[1-9][0-9]{0,8}")

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Seconds = Annotated[int, Field(ge=0, le=_LONGEST)]

Halt = Literal["class", "all"]
"""What a halt stops: the hardware class that it came from, or every class."""

OnHalt = Literal["pause", "revert"]
"""What follows a halt: a person decides, or the boxes of what was halted get back what they ran before."""

HALTS: tuple[Halt, ...] = get_args(Halt)
ON_HALTS: tuple[OnHalt, ...] = get_args(OnHalt)


class Wave(WrittenModel):
    """How many boxes of each hardware class have been offered the release once this wave is open, the earlier included.

    Attributes:
        boxes: a number of them; None where it is a share.
        share: of the class, above 0; None where it is a number.
    """

    boxes: Annotated[int, Field(ge=1)] | None = None
    share: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.boxes is None) == (self.share is None):
            raise ValueError("a wave should have either 'boxes' or 'share'")
        return self

    def of(self, boxes: int) -> int:
        """How many of a class of so many boxes: at least one, at most all, shares rounded up."""
        if self.boxes is not None:
            return min(self.boxes, boxes)
        # A share that was written in percent is no exact binary number: 0.07 times 100 is a little more than 7.
        return min(boxes, max(1, math.ceil(round((self.share or 0.0) * boxes, 9)))) if boxes else 0

    def __str__(self) -> str:
        return str(self.boxes) if self.boxes is not None else f"{(self.share or 0.0) * 100:.12g}%"


class RolloutSpec(WrittenModel):
    """A release, the boxes that it is for, and the rules by which it spreads.

    Attributes:
        model: name of it.
        version: of it.
        manifest: SHA-256 of the bundle's manifest.json.
        slot: of the boxes, that should run it.
        artifacts: the digests of all artifacts in the manifest: a box that runs one of them runs the release.
        targets: that the release has artifacts for.
        query: which boxes (`fleet.inventory.query`); empty means every one.
        waves: each with more boxes of every class than the one before; the last is all.
        soak_seconds: a wave goes on without anybody pending before the next is opened.
        max_failed: failed ÷ (committed + failed) that a gate lets through.
        min_committed: committed ÷ eligible that a gate asks for.
        max_silent: silent ÷ eligible that a gate lets through.
        silent_after_seconds: a box that was reached and then said nothing for so long is silent.
        deadline_seconds: a box that was reached and came to no end in so long after the offer is silent.
        retries: how often a box that failed for the moment is offered it again.
        halt: what a halt stops.
        on_halt: what follows it.
        max_drift: how far counts of updated boxes may move against their siblings', as a share of them; None where that
            is not judged.
        penalty_seconds: no rollout takes a box that failed for so long.
        approval: a person has to approve before the first wave.
        standing: boxes that come later and fit get it too.
    """

    model: Id
    version: Version
    manifest: Sha256
    slot: Id = "main"
    artifacts: Annotated[tuple[Sha256, ...], Field(min_length=1, max_length=1_024)]
    targets: Annotated[tuple[Id, ...], Field(max_length=64)] = ()
    query: str = Field("", max_length=4_096)
    waves: Annotated[tuple[Wave, ...], Field(min_length=1, max_length=_MOST_WAVES)] = (
        Wave(boxes=1),
        Wave(share=0.05),
        Wave(share=0.25),
        Wave(share=1.0),
    )
    soak_seconds: Seconds = 1_800
    max_failed: Share = 0.01
    min_committed: Share = 0.9
    max_silent: Share = 0.05
    silent_after_seconds: Annotated[int, Field(ge=1, le=_LONGEST)] = 900
    deadline_seconds: Annotated[int, Field(ge=1, le=_LONGEST)] = 93_600  # a box gives up by itself after 24 h
    retries: Annotated[int, Field(ge=0, le=100)] = 1
    halt: Halt = "class"
    on_halt: OnHalt = "pause"
    max_drift: Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)] | None = None
    penalty_seconds: Seconds = 86_400
    approval: bool = True
    standing: bool = False

    @model_validator(mode="after")
    def _waves_rise(self) -> Self:
        check_waves(self.waves)
        return self


def check_waves(waves: tuple[Wave, ...]) -> None:
    """See that each wave has more boxes than the one before, whatever the size of the class, and the last all.

    Raises:
        ValueError: they do not rise, a number follows a share, or the last is not 100 %.
    """
    for before, wave in itertools.pairwise(waves):
        if before.share is not None and wave.boxes is not None:
            raise ValueError(f"numbers of boxes should come before shares, got {wave} after {before}")
        if (before.boxes or 0) >= (wave.boxes or math.inf) or (before.share or 0) >= (wave.share or math.inf):
            raise ValueError(f"each wave should be larger than the one before, got {wave} after {before}")
    if waves[-1].share != 1:
        raise ValueError(f"the last wave should be 100%, got {waves[-1]}")


def parse_waves(text: str) -> tuple[Wave, ...]:
    """Waves of ``1,5%,25%,100%``: numbers of boxes or shares of each class, each with those before it.

    Raises:
        AmountError: it cannot be read, or the waves do not rise to 100 %.
    """
    waves = tuple(_wave(part.strip()) for part in text.split(","))
    if len(waves) > _MOST_WAVES:
        raise AmountError(f"expected at most {_MOST_WAVES} waves, got {len(waves)}")
    try:
        check_waves(waves)
    except ValueError as error:
        raise AmountError(f"waves {text!r}: {error}") from None
    return waves


def _wave(text: str) -> Wave:
    if _COUNT.fullmatch(text):
        return Wave(boxes=int(text))
    try:
        share = parse_share(text)
    except AmountError:
        share = 0.0
    if not share:
        raise AmountError(f"expected a wave such as 1 (boxes of each hardware class) or 5% (of each), got {text!r}")
    return Wave(share=share)
