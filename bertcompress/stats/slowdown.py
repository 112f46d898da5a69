"""Is HEAD slower than BASE? The statistics of a comparison that must not fail on noise.

Design. One *round* starts four fresh processes, BASE HEAD HEAD BASE, and lets them take turns on
the same requests. A process is the unit that is drawn: two processes of one build differ by their
memory layout and by what the machine did to them, however many requests each one answers. So each
process counts as one value: the middle, over its requests, of ``log(its seconds / mean of all
four)``. With ``y`` for these values, the additive model of a block design is::

    y[round, process] = round + effect * (process is HEAD) + error

The estimate ``d`` of the effect is the mean of HEAD minus the mean of BASE. Its error comes from
what is left over: mostly from the pairs of the *same* build, which is the A/A run, measured in
the same rounds as the comparison itself. ``n`` rounds leave ``3 n - 1`` degrees of freedom, so
the half-width of a one-sided bound at confidence ``1 - a`` is::

    w = t(1 - a, 3 n - 1) * s / sqrt(n)        low, high = d - w, d + w

``2 w`` is the *resolution*: a slowdown of this size lies above ``w`` (is told from none), with the
confidence of the bound, whatever noise of this size does.

Decision. HEAD **fails** when the upper bound exceeds ``max(allowed, 2 w)``, **passes** when the
upper bound is within what is allowed, and is **undecided** otherwise, which can only be while the
resolution is worse than what is allowed. As ``d + w > 2 w`` is the same as ``d - w > 0``, a
failure always means: slower for certain, and by ``allowed`` or more for all that is known. Hence

- a build compared with itself fails at most as often as ``low > 0`` errs: 1 - confidence;
- a slowdown of ``allowed`` passes at most as often as its bound errs: 1 - confidence;
- in between (slower, but by less than is allowed) either answer may come.

Why not "the *lower* bound exceeds what is allowed"? A build that is slower by exactly what is
allowed has a lower bound under it 99 times in 100 by construction: such a gate never catches 3 %
with a bound of 3 %, however long it measures. See ``docs/adr/0006-compare-in-one-job.md``.

Sequential. After each look at the data the bounds are computed anew; with ``k`` planned looks each
is made at ``1 - (1 - confidence) / k`` (Bonferroni), so all of them hold together and the run may
stop at any.

Source: Kalibera and Jones, "Rigorous Benchmarking in Reasonable Time", ISMM 2013 (processes as
units); Montgomery, "Design and Analysis of Experiments", chapter 4 (randomized blocks).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bertcompress.errors import UsageError

Decision = Literal["passed", "failed", "undecided"]
Round = Sequence[Sequence[float]]

IS_HEAD = (False, True, True, False)
"""The order of a round's processes: BASE, HEAD, HEAD, BASE."""


@dataclass(frozen=True)
class Slowdown:
    """How much longer HEAD takes than BASE; 0.05 means 5 % longer.

    Attributes:
        estimate: The best single value.
        low: It is not less than this, at `confidence`.
        high: It is not more than this, at `confidence`.
        resolution: The smallest slowdown that this run tells from none with certainty.
        noise: The standard deviation between processes of one build.
        rounds: How many rounds stand behind it.
        confidence: Of each bound, over all looks together.
    """

    estimate: float
    low: float
    high: float
    resolution: float
    noise: float
    rounds: int
    confidence: float

    def decide(self, allowed: float) -> Decision:
        """Tells whether a slowdown of `allowed` is ruled out, shown, or neither.

        Raises:
            UsageError: If `allowed` is not in (0, 1).
        """
        if not 0.0 < allowed < 1.0:
            raise UsageError(
                f"the slowdown that is allowed must be in (0, 1), got {allowed:g}"
                + (f"; did you mean {allowed / 100:g}?" if 1.0 <= allowed < 100 else "")
            )
        if self.high > max(allowed, self.resolution):
            return "failed"
        return "passed" if self.high <= allowed else "undecided"


def slowdown_of(rounds: Sequence[Round], *, confidence: float = 0.99, looks: int = 1) -> Slowdown:
    """Returns HEAD's slowdown with its bounds.

    Args:
        rounds: For each round the seconds of each request in each of the four processes, in the
            order `IS_HEAD`; the requests of a round are the same in all four.
        confidence: Of each bound, over all looks together.
        looks: How many looks at the data were planned.

    Raises:
        UsageError: If there are no rounds, or one has not four processes with equally many
            requests.
    """
    from scipy.special import stdtrit  # the harness itself loads without scipy

    if not rounds or looks < 1:
        raise UsageError("a slowdown needs at least one round and one look")
    values = np.stack([process_values(processes) for processes in rounds])
    count = len(values)
    head = np.asarray(IS_HEAD)
    effects = values[:, head].mean(axis=1) - values[:, ~head].mean(axis=1)
    estimate = float(effects.mean())
    left = values - values.mean(axis=1, keepdims=True) - estimate * np.where(head, 0.5, -0.5)
    freedom = 3 * count - 1
    noise = math.sqrt(float((left**2).sum()) / freedom)
    quantile = float(stdtrit(freedom, 1.0 - (1.0 - confidence) / looks))
    width = quantile * noise / math.sqrt(count)
    return Slowdown(
        estimate=math.expm1(estimate),
        low=math.expm1(estimate - width),
        high=math.expm1(estimate + width),
        resolution=math.expm1(2 * width),
        noise=math.expm1(noise),
        rounds=count,
        confidence=confidence,
    )


def process_values(processes: Round) -> NDArray[np.float64]:
    """Returns one value for each process of a round, the logarithm of its relative time.

    Requests differ in length, so each is compared with itself in the other processes first; the
    median over the requests then passes over those that an interrupt hit.
    """
    counts = {len(seconds) for seconds in processes}
    if len(processes) != len(IS_HEAD) or len(counts) != 1 or 0 in counts:
        raise UsageError(
            f"a round needs {len(IS_HEAD)} processes with equally many requests, got "
            f"{[len(seconds) for seconds in processes]}"
        )
    logs = np.log(np.asarray(processes, dtype=np.float64))
    return np.asarray(np.median(logs - logs.mean(axis=0), axis=1))
