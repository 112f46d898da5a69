"""Intervals with closed forms: what a number of samples can show.

Ratios of latencies (speed-ups) and paired changes have none: see `bertcompress.stats.bootstrap`.

Percentiles. A p99 of twenty samples is their maximum by another name. The smallest number of
samples behind a percentile follows MLPerf's early stopping rule: with confidence ``c = 0.99`` and
tolerance ``d = 0``, one sample above the true q-percentile must be allowed for, so ``n`` samples
are enough when a binomial count of the samples above it exceeds one with probability ``c``::

    P(Binomial(n, 1 - q) <= 1) = q**n + n (1 - q) q**(n - 1) <= 1 - c

    p90: 64    p95: 130    p99: 662    p99.9: 6636        (p50: any number, with its interval)

Source: MLCommons inference policies, "Appendix: early stopping"; ``min_query_count = 662`` in
mlperf.conf is the same rule at p99.

Proportions. Accuracy is a binomial share: Wilson's score interval, which stays in [0, 1] and
holds near its ends, where the Wald interval does not. Source: Wilson, JASA 22 (1927).

Paired labels. Two models on the same examples differ only where exactly one of them is right.
McNemar's exact test asks whether those discordant examples lean to one side more than fair coins
would. Source: McNemar, Psychometrika 12 (1947).

>>> [minimum_count(q) for q in (0.5, 0.9, 0.95, 0.99, 0.999)]
[1, 64, 130, 662, 6636]
>>> round(mcnemar(only_first=1, only_second=9), 4)   # 2 * (1 + 10) / 2**10
0.0215
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from bertcompress.errors import UsageError

PERCENTILE_CONFIDENCE = 0.99
REPORTED_QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval.

    Attributes:
        estimate: The best single value.
        low: The interval's lower end.
        high: Its upper end.
        confidence: The share of such intervals that hold the true value, 0..1.
    """

    estimate: float
    low: float
    high: float
    confidence: float = 0.95

    def holds(self, value: float) -> bool:
        """Tells whether `value` is inside, so that a difference from it is not shown."""
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Percentile:
    """A percentile, or how many samples are missing before it may be printed.

    Attributes:
        quantile: 0..1.
        value: In the samples' unit, or None when there are too few samples.
        missing: The number of further samples needed; 0 when `value` is there.
    """

    quantile: float
    value: float | None
    missing: int


def minimum_count(quantile: float) -> int:
    """Returns the number of samples that a percentile needs; see the module's docstring.

    Raises:
        UsageError: If the quantile is not inside (0, 1).
    """
    if not 0.0 < quantile < 1.0:
        raise UsageError(f"a quantile must be in (0, 1), got {quantile}")
    if quantile <= 0.5:
        return 1

    def is_enough(count: int) -> bool:
        at_most_one_above = quantile**count + count * (1 - quantile) * quantile ** (count - 1)
        return at_most_one_above <= 1.0 - PERCENTILE_CONFIDENCE

    return bisect_left(range(2**53), True, key=is_enough)


def percentile(samples: Sequence[float], quantile: float) -> Percentile:
    """Returns the percentile if there are samples enough (NumPy's linear rule, type 7)."""
    missing = max(0, minimum_count(quantile) - len(samples))
    if missing:
        return Percentile(quantile, None, missing)
    return Percentile(quantile, float(np.quantile(np.asarray(samples), quantile)), 0)


def coefficient_of_variation(samples: Sequence[float]) -> float | None:
    """Returns the sample standard deviation over the mean; None for fewer than two samples."""
    if len(samples) < 2:
        return None
    values = np.asarray(samples, dtype=np.float64)
    mean = float(values.mean())
    return float(values.std(ddof=1)) / mean if mean else None


def wilson(successes: float, count: int) -> Interval:
    """Returns a share with Wilson's score interval, at 95 %.

    Args:
        successes: The number of right answers; a sum of partial scores makes it conservative,
            since a score in [0, 1] varies no more than a coin of the same mean.
        count: The number of examples, at least one.

    Raises:
        UsageError: If there is no example, or more successes than examples.
    """
    if count < 1 or not 0.0 <= successes <= count + 1e-9:
        raise UsageError(f"an accuracy needs 0 <= right <= examples, got {successes} of {count}")
    share = min(1.0, successes / count)
    z = NormalDist().inv_cdf(0.975)
    shrink = 1.0 + z * z / count
    centre = (share + z * z / (2 * count)) / shrink
    half = z / shrink * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return Interval(share, min(low, share), max(high, share))


def mcnemar(only_first: int, only_second: int) -> float:
    """Returns the exact two-sided p-value of McNemar's test.

    Args:
        only_first: Examples that only the first model got right.
        only_second: Examples that only the second got right.
    """
    discordant = only_first + only_second
    if discordant == 0:
        return 1.0
    tail = sum(math.comb(discordant, k) for k in range(min(only_first, only_second) + 1))
    return min(1.0, float(2 * tail / 2**discordant))
