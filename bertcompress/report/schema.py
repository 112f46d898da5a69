"""A report: every raw sample of one benchmark run, and where it was made.

All that people read (`bertcompress.report.markdown`, `bertcompress.report.page`) is computed from
this one value, which is kept whole in ``report.json``. Units are seconds, bytes and fractions
throughout; people see milliseconds, megabytes and points.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bertcompress.bench.paired import Paired
from bertcompress.bench.request_rate import ServerResult
from bertcompress.bench.roofs import Roofs
from bertcompress.bench.rounds import MemorySample
from bertcompress.bench.settings import BenchSettings
from bertcompress.bench.tuning import Tuning
from bertcompress.bench.workload import Scenario
from bertcompress.errors import DataError
from bertcompress.machine.environment import Environment
from bertcompress.passes.prune.removed import Explanation
from bertcompress.profiling.operations import Operations
from bertcompress.profiling.precision_map import PrecisionMap
from bertcompress.stats.intervals import Interval
from bertcompress.tasks.base import ClassScore

FORMAT_VERSION = 1

HistoryCell = bool | int | float | str | None


@dataclass(frozen=True)
class Measurement:
    """One workload on one variant: all samples.

    Attributes:
        name: The workload's name.
        scenario: ``single-stream``, ``grid`` or ``offline``; ``best-single-stream`` and
            ``best-offline`` are measured at the variant's own best settings, and a call of the
            latter is one pass over all sentences.
        batch_size: Sentences in a call.
        sequence_length: Tokens in each row, where the workload fixes it.
        rounds: For each round the seconds of each call.
        sentences: For each round the sentences in each call.
        tokens: For each round the real tokens in each call.
        padding_fraction: The share of positions that was padding.
        steady: For each round whether the warm-up ended steady.
        positions: For each round the token positions in each call, padding included.
        energy_j: For each round the energy of all calls, joules; empty where the machine does not
            tell.
    """

    name: str
    scenario: Scenario
    batch_size: int
    sequence_length: int | None
    rounds: tuple[tuple[float, ...], ...]
    sentences: tuple[tuple[int, ...], ...]
    tokens: tuple[tuple[int, ...], ...]
    padding_fraction: float
    steady: tuple[bool, ...] = ()
    positions: tuple[tuple[int, ...], ...] = ()
    energy_j: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class Size:
    """What the artifact takes.

    Attributes:
        file_bytes: The file or files that the runtime loads.
        compressed_bytes: The same after zlib, None if not measured.
        folder_bytes: The whole folder, tokenizer included.
        parameters: Weights, where the artifact knows their number.
    """

    file_bytes: int
    compressed_bytes: int | None
    folder_bytes: int
    parameters: int | None


@dataclass(frozen=True)
class Accuracy:
    """The score of the deployed artifact.

    Attributes:
        metric: The primary metric's name.
        value: Its value.
        interval: Its 95 % interval, None where no honest one is known.
        values: All metrics.
        per_class: Figures of each class, where the task has classes.
        count: Examples scored.
        correct: For each example 1.0, 0.0 or a partial score.
    """

    metric: str
    value: float
    interval: Interval | None
    values: Mapping[str, float]
    per_class: Mapping[str, ClassScore]
    count: int
    correct: tuple[float, ...]


@dataclass(frozen=True)
class HistoryTable:
    """A table that a pass left in the artifact's history."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[HistoryCell, ...], ...]

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise DataError(f"the table {self.title!r} has rows of another width than its columns")


@dataclass(frozen=True)
class HistoryLine:
    """One step that made the artifact.

    Attributes:
        name: The pass.
        settings: Its settings, as text.
        seconds: Its wall time.
        parameters_before: Weights before, where known.
        parameters_after: Weights after, where known.
        bytes_before: Size before.
        bytes_after: Size after.
        tables: What it found, layer by layer or kernel by kernel.
        notes: What it found, in sentences.
        kernels: How many of each kernel and fusion its graph runs, as numbers for gates, however
            the tables call them; None where it counted none, and in reports from before the field.
    """

    name: str
    settings: str
    seconds: float
    parameters_before: int | None
    parameters_after: int | None
    bytes_before: int
    bytes_after: int
    tables: tuple[HistoryTable, ...] = ()
    notes: tuple[str, ...] = ()
    kernels: Mapping[str, int] | None = None


