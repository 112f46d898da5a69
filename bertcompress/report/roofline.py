"""How much of the machine's limit each variant reaches, and where the limit lies by length.

A call's share is the least time that it could take (`bertcompress.bench.roofs`) over the time it
took; a workload's share is the median over its calls. Padding is computed, so it counts as work.
Where a timing holds several batches, they are taken to be alike.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bertcompress.bench.roofs import Attainable, Bound, Roofs, attainable
from bertcompress.report.schema import Measurement, Report, VariantResult


@dataclass(frozen=True)
class Share:
    """What one variant reaches in one workload.

    Attributes:
        workload: The workload's name.
        share: The least time over the time taken, the median over all calls.
        bound: What limits most calls.
    """

    workload: str
    share: float
    bound: Bound


def shares_of(report: Report, result: VariantResult) -> tuple[Share, ...]:
    """Returns a variant's share of the limit for each workload that allows it."""
    if report.roofs is None or result.operations is None:
        return ()
    shares = (_share(measurement, result, report.roofs) for measurement in result.measurements)
    return tuple(share for share in shares if share is not None)


def least_seconds(report: Report, result: VariantResult, lengths: Sequence[int]) -> list[float]:
    """Returns the least time of one sentence of each length; empty without limits."""
    limits = [_limit(report, result, length) for length in lengths]
    return [limit.seconds for limit in limits if limit is not None]


def _limit(report: Report, result: VariantResult, length: int) -> Attainable | None:
    if report.roofs is None or result.operations is None:
        return None
    return attainable(result.operations.work(sentences=1, length=length), report.roofs)


def _share(measurement: Measurement, result: VariantResult, roofs: Roofs) -> Share | None:
    assert result.operations is not None
    known: dict[tuple[int, int], Attainable | None] = {}
    shares, bounds = [], Counter[Bound]()
    for seconds, sentences, places in zip(
        measurement.rounds, measurement.sentences, _positions(measurement), strict=True
    ):
        for second, count, size in zip(seconds, sentences, places, strict=True):
            if (count, size) not in known:
                calls = math.ceil(count / measurement.batch_size)
                work = result.operations.work(sentences=count / calls, length=size / count)
                known[count, size] = _times(calls, attainable(work, roofs))
            limit = known[count, size]
            if limit is None:
                return None
            shares.append(limit.seconds / second)
            bounds[limit.bound] += 1
    if not shares:
        return None
    return Share(measurement.name, median(shares), bounds.most_common(1)[0][0])


def _times(calls: int, limit: Attainable | None) -> Attainable | None:
    return None if limit is None else Attainable(limit.seconds * calls, limit.bound)


def _positions(measurement: Measurement) -> Sequence[Sequence[int]]:
    """Returns the positions of each timing, from the tokens and the padding if need be."""
    if measurement.positions:
        return measurement.positions
    real = 1.0 - measurement.padding_fraction
    return [[round(tokens / real) for tokens in row] for row in measurement.tokens]
