"""Reports made of synthetic samples, and texts for processes that fake their answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bertcompress.bench.environment import Environment
from bertcompress.bench.explanation import Explanation, Piece
from bertcompress.bench.operations import Operations
from bertcompress.bench.paired import Flip, Paired
from bertcompress.bench.report import (
    FORMAT_VERSION,
    Accuracy,
    DatasetFacts,
    HistoryLine,
    Measurement,
    MemorySample,
    Report,
    Size,
    Table,
    VariantResult,
)
from bertcompress.bench.resampling import mean_difference
from bertcompress.bench.roofs import Roof, Roofs
from bertcompress.bench.settings import BenchSettings
from bertcompress.bench.statistics import mcnemar, wilson
from bertcompress.bench.variant import Subject
from bertcompress.bench.workload import Scenario
from bertcompress.examples import Dataset, TextExample
from bertcompress.tasks.base import ClassScore, Feature
from bertcompress.tasks.text_classification import TextClassification

# Each variant: its name, how many times as fast, its megabytes, its share of right answers.
ROWS = (
    ("FP32", 1.0, 90.9, 0.885),
    ("pruned", 1.36, 78.4, 0.878),
    ("INT8", 2.35, 23.4, 0.883),
    ("pruned + INT8", 2.86, 20.3, 0.876),
    ("INT4", 0.71, 17.2, 0.868),
)
TEXTS = (
    "I asked for a refund two weeks ago and the money still is not on my account",
    "Not nearly as bad as the trailer made me fear",
    "My card was declined at the till although there is enough on it",
    "A film that mistakes noise for wit, and length for depth",
    "Could you please tell me when the transfer will arrive",
    "The plot is thin, the songs are not, and that is quite enough for a summer evening",
)


def environment() -> Environment:
    return Environment(
        date="2026-11-21T09:30:00+00:00",
        cpu_model="AMD EPYC",
        cpu_flags=("avx2", "avx512f", "avx512_vnni", "avx512_bf16"),
        logical_cpus=2,
        physical_cpus=2,
        affinity_cpus=2,
        quota_cpus=None,
        threads=2,
        load_before=0.1,
        memory_bytes=25_276_514_304,
        available_bytes=24_824_221_696,
        steal_fraction=0.001,
        busy_fraction=0.93,
        governor=None,
        system="Linux 6.18 x86_64",
        python="CPython 3.11.7",
        libraries={"bertcompress": "0.1.0", "numpy": "2.4.6", "onnxruntime": "1.31.1"},
        thread_variables={"OMP_NUM_THREADS": "2"},
    )


def measurement(
    name: str,
    scenario: Scenario,
    base_ms: float,
    counts: tuple[int, int],
    seed: int,
    **settings: int,
) -> Measurement:
    rounds, samples = counts
    generator = np.random.default_rng(seed)
    lengths = np.random.default_rng(7).lognormal(0.0, 0.35, (rounds, samples))
    if scenario == "grid":
        lengths = np.ones((rounds, samples))
    mood = np.exp(np.random.default_rng(8).normal(0.0, 0.02, (rounds, 1)))
    own = np.exp(generator.normal(0.0, 0.008, (rounds, 1)))
    noise = np.exp(np.abs(generator.normal(0.0, 0.04, (rounds, samples))))
    seconds = base_ms * 1e-3 * lengths * mood * own * noise
    batch = settings.get("batch", 1)
    length = settings.get("length")
    tokens = np.maximum(3, (lengths * 24)).astype(int) * batch if length is None else None
    return Measurement(
        name=name,
        scenario=scenario,
        batch_size=batch,
        sequence_length=length,
        rounds=tuple(tuple(round(float(s), 8) for s in row) for row in seconds),
        sentences=((batch,) * samples,) * rounds,
        tokens=((length or 0,) * samples,) * rounds
        if tokens is None
        else tuple(tuple(int(t) for t in row) for row in tokens),
        padding_fraction=0.0 if batch == 1 else 0.04,
        steady=(True,) * rounds,
    )


def measurements(speed: float, settings: BenchSettings, seed: int) -> tuple[Measurement, ...]:
    grid = settings.rounds, max(1, settings.grid_repeats)
    made = [
        measurement(
            "own-lengths", "single-stream", 3.64 / speed, (settings.rounds, settings.requests), seed
        )
    ]
    for i, length in enumerate(settings.grid_lengths):
        cost = (1.2 + 0.11 * length) / speed + 0.15
        made.append(
            measurement(f"grid-1x{length}", "grid", cost, grid, seed + 10 + i, length=length)
        )
    for i, batch in enumerate(settings.offline_batches):
        cost = batch * (2.3 + 1.2 / batch**0.5) / speed**0.85
        made.append(
            measurement(
                f"offline-{batch}",
                "offline",
                cost,
                (settings.rounds, 24),
                seed + 20 + i,
                batch=batch,
            )
        )
    return tuple(made)


def correct_of(share: float, count: int, seed: int) -> np.ndarray:
    right = np.random.default_rng(5).random(count) < 0.885
    if share == 0.885:
        return right.astype(float)
    flips = np.random.default_rng(seed).random(count) < 0.02
    changed = right ^ flips
    surplus = round(changed.sum() - share * count)
    where = np.flatnonzero(changed) if surplus > 0 else np.flatnonzero(~changed)
    changed[where[: abs(surplus)]] = surplus < 0
    return changed.astype(float)


def accuracy(correct: np.ndarray) -> Accuracy:
    value = float(correct.mean())
    classes = {
        "negative": ClassScore(value + 0.004, value - 0.012, value - 0.004, 912),
        "positive": ClassScore(value - 0.006, value + 0.014, value + 0.004, 909),
    }
    return Accuracy(
        metric="accuracy",
        value=value,
        interval=wilson(float(correct.sum()), len(correct)),
        values={"accuracy": value, "f1_macro": value - 0.001},
        per_class=classes,
        count=len(correct),
        correct=tuple(correct.tolist()),
    )


def paired(before: np.ndarray, after: np.ndarray) -> Paired:
    difference, _ = mean_difference(before.tolist(), after.tolist())
    lost, gained = int((after < before).sum()), int((after > before).sum())
    words = ("negative", "positive")
    flips = tuple(
        Flip(
            f"test.tsv:{i}",
            TEXTS[i % len(TEXTS)],
            words[i % 2],
            words[i % 2] if before[i] else words[1 - i % 2],
            words[i % 2] if after[i] else words[1 - i % 2],
            0.91,
            0.62,
            float(before[i]),
            float(after[i]),
        )
        for i in sorted(np.flatnonzero(before != after), key=lambda i: after[i] - before[i])
    )
    return Paired(
        agreement=1 - (lost + gained) / len(before),
        metric="accuracy",
        difference=difference,
        p_value=mcnemar(lost, gained),
        test="McNemar, exact",
        lost=lost,
        gained=gained,
        logit_kl=0.0123,
        flip_count=len(flips),
        flips=flips[:200],
    )


def history(name: str) -> tuple[HistoryLine, ...]:
    lines = []
    if "pruned" in name:
        rows = tuple(
            (layer, 12, 12 - (layer * 2) % 7, 1536, 1536 - 64 * ((layer * 5) % 9))
            for layer in range(6)
        )
        columns = ("layer", "heads before", "heads after", "ffn before", "ffn after")
        table = Table("layers", columns, rows)
        lines.append(
            HistoryLine(
                "PruneHeads",
                "fraction 0.3",
                41.2,
                22_713_986,
                19_600_130,
                90_900_000,
                78_400_000,
                (table,),
            )
        )
    if "INT" in name:
        kernels = Table(
            "kernels",
            ("what", "value"),
            (("QLinearMatMul", 36), ("DynamicQuantizeMatMul", 0), ("Attention", 6)),
        )
        notes = ("the classifier stayed in float: 768 weights",)
        lines.append(
            HistoryLine(
                "QuantizeStatic",
                "bits 8, per channel True",
                12.9,
                None,
                None,
                90_900_000,
                23_400_000,
                (kernels,),
                notes,
            )
        )
    return tuple(lines)


def synthetic_report(
    rows: tuple[tuple[str, float, float, float], ...] = ROWS,
    settings: BenchSettings | None = None,
    count: int = 1821,
) -> Report:
    """Returns a report of made-up samples; `rows` holds name, speed, megabytes, accuracy."""
    settings = settings or BenchSettings()
    first = correct_of(rows[0][3], count, 0)
    results = []
    for i, (name, speed, megabytes, share) in enumerate(rows):
        own = correct_of(share, count, 100 + i)
        size = int(megabytes * 1e6)
        results.append(
            VariantResult(
                name=name,
                runtime="ort-cpu",
                kind="onnx",
                size=Size(size, int(size * 0.9), size + 1_000_000, 22_713_986),
                accuracy=accuracy(own),
                paired=paired(first, own) if i else None,
                measurements=measurements(speed, settings, 1000 * i),
                load_s=(0.31, 0.29, 0.3),
                first_answer_s=(0.34, 0.33, 0.35),
                memory=(MemorySample(34_000_000, size + 60_000_000, size + 90_000_000, size * 3),),
                history=history(name),
            )
        )
    return Report(
        format_version=FORMAT_VERSION,
        tool_version="0.1.0",
        command="bertcompress bench fp32 pruned int8 pruned-int8 int4 --data test.tsv --rounds 5",
        task="text-classification",
        metric="accuracy",
        baseline=rows[0][0],
        dataset=DatasetFacts("test.tsv", "test", count, "0123456789abcdef", 24, 41, 66),
        settings=settings,
        environment=environment(),
        results=tuple(results),
        tokenization_s=(0.00012, 0.00011, 0.00015),
        again=replace(measurements(1.0, settings, 77_000)[0], name="own-lengths"),
    )


def make_subject(count: int = 60) -> Subject:
    """Returns texts of random length whose gold answer a fake mostly knows."""
    generator = np.random.default_rng(0)
    features, examples = [], []
    for i in range(count):
        ids = generator.integers(1000, 2000, int(generator.integers(4, 30)))
        ids[0], ids[-1] = 101, 102
        inputs = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.zeros_like(ids),
        }
        features.append(Feature(i, inputs))
        label = "a" if i % 9 == 0 else ("a", "b")[int(ids.sum() % 2)]
        examples.append(TextExample(f"made:{i}", f"text number {i}", label=label))
    dataset = Dataset(tuple(examples), "made", "test")
    return Subject(dataset, TextClassification(("a", "b")), features)


@pytest.fixture(scope="session")
def explanation() -> Explanation:
    """Gives two layers of three heads and eight neurons, of which some were removed."""
    return Explanation(
        head_costs=((0.1, 0.001, 0.02), (0.0005, 0.0, None)),
        heads_kept=((0, 2), (0, 1, 2)),
        ffn_before=(8, 8),
        ffn_after=(8, 2),
        ffn_costs=((), (0.0, 0.003, 0.01, 0.03, 0.4)),
        pieces=(Piece("heads", 0, 1, 3, 0.001, 0.0012), Piece("ffn", 1, 6, 8, 0.03, None)),
        cost_unit="KL, nats",
    )


@pytest.fixture(scope="session")
def explained_report(explanation: Explanation) -> Report:
    """Gives a report whose two pruned variants come from one pruning."""
    report = synthetic_report(settings=BenchSettings(rounds=2, requests=40))
    results = tuple(
        replace(result, explanation=explanation) if "pruned" in result.name else result
        for result in report.results
    )
    return replace(report, results=results)


@pytest.fixture(scope="session")
def report() -> Report:
    return synthetic_report()


@pytest.fixture(scope="session")
def limited_report() -> Report:
    """Gives a report with the machine's limits and each variant's operations: MiniLM's."""
    report = synthetic_report(settings=BenchSettings(rounds=2, requests=40))
    products, width, table = 21_233_664, 4_608, 4_608
    float_model = Operations(products, 0, 296_448, 0, width, 43_000_000, table)
    integer_model = Operations(0, products, 1_536, 294_912, width, 11_000_000, table // 2)
    rates = (("fp32", 1.5e11), ("int8", 6.0e11), ("read", 1.6e10), ("copy", 1.5e10))
    roofs = tuple(
        Roof(kind, threads, rate * threads, (rate * threads,) * 3, "a made-up product")  # type: ignore[arg-type]  # a kind
        for kind, rate in rates
        for threads in (1, 2)
    )
    results = tuple(
        replace(result, operations=integer_model if "INT" in result.name else float_model)
        for result in report.results
    )
    return replace(report, results=results, roofs=Roofs(2, roofs))


@pytest.fixture
def make_report() -> Callable[..., Report]:
    return synthetic_report


@pytest.fixture(scope="session")
def subject() -> Subject:
    return make_subject()
