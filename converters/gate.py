"""The accuracy gate: does an artifact still count what the FP32 model counts. Pure.

On the evaluation pictures, by the paired bootstrap at 95 %: the change of the mean count (bias) and the rise of the
mean absolute error, each divided by the mean true count, must stay below the budget. MLPerf Inference asks the same of
its "99 % of FP32" models; here it is asked of counts, and with an interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from contracts.errors import DocumentError
from contracts.measurement import Accuracy, Interval, Verdict

_BLIND = 0.05  # of the true count: a model that sees less of what is there proves nothing by what it then loses
RESAMPLES = 2000  # Efron and Tibshirani 1993, 13.3: at least 1000 for the ends of an interval
_TIMES, _MOST = 20, 5000  # of the pictures given, and of all that somebody might label
_SEED = 20260101  # the same pictures always give the same verdict

Counts = NDArray[np.float64]
"""float64 ``(n,)``: one count a picture."""


@dataclass(frozen=True)
class Truth:
    """What the artifact's counts are held against.

    Args:
        kind: ``labels``, or ``reference`` where the FP32 counts stand in for labels.
        true: ``(n,)``.
        reference: ``(n,)``: what FP32 counts.

    Raises:
        DocumentError: nothing is there to be counted, so that no share of it can be told.
    """

    kind: Literal["labels", "reference"]
    true: Counts
    reference: Counts

    def __post_init__(self) -> None:
        if not len(self.true) or not float(self.true.mean()) > 0:
            said = "labels hold nothing" if self.kind == "labels" else "model counts nothing in FP32"
            raise DocumentError(
                "--evaluation",
                [f"expected pictures with something to count, the {said} on {len(self.true)}; give other pictures"],
            )

    @property
    def blind(self) -> bool:
        """Whether FP32 finds next to nothing of what is there, so that no loss could show."""
        return float(self.reference.mean()) < _BLIND * float(self.true.mean())


def judge(counts: Counts, truth: Truth, max_loss: float) -> Accuracy:
    """What an artifact loses, and whether that is within the budget.

    Args:
        counts: ``(n,)``: what it counts on the truth's pictures.
        truth: what is true, and what FP32 counts.
        max_loss: the budget, a share of the mean true count.

    Raises:
        ValueError: the number of counts differs.
    """
    if counts.shape != truth.true.shape:
        raise ValueError(f"expected {len(truth.true)} counts, got {len(counts)}")
    off, reference_off = counts - truth.true, truth.reference - truth.true
    bias = _share(off - reference_off, truth.true)
    rise = _share(np.abs(off) - np.abs(reference_off), truth.true)
    verdict = _verdict(bias, rise, max_loss)
    if verdict == "passed" and truth.blind:
        verdict = "undecided"
    return Accuracy(
        truth=truth.kind,
        n=len(counts),
        mean_true=float(truth.true.mean()),
        reference_bias=float(reference_off.mean()),
        bias=float(off.mean()),
        reference_mae=float(np.abs(reference_off).mean()),
        mae=float(np.abs(off).mean()),
        bias_change=bias,
        error_rise=rise,
        max_loss=max_loss,
        verdict=verdict,
        needed=_needed(bias, rise, max_loss, len(counts)) if verdict == "undecided" and not truth.blind else None,
    )


def is_at_the_edge(accuracy: Accuracy) -> bool:
    """Whether more pictures will hardly decide: it would take 20 times those given, or more than 5000.

    So many are asked for only where the estimate lies next to the budget: nearer by half of the interval's root of 20
    than the pictures can tell. Then their number says how near by chance, and not how many would do. Twice those given
    can always be asked for.
    """
    most = max(2 * accuracy.n, min(_TIMES * accuracy.n, _MOST))
    return accuracy.needed is not None and accuracy.needed > most


def _share(change: Counts, true: Counts) -> Interval:
    """Mean change over mean truth, resampled together: the pictures are drawn, not the two apart."""
    order = np.lexsort((change, true))  # the same pictures in another order give the same interval
    change, true = change[order], true[order]
    draws = np.random.default_rng(_SEED).integers(0, len(true), (RESAMPLES, len(true)))
    # Where things are rare, a draw may hold none of them: no share of nothing.
    means = np.maximum(true[draws].mean(axis=1), true.mean() / len(true))
    shares = change[draws].mean(axis=1) / means
    low, high = np.percentile(shares, [2.5, 97.5])
    return Interval(estimate=float(change.mean() / true.mean()), low=float(low), high=float(high))


def _verdict(bias: Interval, rise: Interval, max_loss: float) -> Verdict:
    if abs(bias.estimate) > max_loss or rise.estimate > max_loss:
        return "failed"
    within = -max_loss <= bias.low and bias.high <= max_loss and rise.high <= max_loss
    return "passed" if within else "undecided"


def _needed(bias: Interval, rise: Interval, max_loss: float, n: int) -> int:
    """Pictures after which the interval would fit: its width falls with the root of their number."""
    halves = (
        (max(bias.high - bias.estimate, bias.estimate - bias.low), max_loss - abs(bias.estimate)),
        (rise.high - rise.estimate, max_loss - rise.estimate),
    )
    ratio = max(half / max(room, max_loss / 100) for half, room in halves)  # an estimate at the very edge: not for ever
    return math.ceil(n * max(ratio, 1.0) ** 2)
