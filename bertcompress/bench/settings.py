"""How much is measured: the one place with the numbers of a run."""

from __future__ import annotations

from dataclasses import dataclass

from bertcompress.errors import UsageError
from bertcompress.stats.intervals import minimum_count

SERVER_QUANTILE = 0.99
"""The percentile of all latencies that the server scenario bounds."""


@dataclass(frozen=True)
class BenchSettings:
    """Settings of a benchmark; the defaults give every percentile up to p99.

    Attributes:
        rounds: How often everything is measured anew, each time in fresh processes.
        requests: Single sentences timed in each round, drawn anew for each.
        grid_batches: Batch sizes of the grid.
        grid_lengths: Sequence lengths of the grid.
        grid_repeats: Runs of each cell of the grid in each round.
        offline_batches: Batch sizes of the offline scenario.
        offline_sentences: Sentences of the offline scenario.
        blocks: Parts that a round's requests are cut into; the variants take turns after each.
        warm_minimum_s: Each process warms up at least so long.
        warm_maximum_s: And no longer than this, steady or not.
        threads: Threads of each runtime; None means what the machine has for us.
        seed: Draws the sentences.
        accuracy: Whether the whole data set is answered and scored.
        accuracy_batch: Batch size of that.
        again: Whether the baseline is measured twice, to learn what this machine can resolve.
        side_by_side: Whether a round's processes are alive together, so that their turns are
            short; False measures one after the other and needs memory for one model only.
        compressed: Whether the size after zlib compression is found as well.
        max_drop: The loss of the primary metric that the verdict accepts.
        tune: Whether each variant's best settings are found, measured and saved with it: threads,
            streams, batch size, order.
        tune_batches: Batch sizes to try.
        tune_slice_s: Seconds of each candidate at first; the better ones are measured longer.
        passage_length: Tokens of single passages, timed besides; None times none.
        passage_repeats: Passages timed in each round.
        server: Whether the highest rate of requests is found that each variant answers in time.
        server_bound_s: What the p99 has to stay under; None means four times the baseline's
            median of one sentence alone.
        server_requests: Requests of each trial.
        peers: Whether what a user would do instead is measured besides; whoever calls the
            benchmark makes them, see `bertcompress.bench.peers`.
        precision_map: Whether each operator of the quantized variants is timed, and told with the
            precision it ran in.
        roofs: Whether the machine's own limits are measured, to compare with.
        roofs_s: About how long that takes, half of it before the timings and half after.
    """

    rounds: int = 5
    requests: int = 150
    grid_batches: tuple[int, ...] = (1,)
    grid_lengths: tuple[int, ...] = (16, 32, 64, 128)
    grid_repeats: int = 20
    offline_batches: tuple[int, ...] = (1, 8, 32)
    offline_sentences: int = 256
    blocks: int = 5
    warm_minimum_s: float = 1.0
    warm_maximum_s: float = 5.0
    threads: int | None = None
    seed: int = 0
    accuracy: bool = True
    accuracy_batch: int = 32
    again: bool = True
    side_by_side: bool = True
    compressed: bool = True
    max_drop: float = 0.01
    tune: bool = True
    tune_batches: tuple[int, ...] = (1, 4, 8, 16, 32)
    tune_slice_s: float = 0.1
    passage_length: int | None = None
    passage_repeats: int = 30
    server: bool = False
    server_bound_s: float | None = None
    server_requests: int = 662
    peers: bool = False
    precision_map: bool = True
    roofs: bool = True
    roofs_s: float = 4.0

    def __post_init__(self) -> None:
        counts = {
            "rounds": self.rounds,
            "requests": self.requests,
            "blocks": self.blocks,
            "accuracy_batch": self.accuracy_batch,
            "threads": 1 if self.threads is None else self.threads,
            "passage_repeats": self.passage_repeats,
        }
        for name, count in counts.items():
            if count < 1:
                raise UsageError(f"{name} must be at least 1, got {count}")
        for name, values in {
            "grid_batches": self.grid_batches,
            "offline_batches": self.offline_batches,
            "tune_batches": self.tune_batches or (0,),
        }.items():
            if any(value < 1 for value in values):
                raise UsageError(f"{name} must be at least 1 each, got {values}")
        if any(length < 3 for length in self.grid_lengths):
            raise UsageError(f"grid_lengths must be at least 3 each, got {self.grid_lengths}")
        self._check_best()
        if self.roofs_s <= 0.0:
            raise UsageError(
                f"roofs_s must be above 0, got {self.roofs_s:g}; to measure none, give roofs false"
            )
        if not 0.0 <= self.max_drop < 1.0:
            raise UsageError(
                f"max_drop must be in [0, 1), got {self.max_drop:g}; did you mean "
                f"{self.max_drop / 100:g}?"
            )
        if self.warm_maximum_s < self.warm_minimum_s:
            raise UsageError(
                f"warm_maximum_s ({self.warm_maximum_s:g}) must not be below warm_minimum_s "
                f"({self.warm_minimum_s:g})"
            )

    def _check_best(self) -> None:
        least = minimum_count(SERVER_QUANTILE)
        if self.server and self.server_requests < least:
            raise UsageError(
                f"server_requests must be at least {least}, which a p99 needs, "
                f"got {self.server_requests}"
            )
        for name, seconds in {
            "tune_slice_s": self.tune_slice_s,
            "server_bound_s": 1.0 if self.server_bound_s is None else self.server_bound_s,
        }.items():
            if seconds <= 0.0:
                raise UsageError(f"{name} must be above 0, got {seconds:g}")
        if self.passage_length is not None and self.passage_length < 3:
            raise UsageError(f"passage_length must be at least 3, got {self.passage_length}")


QUICK = BenchSettings(
    rounds=3,
    requests=50,
    grid_repeats=8,
    offline_sentences=96,
    blocks=3,
    warm_minimum_s=0.3,
    warm_maximum_s=2.0,
    tune=False,
    roofs_s=1.0,
)
"""Enough for a first look: medians and p95, in about half a minute for five small models."""
