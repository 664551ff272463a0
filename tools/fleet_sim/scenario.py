"""What a simulated fleet is, and what the new model does to it; read from TOML, and the same for the same seed."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from contracts.documents import Id, WrittenModel
from contracts.facts import FactName
from contracts.update import UpdateCode, UpdateState

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]

Fate = Literal["good", "refuses", "fails", "silent", "crashes", "degrades"]
"""What the new model does to a box.

``refuses``: it is not taken, and nothing changes; ``fails``: it is rolled back; ``silent``: the box dies as soon as the
model counts, each time it starts; ``crashes``: what ran before does not come back either; ``degrades``: it commits, and
counts too little after a while.
"""

_BAD: tuple[Fate, ...] = ("refuses", "fails", "silent", "crashes", "degrades")
_ROUNDING = 1e-6
_HOURS = 24


class Fates(WrittenModel):
    """Shares of a class that the new model does something bad to; the rest takes it well."""

    refuses: Share = 0.0
    fails: Share = 0.0
    silent: Share = 0.0
    crashes: Share = 0.0
    degrades: Share = 0.0

    @model_validator(mode="after")
    def _at_most_all(self) -> Self:
        if sum(self.shares) > 1 + _ROUNDING:
            raise ValueError("the shares should be at most 1 together")
        return self

    @property
    def shares(self) -> tuple[float, ...]:
        """In the order of `_BAD`."""
        return self.refuses, self.fails, self.silent, self.crashes, self.degrades


class SimClass(WrittenModel):
    """A hardware class.

    Attributes:
        name: begins the ids of its boxes.
        share: of the fleet.
        facts: of its boxes.
        labels: of its boxes.
        fates: what the new model does to them.
        refuses_with: the code with which boxes refuse.
        fails_with: the code with which boxes are rolled back.
        silent_for: after which boxes that died start again, to die again; None: they never do.
        degrades_after: from the activation on.
        counts_to: of boxes that degrade, the share that they count of what crosses.
        state_seconds: how long an update stays in a state, where it is not as in the scenario.
    """

    name: Id
    share: Annotated[float, Field(gt=0, le=1)]
    facts: dict[FactName, str | int | float | bool | list[str]]
    labels: dict[Id, str] = Field(default_factory=dict)
    fates: Fates = Fates()
    refuses_with: UpdateCode = "golden_mismatch"
    fails_with: UpdateCode = "fps_low"
    silent_for: Seconds | None = None
    degrades_after: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    counts_to: Share = 0.5
    state_seconds: dict[UpdateState, Seconds] = Field(default_factory=dict)


class Scenario(WrittenModel):
    """A fleet and a new model; all times are seconds of the scenario's own clock.

    Attributes:
        name: of it.
        seed: of everything that chance decides.
        speed: of its seconds go by in one of the machine's.
        classes: of hardware; their shares are 1 together.
        state_seconds: how long an update stays in a state; each box takes half as long to half as long again.
        offline: share of the boxes that are away when the rollout begins.
        returns_after: how long after it they are back, one by one until twice as long.
        health_seconds: between two health messages.
        count_seconds: a window of counts; 0 for none.
        crossings_per_hour: of a camera's line.
        daily: factors of that, by the hour in UTC; empty: the same all day.
        sites: that boxes are spread over, by their label ``site``; 0: they have none.
        flaps_per_hour: how often a box loses its connection, on average.
        flap_seconds: for how long then.
        past_seconds: that the boxes run before the rollout begins, for counts to be compared with.
        rollout: of the spec, what is not as usual.
        fraction: share of the fleet that has the release when a controller is killed; 0: none is.
    """

    name: Id
    seed: int = 1
    speed: Annotated[float, Field(ge=1, le=1_000)] = 1.0
    classes: Annotated[tuple[SimClass, ...], Field(min_length=1, max_length=64, alias="class")]
    state_seconds: dict[UpdateState, Seconds] = Field(default_factory=dict)
    offline: Share = 0.0
    returns_after: Seconds = 10.0
    health_seconds: Seconds = 60.0
    count_seconds: Annotated[float, Field(ge=0, le=3600)] = 60.0
    crossings_per_hour: Annotated[float, Field(ge=0, le=100_000)] = 200.0
    daily: tuple[Annotated[float, Field(ge=0, le=100)], ...] = ()
    sites: Annotated[int, Field(ge=0, le=100_000)] = 0
    flaps_per_hour: Annotated[float, Field(ge=0, le=3_600)] = 0.0
    flap_seconds: Seconds = 2.0
    past_seconds: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    rollout: dict[str, str | int | float] = Field(default_factory=dict)
    fraction: Share = 0.1

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if abs(sum(each.share for each in self.classes) - 1) > _ROUNDING:
            raise ValueError("the shares of the classes should be 1 together")
        if len(self.daily) not in {0, _HOURS}:
            raise ValueError(f"'daily' should have {_HOURS} factors or none, got {len(self.daily)}")
        return self


_USUAL_SECONDS: Mapping[UpdateState, float] = {
    "resolve": 0.5, "fetch": 1.0, "verify": 0.5, "prepare": 1.0, "selftest": 0.5, "activate": 0.5, "probation": 2.0,
    "rolling_back": 0.5,
}  # fmt: skip
"""Far less than a real box takes, whose engine may be built for minutes: what is measured is the controller."""


def seconds_in(scenario: Scenario, state: UpdateState, chance: random.Random, kind: SimClass) -> float:
    """How long a box of a class stays in a state this time."""
    usual = kind.state_seconds.get(state) or scenario.state_seconds.get(state) or _USUAL_SECONDS.get(state, 0.5)
    return usual * chance.uniform(0.5, 1.5)


def population(scenario: Scenario, boxes: int) -> list[tuple[str, SimClass, Fate]]:
    """Boxes with their ids, classes and fates.

    Args:
        scenario: which.
        boxes: how many; each class has at least one.

    Raises:
        ValueError: there are fewer than classes.
    """
    if boxes < len(scenario.classes):
        raise ValueError(f"{len(scenario.classes)} classes take as many boxes, got {boxes}")
    ends = [round(share * boxes) for share in itertools.accumulate(each.share for each in scenario.classes)]
    found: list[tuple[str, SimClass, Fate]] = []
    for each, end in zip(scenario.classes, ends, strict=True):
        count = max(1, end - len(found))
        found += [(f"{each.name}-{n}", each, fate) for n, fate in enumerate(_fates(scenario.seed, each, count))]
    return found


def _fates(seed: int, kind: SimClass, count: int) -> list[Fate]:
    """Exactly the shares, in an order that chance decides."""
    shares = zip(_BAD, kind.fates.shares, strict=True)
    found: list[Fate] = [fate for fate, share in shares for _ in range(round(share * count))][:count]
    found += ["good"] * (count - len(found))
    random.Random(f"{seed} {kind.name}").shuffle(found)  # noqa: S311 - no secret
    return found
