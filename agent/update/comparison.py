"""Whether two models see about the same in the same frames, and whether enough was there to tell. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

from agent.update.errors import UpdateError
from agent.update.series import Series
from contracts.update_config import ShadowConfig

THINGS = "things"
"""What a density map counts: all labels together."""

_RISK = 0.005  # of refusing a model that differs by just what is allowed; shared by all that is compared
_LEAST_FAILED = 10  # frames
_MOST_FAILED = 0.1  # share of the frames
_TOLD = 8  # cameras and labels in a reason


@dataclass(frozen=True)
class Seen:
    """What a model says of one frame.

    Args:
        amounts: how many there are of each label that it knows, or of `THINGS`.
        answers: of a classifier, to each of its questions.
    """

    amounts: Mapping[str, float] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Alike:
    """The two see about the same; with the numbers."""

    text: str


@dataclass(frozen=True)
class Undecided:
    """More has to be compared: what it would take, and how far it is, 0 to 1."""

    text: str
    fraction: float


@dataclass(frozen=True)
class Gap:
    """How far two sums are apart.

    Args:
        old: sum of the model that counts.
        new: of the new one.
        least: what one single thing adds to such a sum: no share is of less.
        variance: of ``new - old``, as far as chance goes.
    """

    old: float
    new: float
    least: float
    variance: float

    @property
    def base(self) -> float:
        """What the gap is a share of."""
        return max(self.old, self.least)

    @property
    def share(self) -> float:
        """The gap as a share of the old sum; below 0 where the new one is smaller."""
        return (self.new - self.old) / self.base

    def exceeds(self, most: float, sigmas: float) -> bool:
        """Whether it is wider than that for sure."""
        return abs(self.share) - sigmas * math.sqrt(self.variance) / self.base > most

    def times_needed(self, most: float, sigmas: float) -> float:
        """How many times as much has to be seen to be sure that a gap of this width is wider; infinite where it isn't.

        Variance and sum both grow with what is seen.
        """
        beyond = abs(self.share) - most
        return math.inf if beyond <= 0 else sigmas**2 * self.variance / self.base**2 / beyond**2


class _Pairs:
    """Pairs of amounts, frame by frame.

    A thing that one model misses is missing in every frame that it is in: frames count as so many fewer as the most
    sluggish of the rows says. What is apart comes and goes by chance, thing by thing: its variance is its number.

    Args:
        are_answers: of these only being apart can be sluggish, for there is always one.
    """

    def __init__(self, *, are_answers: bool) -> None:
        self._old, self._new, self._gap = Series(), Series(), Series()
        self._rows = (self._gap,) if are_answers else (self._old, self._new, self._gap)
        self._apart = 0.0

    def add(self, old: float, new: float) -> None:
        self._old.add(old)
        self._new.add(new)
        self._gap.add(new - old)
        self._apart += abs(new - old)

    def gap(self) -> Gap:
        stretch = max((row.stretch for row in self._rows if row.total or row.variance), default=1.0)
        return Gap(self._old.total, self._new.total, stretch, self._apart * stretch)


class ShadowJudge:
    """Takes what two models see in the same frames; for one caller at a time. It does not grow with the frames.

    Args:
        config: how long, and how far apart they may be.
        began: monotonic seconds.
    """

    def __init__(self, config: ShadowConfig, began: float) -> None:
        self._config = config
        self._began = began
        self._cameras: dict[str, _Pairs] = {}
        self._labels: dict[tuple[str, str], _Pairs] = {}
        self._compared = 0
        self._failed: Counter[str] = Counter()
        self._remarks: dict[str, None] = {}

    def take(self, camera: str, old: Seen, new: Seen) -> None:
        """Take in one frame.

        Args:
            camera: its id.
            old: what the model says that counts.
            new: what the other one says.

        Raises:
            UpdateError: ``cannot_count``: they have nothing in common that could be compared.
        """
        pairs = dict(_pairs(old, new))
        if not pairs:
            raise UpdateError(
                "cannot_count",
                f"the models have no label or question in common ({_names(old)}; {_names(new)}), so they cannot be "
                "compared; take [update.shadow] out for this change",
            )
        self._compared += 1
        are_answers = not old.amounts
        self._cameras.setdefault(camera, _Pairs(are_answers=are_answers)).add(
            sum(one for one, _ in pairs.values()), sum(other for _, other in pairs.values())
        )
        for label, (one, other) in pairs.items() if len(pairs) > 1 else ():
            if one or other or (camera, label) in self._labels:
                self._labels.setdefault((camera, label), _Pairs(are_answers=are_answers)).add(one, other)

    def fail(self, problem: str) -> None:
        """The new model failed on a frame."""
        self._failed[problem if len(self._failed) < _TOLD else next(iter(self._failed))] += 1

    def remark(self, text: str) -> None:
        """Something that whoever reads the result has to know; said once."""
        if len(self._remarks) < _TOLD:
            self._remarks[text] = None

    def decide(self, now: float) -> Alike | Undecided:
        """What is known now.

        Args:
            now: monotonic seconds.

        Raises:
            UpdateError: ``counts_differ`` where they do for sure, ``cannot_count`` where the new one fails on frames.
        """
        self._check_failures()
        config, elapsed = self._config, now - self._began
        done = min(elapsed / config.seconds, self._compared / config.frames)
        if done < 1:
            text = f"{self._compared} of {config.frames} frames, {elapsed:.0f} of {config.seconds:.0f} s beside the old"
            return Undecided(text, max(0.0, done))
        cameras = {name: pairs.gap() for name, pairs in self._cameras.items()}
        labels = {f"{name}, {label}": pairs.gap() for (name, label), pairs in self._labels.items()}
        all_cameras = _together(list(cameras.values()))
        compared = {**cameras, **labels, "all cameras": all_cameras}
        sigmas = NormalDist().inv_cdf(1 - _RISK / len(compared))
        wide = {name: gap for name, gap in compared.items() if gap.exceeds(config.max_difference, sigmas)}
        if wide:
            raise UpdateError("counts_differ", self._differ(wide))
        if abs(all_cameras.share) > config.max_difference:
            return Undecided(self._takes(all_cameras, sigmas), 1.0)
        return Alike(self._alike(cameras, all_cameras))

    def _check_failures(self) -> None:
        failed = sum(self._failed.values())
        if failed >= _LEAST_FAILED and failed > _MOST_FAILED * (failed + self._compared):
            problem = self._failed.most_common(1)[0][0]
            raise UpdateError(
                "cannot_count",
                f"the new model failed on {failed} of {failed + self._compared} frames of the cameras: {problem}",
            )

    def _differ(self, wide: Mapping[str, Gap]) -> str:
        return (
            f"over {self._compared} frames the new model's sums are off by more than "
            f"{self._config.max_difference:.0%} of the old one's: {_told(wide)}{self._said()}; look at both on "
            "pictures of these cameras"
        )

    def _takes(self, gap: Gap, sigmas: float) -> str:
        times = gap.times_needed(self._config.max_difference, sigmas)
        return (
            f"the sums differ by {gap.share:+.0%} ({gap.old:.4g}, {gap.new:.4g}), but too few different things were "
            f"seen to be sure of it: it takes about {max(1, math.ceil((times - 1) * self._compared))} frames more"
        )

    def _alike(self, cameras: Mapping[str, Gap], all_cameras: Gap) -> str:
        nothing = "" if all_cameras.old or all_cameras.new else "; nothing was there to be seen"
        return f"over {self._compared} frames: {_told(cameras)}{nothing}{self._said()}"

    def _said(self) -> str:
        return "".join(f"; {text}" for text in self._remarks)


def _pairs(old: Seen, new: Seen) -> Sequence[tuple[str, tuple[float, float]]]:
    """What both know, old and new. An answer is one thing, which is there where it is the same."""
    if THINGS in {*old.amounts, *new.amounts} and old.amounts and new.amounts:
        return [(THINGS, (sum(old.amounts.values()), sum(new.amounts.values())))]
    amounts = [(label, (old.amounts[label], new.amounts[label])) for label in old.amounts if label in new.amounts]
    answers = [
        (question, (1.0, float(old.answers[question] == new.answers[question])))
        for question in old.answers
        if question in new.answers
    ]
    return amounts or answers


def _together(gaps: Sequence[Gap]) -> Gap:
    return Gap(
        old=sum(gap.old for gap in gaps),
        new=sum(gap.new for gap in gaps),
        least=max((gap.least for gap in gaps), default=1.0),
        variance=sum(gap.variance for gap in gaps),
    )


def _told(gaps: Mapping[str, Gap]) -> str:
    first = [f"{name} {gap.new:.4g} against {gap.old:.4g} ({gap.share:+.0%})" for name, gap in gaps.items()]
    more = f" and {len(first) - _TOLD} more" if len(first) > _TOLD else ""
    return ", ".join(first[:_TOLD]) + more


def _names(seen: Seen) -> str:
    return ", ".join([*seen.amounts, *seen.answers][:_TOLD]) or "none"
