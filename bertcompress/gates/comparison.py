"""A comparison of two builds: its settings, and everything that was found, raw samples included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bertcompress.bench.paired import Paired
from bertcompress.bench.rounds import RoundResult
from bertcompress.bench.settings import BenchSettings
from bertcompress.errors import UsageError
from bertcompress.gates.gate import GateResult
from bertcompress.machine.environment import Environment
from bertcompress.report.schema import Accuracy, DatasetFacts, HistoryLine, Size
from bertcompress.stats.slowdown import Slowdown

COMPARISON_VERSION = 1


@dataclass(frozen=True)
class CompareSettings:
    """How much is measured, and what may differ.

    Attributes:
        looks: After so many rounds the speed is looked at, and the run ends if that decides it.
        requests: Single sentences timed in each process of a round.
        blocks: Parts that they are cut into; the processes take turns after each.
        warm_minimum_s: Each process warms up at least so long.
        warm_maximum_s: And no longer than this, steady or not.
        threads: Threads of each runtime. One, because two threads of one product wait for each
            other: on two cores with other work, processes of one build were seen to differ by
            17 % with two threads, by 1.3 % with one. None means what the machine has for us.
        seed: Draws the sentences, and the examples that are answered.
        examples: So many examples are answered and scored, the same ones for the same seed and
            data; None means all.
        answers_batch: Batch size of that.
        confidence: Of each bound of the slowdown, over all looks together.
        max_slowdown: Head may take longer by this fraction.
        max_drop: The primary metric may fall by this much.
        max_growth: Files, parameters and operations may grow by this fraction.
        max_memory_growth: The peak of memory may grow by this fraction.
        speed: Whether speed is measured; all other figures are found on any machine.
        kernels: Whether the counts of kernels and fusions are compared.
        side_by_side: Whether a round's four processes are alive together; False needs memory for
            one model only, and lets the machine drift between them.
    """

    looks: tuple[int, ...] = (3, 5, 8, 12, 20)
    requests: int = 100
    blocks: int = 8
    warm_minimum_s: float = 0.5
    warm_maximum_s: float = 3.0
    threads: int | None = 1
    seed: int = 0
    examples: int | None = 500
    answers_batch: int = 32
    confidence: float = 0.99
    max_slowdown: float = 0.03
    max_drop: float = 0.01
    max_growth: float = 0.01
    max_memory_growth: float = 0.05
    speed: bool = True
    kernels: bool = True
    side_by_side: bool = True

    def __post_init__(self) -> None:
        if not self.looks or self.looks[0] < 1 or sorted(set(self.looks)) != list(self.looks):
            raise UsageError(f"looks must be rounds in rising order, got {self.looks}")
        if not 0.5 < self.confidence < 1.0:
            raise UsageError(f"confidence must be in (0.5, 1), got {self.confidence:g}")
        if self.examples is not None and self.examples < 1:
            raise UsageError(f"examples must be at least 1, got {self.examples}")
        for name, bound in {
            "max_slowdown": self.max_slowdown,
            "max_drop": self.max_drop,
            "max_growth": self.max_growth,
            "max_memory_growth": self.max_memory_growth,
        }.items():
            if not 0.0 <= bound < 1.0:
                raise UsageError(
                    f"{name} must be in [0, 1), got {bound:g}; did you mean {bound / 100:g}?"
                )
        if self.max_slowdown == 0.0:
            raise UsageError("max_slowdown must be above 0: no machine shows equal speed")
        self.of_round()  # refuses what a round can't be measured with

    def of_round(self) -> BenchSettings:
        """Returns the settings that one round is measured with."""
        return BenchSettings(
            rounds=1,
            requests=self.requests,
            blocks=self.blocks,
            warm_minimum_s=self.warm_minimum_s,
            warm_maximum_s=self.warm_maximum_s,
            threads=self.threads,
            accuracy_batch=self.answers_batch,
            side_by_side=self.side_by_side,
        )


@dataclass(frozen=True)
class Build:
    """One side of a comparison: what can be counted, and what it answered.

    Attributes:
        name: As reports call it.
        runtime: What ran it.
        kind: ``checkpoint`` or ``onnx``.
        size: Files and parameters.
        operations: Of one sentence of 128 tokens, None where the artifact does not tell.
        float_operations: Those of them in float.
        kernels: Counts of kernels and fusions, as the artifact's history has them.
        accuracy: On the examples of the comparison.
        peak_bytes: The most memory that the process had which loaded it and answered them.
        history: How it was made.
    """

    name: str
    runtime: str
    kind: str
    size: Size
    operations: int | None
    float_operations: int | None
    kernels: Mapping[str, int]
    accuracy: Accuracy
    peak_bytes: int
    history: tuple[HistoryLine, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """Two builds measured in one job.

    Attributes:
        format_version: Of this structure.
        tool_version: The bertcompress that wrote it.
        command: The line that repeats it.
        task: The task's name.
        dataset: The examples that were answered.
        settings: How much was measured, and what may differ.
        environment: Where.
        base: What is there now.
        head: What shall replace it.
        paired: The answers of head against those of base.
        slowdown: How much longer head takes, None if speed was not measured.
        gates: Each bound, and whether it was kept.
        rounds: Every sample; a round's entrants are base, head, head, base.
        notes: What a reader must know about the machine.
    """

    format_version: int
    tool_version: str
    command: str
    task: str
    dataset: DatasetFacts
    settings: CompareSettings
    environment: Environment
    base: Build
    head: Build
    paired: Paired
    slowdown: Slowdown | None
    gates: tuple[GateResult, ...]
    rounds: tuple[RoundResult, ...] = ()
    notes: tuple[str, ...] = ()