@dataclass(frozen=True)
class VariantResult:
    """All that was measured of one variant.

    Attributes:
        name: As the user calls it.
        runtime: What ran it.
        kind: ``checkpoint``, ``onnx``, or ``peer`` for what another library made.
        size: Files.
        accuracy: The score, None if it was not asked for.
        paired: Against the baseline; None for the baseline itself.
        measurements: Timings.
        load_s: Seconds to load, one a round, the runtime's library included.
        first_answer_s: Seconds from there to the first answer, loading included.
        memory: One sample a round.
        history: How it was made.
        notes: What a reader must know about this row.
        operations: What a call costs by its shape, None where the artifact does not tell.
        tuning: Its best settings and all that was tried, None if that was not asked for.
        best_peak_bytes: The most memory a process took at those settings; None without them.
        server: The rate of requests that it answers in time, None if that was not asked for.
        explanation: What pruning removed and what that cost, None if its history does not tell.
        precision_map: What ran in which precision, None where nothing was quantized, or nobody
            asked.
    """

    name: str
    runtime: str
    kind: str
    size: Size
    accuracy: Accuracy | None
    paired: Paired | None
    measurements: tuple[Measurement, ...]
    load_s: tuple[float, ...]
    first_answer_s: tuple[float, ...]
    memory: tuple[MemorySample, ...]
    history: tuple[HistoryLine, ...] = ()
    notes: tuple[str, ...] = ()
    operations: Operations | None = None
    tuning: Tuning | None = None
    best_peak_bytes: int | None = None
    server: ServerResult | None = None
    explanation: Explanation | None = None
    precision_map: PrecisionMap | None = None


@dataclass(frozen=True)
class DatasetFacts:
    """The data that everything was measured on.

    Attributes:
        source: What the user typed: a hub name, or a file's name without its folder.
        split: Which part of it.
        count: Examples.
        fingerprint: Of their content.
        length_median: Tokens of the median example.
        length_p90: Tokens that nine in ten examples stay under.
        length_maximum: Tokens of the longest.
        notes: What was guessed or converted when it was read.
    """

    source: str
    split: str
    count: int
    fingerprint: str
    length_median: int
    length_p90: int
    length_maximum: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """One benchmark run.

    Attributes:
        format_version: Of this structure; raised when a reader would misread the new one.
        tool_version: The bertcompress that wrote it.
        command: The line that repeats it.
        task: The task's name.
        metric: The primary metric's name.
        baseline: The variant that all others are compared with.
        dataset: What it was measured on.
        settings: How much was measured.
        environment: Where.
        results: A row for each variant, the baseline first.
        again: The baseline measured a second time beside itself.
        tokenization_s: Seconds that tokenizing single examples took, in no latency above.
        notes: What a reader must know about the whole run.
        roofs: The machine's limits, None if they were not asked for.
        skipped: What was asked for and not measured, and why, in sentences.
    """

    format_version: int
    tool_version: str
    command: str
    task: str
    metric: str
    baseline: str
    dataset: DatasetFacts
    settings: BenchSettings
    environment: Environment
    results: tuple[VariantResult, ...]
    again: Measurement | None = None
    tokenization_s: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()
    roofs: Roofs | None = None
    skipped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if all(result.name != self.baseline for result in self.results):
            raise DataError(f"the report has no variant {self.baseline!r}, its baseline")

    @property
    def base(self) -> VariantResult:
        """The baseline's row."""
        return next(result for result in self.results if result.name == self.baseline)
