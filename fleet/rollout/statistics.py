"""What so many boxes with few failures, or none, prove.

The bound is exact and one-sided: Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case
of the binomial", Biometrika 26 (1934). It takes boxes for independent of each other; boxes of one site that fail
together prove less than it says.
"""

from __future__ import annotations

import math

_STEPS = 200  # of a bisection: more than a double has bits
_MOST = 1 << 40  # boxes; nobody has so many


def failure_rate_bound(n: int, failures: int, confidence: float = 0.95) -> float:
    """The highest failure rate that so many boxes do not exclude.

    Were it higher, so few failures would be rarer than ``1 - confidence``.

    Args:
        n: boxes that came to an end, at least 0.
        failures: of them, 0 to ``n``.
        confidence: above 0, below 1.

    Returns:
        0 to 1; 1 where there is no box, or none that did not fail.

    Raises:
        ValueError: an argument is not as above.
    """
    _check(confidence)
    if not 0 <= failures <= n:
        raise ValueError(f"expected 0 to {n} failures of {n} boxes, got {failures}")
    if failures == n:
        return 1.0
    if not failures:
        return -math.expm1(math.log1p(-confidence) / n)
    low, high = failures / n, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _at_most(failures, n, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
        if high - low <= 1e-15 * high:
            break
    return high


def boxes_needed(rate: float, confidence: float = 0.95, failures: int = 0) -> int:
    """The fewest boxes with so many failures whose `failure_rate_bound` is at most ``rate``.

    Args:
        rate: that is to be excluded; above 0, below 1.
        confidence: above 0, below 1.
        failures: among the boxes.

    Raises:
        ValueError: an argument is not as above, or the rate is so low that no fleet is large enough.
    """
    _check(confidence)
    if not 0 < rate < 1 or failures < 0:
        raise ValueError(f"expected a rate above 0 and below 1 and failures from 0, got {rate} and {failures}")
    high = failures + 1
    while failure_rate_bound(high, failures, confidence) > rate:
        high *= 2
        if high > _MOST:
            raise ValueError(f"expected a rate that some fleet can exclude, got {rate}")
    low = high // 2 if high > failures + 1 else failures
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if failure_rate_bound(middle, failures, confidence) <= rate else (middle, high)
    return high


def _at_most(failures: int, n: int, rate: float) -> float:
    """Probability of at most so many failures."""
    if rate >= 1:
        return 0.0
    log_rate, log_rest = math.log(rate), math.log1p(-rate)
    total, log_ways = 0.0, 0.0
    for failed in range(failures + 1):
        total += math.exp(log_ways + failed * log_rate + (n - failed) * log_rest)
        log_ways += math.log(n - failed) - math.log(failed + 1)
    return total


def _check(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"expected a confidence above 0 and below 1, got {confidence}")
