"""Which box gets a release in which wave, and what each wave can prove."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from fleet.rollout.amounts import show_share
from fleet.rollout.spec import RolloutSpec, Wave
from fleet.rollout.statistics import boxes_needed, failure_rate_bound

_SITE = "site"
_ASSUMED_RISK = 0.01  # that a plan is measured by whose spec lets none through or all

_LEFT_OUT = (
    ("misfit", "fit no artifact of this release", "fits no artifact of this release"),
    ("penalty", "failed lately and are left out", "failed lately and is left out"),
)


@dataclass(frozen=True)
class Candidate:
    """A box that a rollout's query means.

    Args:
        device: its id.
        hardware_class: see `fleet.inventory.hardware_class`.
        online: None where it never told.
        misfit: None where the release has an artifact for it; otherwise why not, in words.
        runs_it_already: it is offered it all the same, so that what it wants is what it runs.
        in_penalty: whether it failed lately, so that no rollout takes it now.
        has_warnings: somebody should see to it.
        labels: of the box.
        targets: of the release, that it meets.
    """

    device: str
    hardware_class: str
    online: bool | None = None
    misfit: str | None = None
    runs_it_already: bool = False
    in_penalty: bool = False
    has_warnings: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    targets: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlannedWave:
    """A wave of a class, with at least one box.

    Args:
        wave: its number in the spec's waves, from 0; numbers whose wave adds no box to this class are left out.
        boxes: that it adds.
        cumulated: boxes of this and the earlier waves.
        offline: of ``boxes``, that are not known to be online now.
        bound: the failure rate that no failure of ``cumulated`` boxes leaves possible, 0 to 1; those that run the
            release already prove nothing.
        proves: that in words.
    """

    wave: int
    boxes: tuple[str, ...]
    cumulated: int
    offline: int
    bound: float
    proves: str


@dataclass(frozen=True)
class PlannedClass:
    """A hardware class.

    Args:
        hardware_class: its name.
        waves: in their order; at least one.
        warnings: what it cannot prove, and what will keep it waiting, in words.
    """

    hardware_class: str
    waves: tuple[PlannedWave, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class LeftOut:
    """Boxes that do not get it, for one reason.

    Args:
        kind: which.
        reason: in words.
        devices: the boxes.
    """

    kind: Literal["misfit", "penalty"]
    reason: str
    devices: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """See the module; `plan` makes it.

    Args:
        classes: by name.
        left_out: by reason, the most boxes first.
        coverage: target of the release to how many of the boxes meet it, those left out included.
    """

    classes: tuple[PlannedClass, ...]
    left_out: tuple[LeftOut, ...]
    coverage: Mapping[str, int]

    @property
    def notes(self) -> tuple[str, ...]:
        """What somebody should know before he starts it, in words."""
        return tuple(itertools.chain(self._left_out_notes(), self._class_notes(), self._coverage_notes()))

    def _left_out_notes(self) -> Iterator[str]:
        for kind, many, one in _LEFT_OUT:
            found = [each for each in self.left_out if each.kind == kind]
            total = sum(len(each.devices) for each in found)
            reasons = "; ".join(f"{len(each.devices)}: {each.reason}" for each in found)
            if found:
                yield f"1 box {one} ({reasons})" if total == 1 else f"{total} boxes {many} ({reasons})"

    def _class_notes(self) -> Iterator[str]:
        for one in self.classes:
            yield from (f"{one.hardware_class}: {warning}" for warning in one.warnings)

    def _coverage_notes(self) -> Iterator[str]:
        unused = [target for target, boxes in self.coverage.items() if not boxes]
        if unused and (self.classes or self.left_out):  # of no boxes at all something else is to be said
            yield f"no box meets the release's target {', '.join(unused)}"


def plan(spec: RolloutSpec, boxes: Sequence[Candidate], *, seed: str, confidence: float = 0.95) -> Plan:
    """Make one; the same boxes in any order and the same seed make the same.

    Canaries, the first wave of a class, are boxes that do not run the release yet, are online and have no warnings,
    as far as there are such; of different sites, by the label ``site``. Later waves take what does not run it yet and
    is online first: a box that nobody reaches proves nothing. Otherwise the SHA-256 of seed and id decides.

    Args:
        spec: what is asked.
        boxes: that its query means; no id twice.
        seed: of the rollout, so that not the same boxes are the canaries of every one.
        confidence: of what the waves prove.
    """
    taken = [one for one in boxes if one.misfit is None and not one.in_penalty]
    classes = _grouped(taken, lambda one: one.hardware_class)
    counts = Counter(target for one in boxes for target in one.targets)
    return Plan(
        classes=tuple(_class(spec, name, classes[name], seed, confidence) for name in sorted(classes)),
        left_out=_left_out(boxes),
        coverage={target: counts[target] for target in spec.targets},
    )


@dataclass(frozen=True)
class Proposal:
    """Waves that keep a risk.

    Args:
        waves: the same for all classes.
        needed: boxes without failure that exclude the risk.
        proven: classes that have so many, and more, before the wave of all.
        too_small: the other classes, to what they can prove, in words.
    """

    waves: tuple[Wave, ...]
    needed: int
    proven: tuple[str, ...]
    too_small: Mapping[str, str]


def propose_waves(boxes_per_class: Mapping[str, int], risk: float, confidence: float = 0.95) -> Proposal:
    """Waves that exclude a failure rate above ``risk`` before every box gets the release.

    One canary; then even steps, none above tenfold, to as many boxes as exclude the risk where none of them fails; from
    there tenfold to all boxes of the largest class.

    Args:
        boxes_per_class: hardware class to its number of boxes.
        risk: the failure rate that is to be excluded; above 0, below 1.
        confidence: above 0, below 1.

    Raises:
        ValueError: a number is not as above.
    """
    needed = boxes_needed(risk, confidence)
    largest = max(boxes_per_class.values(), default=0)
    counts = [one for one in _steps(needed, largest) if one < largest]
    waves = (*(Wave(boxes=one) for one in counts), Wave(share=1.0))
    small = {name: boxes for name, boxes in sorted(boxes_per_class.items()) if boxes <= needed}
    return Proposal(
        waves=waves,
        needed=needed,
        proven=tuple(sorted(set(boxes_per_class) - set(small))),
        too_small={name: _too_small(boxes, counts, risk, needed, confidence) for name, boxes in small.items()},
    )


def _steps(needed: int, largest: int) -> list[int]:
    steps = 0
    while 10**steps < needed:
        steps += 1
    found = [1, *(round(needed ** (step / steps)) for step in range(1, steps + 1))] if steps else [1]
    while found[-1] * 10 < largest:
        found.append(found[-1] * 10)
    return sorted(set(found))


def _too_small(boxes: int, counts: Sequence[int], risk: float, needed: int, confidence: float) -> str:
    before = max((one for one in counts if one < boxes), default=0)
    first = _proof(before, confidence) if before else "no wave comes before all of it"
    return (
        f"has {boxes} and {needed} are needed to exclude {show_share(risk)}: {first}; altogether, "
        f"{_proof(boxes, confidence)}"
    )


def _class(spec: RolloutSpec, name: str, boxes: Sequence[Candidate], seed: str, confidence: float) -> PlannedClass:
    ordered = _ordered(spec, boxes, seed)
    waves: list[PlannedWave] = []
    done = 0
    for number, wave in enumerate(spec.waves):
        end = wave.of(len(ordered))
        if end > done:
            waves.append(_wave(number, ordered[:end], done, confidence))
            done = end
    return PlannedClass(name, tuple(waves), tuple(_warnings(spec, ordered, waves, confidence)))


def _wave(number: int, until: Sequence[Candidate], done: int, confidence: float) -> PlannedWave:
    boxes = until[done:]
    fresh = sum(not one.runs_it_already for one in until)
    return PlannedWave(
        wave=number,
        boxes=tuple(one.device for one in boxes),
        cumulated=len(until),
        offline=sum(not one.online for one in boxes),
        bound=failure_rate_bound(fresh, 0, confidence),
        proves=_proof(fresh, confidence),
    )


def _proof(boxes: int, confidence: float) -> str:
    if not boxes:
        return "no box takes it anew, which proves nothing"
    bound = show_share(failure_rate_bound(boxes, 0, confidence))
    return f"0 failures in {boxes} bounds the failure rate at {bound} with {show_share(confidence)} confidence"


def _warnings(
    spec: RolloutSpec, boxes: Sequence[Candidate], waves: Sequence[PlannedWave], confidence: float
) -> Iterator[str]:
    risk = spec.max_failed if 0 < spec.max_failed < 1 else _ASSUMED_RISK
    fresh, needed = sum(not one.runs_it_already for one in boxes), boxes_needed(risk, confidence)
    if fresh < needed:
        yield f"too small to exclude a failure rate of {show_share(risk)}, which takes {needed} boxes: " + _proof(
            fresh, confidence
        )
    if len(waves) == 1:
        yield "all of its boxes get it in one wave"
    if all(not one.online for one in boxes[: waves[0].cumulated]):
        yield "no box of its first wave is online: it waits for one"


def _ordered(spec: RolloutSpec, boxes: Sequence[Candidate], seed: str) -> list[Candidate]:
    """The boxes of a class, the earliest first."""
    chance = {one.device: hashlib.sha256(f"{seed}\0{one.device}".encode()).digest() for one in boxes}
    by_chance = sorted(boxes, key=lambda one: chance[one.device])
    first = spec.waves[0].of(len(boxes))
    canaries = _spread(sorted(by_chance, key=_canary_rank))[:first]
    taken = {one.device for one in canaries}
    rest = [one for one in by_chance if one.device not in taken]
    return [*canaries, *sorted(rest, key=lambda one: (one.runs_it_already, not one.online))]


def _canary_rank(box: Candidate) -> tuple[bool, bool, bool]:
    return box.runs_it_already, not box.online, box.has_warnings


def _spread(ranked: Sequence[Candidate]) -> list[Candidate]:
    """Of boxes of the same rank those of different sites first; the second ones of a site follow."""
    seen: Counter[tuple[object, ...]] = Counter()
    keys: dict[str, tuple[tuple[bool, bool, bool], int]] = {}
    for one in ranked:
        rank, site = _canary_rank(one), one.labels.get(_SITE)
        keys[one.device] = rank, seen[rank, site]
        seen[rank, site] += 1
    return sorted(ranked, key=lambda one: keys[one.device])


def _left_out(boxes: Sequence[Candidate]) -> tuple[LeftOut, ...]:
    misfits = _grouped((one for one in boxes if one.misfit is not None), lambda one: one.misfit or "")
    found = [LeftOut("misfit", why, _ids(ones)) for why, ones in misfits.items()]
    punished = [one for one in boxes if one.misfit is None and one.in_penalty]
    if punished:
        found.append(LeftOut("penalty", "their last rollout failed, and their time out is not over", _ids(punished)))
    return tuple(sorted(found, key=lambda one: (-len(one.devices), one.kind, one.reason)))


def _ids(boxes: Iterable[Candidate]) -> tuple[str, ...]:
    return tuple(sorted(one.device for one in boxes))


Key = TypeVar("Key", bound=str)


def _grouped(boxes: Iterable[Candidate], key: Callable[[Candidate], Key]) -> dict[Key, list[Candidate]]:
    groups: dict[Key, list[Candidate]] = {}
    for one in boxes:
        groups.setdefault(key(one), []).append(one)
    return groups
