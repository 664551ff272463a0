"""A row of values taken one after the other, and how many of them say the same: a parked car is in all of them."""

from __future__ import annotations

import math


class Series:
    """Remembers sums only, so that it does not grow."""

    def __init__(self) -> None:
        self.n = 0
        self.total = 0.0
        self._squares = 0.0
        self._products = 0.0  # of each value and the one before it
        self._first = self._last = 0.0

    def add(self, value: float) -> None:
        """Take in the next value; finite."""
        if self.n:
            self._products += value * self._last
        else:
            self._first = value
        self._last = value
        self.n += 1
        self.total += value
        self._squares += value * value

    @property
    def mean(self) -> float:
        """0 of none."""
        return self.total / self.n if self.n else 0.0

    @property
    def variance(self) -> float:
        """Mean squared distance from the mean."""
        return max(0.0, self._squares / self.n - self.mean**2) if self.n else 0.0

    @property
    def stretch(self) -> float:
        """How many values in a row tell about as much as one: 1 where each is drawn anew, n where all are the same.

        The variance of a mean of values that follow one another is so many times as large as that of a mean of
        independent ones: (1 + r) / (1 - r) with the correlation r of neighbours, for a process that forgets at a
        steady rate (Wilks, Statistical Methods in the Atmospheric Sciences, 5.2.4).
        """
        spread = self.n * self.variance
        if spread <= 1e-9 * max(1.0, self._squares):
            return float(max(self.n, 1))
        mean = self.mean
        inner = 2 * self.total - self._first - self._last
        r = (self._products - mean * inner + (self.n - 1) * mean * mean) / spread
        if not math.isfinite(r) or r <= 0:
            return 1.0
        return min(float(self.n), (1 + r) / (1 - r)) if r < 1 else float(self.n)
