"""Whether boxes that were updated count otherwise than their siblings that were not.

A model may be wrong without failing. Of each box the counts per observed hour after the update are compared with those
before it, and the change of the updated boxes with that of the others in the same time (difference in differences):
rain and rush hours move both alike.

Of each box enters the logarithm of after ÷ before. A half is added to each count, so that none at all is a number too
(Haldane 1956, Anscombe 1956). Groups are compared by Yuen's test (Biometrika 61, 1974): the mean without the outer
fifth at either end, as one street that was closed says nothing of the model, with the variance that belongs to it and
Welch's degrees of freedom. Drift is what is left when even the nearer end of the 95 % interval lies beyond what
``max_drift`` allows: gates look often, and each look at an interval that only leaves out 0 would be another chance to
be wrong.

docs/rollouts.md has how often that is right and wrong, measured by ``python -m tools.sibling_sim``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fleet.rollout.amounts import show_share
from fleet.rollout.student import student_quantile

LEAST_BOXES = 4  # of each group; a spread of fewer is no spread
LEAST_BEFORE = 20  # counts of a box before; what counts next to nothing tells next to nothing
LEAST_HOURS = 0.25  # observed, before and after
_TRIM = 0.2  # of each end; Wilcox, "Introduction to Robust Estimation and Hypothesis Testing", recommends it
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class BoxCounts:
    """What a box counted before and after the instant of its commit.

    Of one that was not updated, the same instant as that of those it is compared with. Before and after should cover
    the same hours of the day, or only a few around the instant.

    Args:
        updated: whether it was.
        before: what it counted (crossings).
        before_hours: observed for that.
        after: what it counted.
        after_hours: observed for that.
    """

    updated: bool
    before: float
    before_hours: float
    after: float
    after_hours: float

    @property
    def is_usable(self) -> bool:
        """Whether it tells anything; what came after must not decide that, but for how long it was seen."""
        return self.before >= LEAST_BEFORE and min(self.before_hours, self.after_hours) >= LEAST_HOURS

    @property
    def change(self) -> float:
        """Natural logarithm of how many times as much it counts an hour after than before; of one that is usable."""
        return math.log((self.after + 0.5) / self.after_hours) - math.log((self.before + 0.5) / self.before_hours)


@dataclass(frozen=True)
class Drift:
    """The comparison.

    Args:
        verdict: ``too_few``: nobody can tell; ``drifted``: the interval lies beyond the limit; ``within``: it does not,
            which is no proof that nothing changed.
        effect: natural logarithm of how many times as much updated boxes count, against their siblings; None where too
            few.
        low: lower end of its 95 % interval.
        high: upper end.
        updated: boxes compared.
        siblings: boxes that they were compared with.
        reason: in words.
    """

    verdict: Literal["too_few", "within", "drifted"]
    effect: float | None
    low: float | None
    high: float | None
    updated: int
    siblings: int
    reason: str


def compare(boxes: Sequence[BoxCounts], max_drift: float) -> Drift:
    """See the module.

    Args:
        boxes: of one hardware class.
        max_drift: a share above 0: 0.2 lets pass what is at most 1.2 times as much, and at least 1 / 1.2 of it.
    """
    updated = sorted(one.change for one in boxes if one.updated and one.is_usable)
    siblings = sorted(one.change for one in boxes if not one.updated and one.is_usable)
    sizes = len(updated), len(siblings)
    if min(sizes) < LEAST_BOXES:
        reason = (
            f"{LEAST_BOXES} updated boxes and {LEAST_BOXES} others that count are needed, there are {sizes[0]} and "
            f"{sizes[1]}"
        )
        return Drift("too_few", None, None, None, *sizes, reason)
    effect, half = _yuen(updated, siblings)
    low, high = effect - half, effect + half
    limit = math.log1p(max_drift)
    beyond = low > limit or high < -limit
    words = f"updated boxes count {_times(effect)} what their siblings do (95 %: {_times(low)} to {_times(high)})"
    reason = f"{words}; {show_share(max_drift)} is allowed"
    return Drift("drifted" if beyond else "within", effect, low, high, *sizes, reason)


def _yuen(left: Sequence[float], right: Sequence[float]) -> tuple[float, float]:
    """Difference of the trimmed means of two sorted samples, and half the width of its interval."""
    (mean_left, error_left, df_left), (mean_right, error_right, df_right) = _trimmed(left), _trimmed(right)
    error = error_left + error_right
    if not error:
        return mean_left - mean_right, 0.0
    df = error**2 / (error_left**2 / df_left + error_right**2 / df_right)
    return mean_left - mean_right, student_quantile((1 + _CONFIDENCE) / 2, df) * math.sqrt(error)


def _trimmed(values: Sequence[float]) -> tuple[float, float, int]:
    """Trimmed mean of a sorted sample, the square of its standard error, and its degrees of freedom."""
    n = len(values)
    cut = int(_TRIM * n)
    kept = n - 2 * cut
    mean = math.fsum(values[cut : n - cut]) / kept
    winsorized = [min(max(value, values[cut]), values[n - cut - 1]) for value in values]
    centre = math.fsum(winsorized) / n
    squares = math.fsum((value - centre) ** 2 for value in winsorized)
    return mean, squares / (kept * (kept - 1)), kept - 1


def _times(log_ratio: float) -> str:
    return f"{math.exp(log_ratio):.3g} times"
