"""Student's t distribution, of which Python's own library has no quantiles."""

from __future__ import annotations

import math
from statistics import NormalDist

_NORMAL_FROM = 1e6  # degrees of freedom, from which nobody can tell it from the normal distribution
_STEPS = 200  # of Simpson's rule; even
_MOST_ROUNDS = 200
_CLOSE = 1e-9  # relative


def student_quantile(probability: float, df: float) -> float:
    """The value that is not exceeded with this probability.

    Newton's rule from the normal distribution's quantile, which lies below: as the probability rises ever less, no step
    goes too far.

    Args:
        probability: 0.5 to below 1.
        df: degrees of freedom, from 1, whole or not.
    """
    value = NormalDist().inv_cdf(probability)
    if df >= _NORMAL_FROM:
        return value
    for _ in range(_MOST_ROUNDS):
        step = (probability - student_below(value, df)) / _density(value, df)
        value += step
        if step <= _CLOSE * value:
            break
    return value


def student_below(value: float, df: float) -> float:
    """Probability of at most ``value``, from 0 on.

    With ``value = sqrt(df) * tan(angle)`` the density is a power of a cosine, which is smooth and bounded.
    """
    end = math.atan(value / math.sqrt(df))
    step = end / _STEPS
    weights = (1 if i in {0, _STEPS} else 4 if i % 2 else 2 for i in range(_STEPS + 1))
    area = math.fsum(weight * math.cos(i * step) ** (df - 1) for i, weight in enumerate(weights)) * step / 3
    return 0.5 + area * math.exp(_log_scale(df))


def _density(value: float, df: float) -> float:
    return math.exp(_log_scale(df) - (df + 1) / 2 * math.log1p(value**2 / df)) / math.sqrt(df)


def _log_scale(df: float) -> float:
    return math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - math.log(math.pi) / 2
