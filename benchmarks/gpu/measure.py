"""The measurements of one model: parity, fixed shapes, real lengths, CUDA graphs on and off."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bertcompress.errors import ParityError
from bertcompress.parity.outputs import compare_outputs, parity_feeds
from bertcompress.runtimes import Runtime
from bertcompress.runtimes.torch.graphs import CudaRecorder, Recorder
from bertcompress.runtimes.torch.runtime import TorchRuntime
from bertcompress.runtimes.torch.settings import TORCH_RUNTIMES, TorchSettings
from gpu.steps import Facts, SkippedError
from gpu.subjects import RELATIVE_BOUNDS, ModelFolders, Opened
from gpu.timing import REFUSALS, time_in_turns

Feed = dict[str, NDArray[np.int64]]

_OPENING = 0.6
"""The part of the parity's time after which no further runtime is opened."""

LENGTHS = {"short": (3.1, 0.55, 66), "long": (5.05, 0.5, 384)}
"""Mean and deviation of the logarithm of the lengths, and the longest: like SST-2's (25 tokens in
the mean) and SQuAD's (177)."""


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    Attributes:
        batches: Of the grid.
        lengths: Of the grid, tokens.
        vocabulary: Token ids are drawn below it.
        longest: Tokens that the model has positions for.
        texts: Of the run on real lengths.
    """

    batches: tuple[int, ...]
    lengths: tuple[int, ...]
    vocabulary: int
    longest: int
    texts: int


def parity(
    opened: Opened, model: ModelFolders, scale: Scale, *, threads: int, budget_s: float
) -> Facts:
    """Opens every runtime and compares its answers with those of FP32 torch on the CPU."""
    opened.open_all(budget_s * _OPENING)
    runtimes = _there(opened)
    feeds = parity_feeds(vocabulary=scale.vocabulary, longest=scale.longest)
    with TorchRuntime(model.checkpoint, threads=threads) as reference:
        expected = [reference.run(_taken(reference, feed)) for feed in feeds]
    rows: Facts = {}
    for subject in opened.subjects:
        if subject.name not in runtimes:
            continue
        runtime = runtimes[subject.name]
        got = [runtime.run(_taken(runtime, feed)) for feed in feeds]
        try:
            found = compare_outputs(expected, got, feeds).figures
        except ParityError as error:
            rows[subject.name] = {"within": False, "why": str(error)}
            continue
        relative = found.largest_difference / max(1.0, found.largest_output)
        rows[subject.name] = {
            "max_difference": found.largest_difference,
            "mean_difference": found.mean_difference,
            "agreement": _agreement(expected, got),
            "bound": RELATIVE_BOUNDS[subject.precision] * max(1.0, found.largest_output),
            "within": relative <= RELATIVE_BOUNDS[subject.precision],
        }
    return {"rows": rows, "missing": opened.missing, "opening_s": opened.opening_s}


def grid(opened: Opened, scale: Scale, budget_s: float) -> Facts:
    """Times every runtime on every batch size and length; no text is padded."""
    runtimes = _there(opened)
    shapes = [(b, n) for n in scale.lengths for b in scale.batches if n <= scale.longest]
    ends, rows = time.monotonic() + budget_s, []
    for at, (batch, length) in enumerate(shapes):
        left = ends - time.monotonic()
        if at and left <= 0:
            rows.append({"batch": batch, "length": length, "skipped": "no time was left"})
            continue
        feed = full_feed(batch, length, vocabulary=scale.vocabulary)
        samples, refused = time_in_turns(runtimes, feed, budget_s=left / (len(shapes) - at))
        facts = {
            name: one.facts(texts=batch, tokens=batch * length) for name, one in samples.items()
        }
        rows.append({"batch": batch, "length": length, "runtimes": facts, "refused": refused})
    return {"rows": rows}


def real_lengths(opened: Opened, scale: Scale, budget_s: float) -> Facts:
    """Measures tokens a second over texts of unequal length, in batches made in two ways."""
    runtimes = _there(opened)
    kinds = {name: one for name, one in LENGTHS.items() if one[2] <= scale.longest}
    kinds = kinds or {"short": (2.0, 0.4, scale.longest)}
    each_s = budget_s / (len(kinds) * 3 * len(runtimes))
    made: Facts = {}
    for kind, (mean, deviation, most) in kinds.items():
        lengths = drawn_lengths(mean, deviation, most, scale.texts)
        ways = {
            "32 as they come": [
                list(range(at, min(at + 32, scale.texts))) for at in range(0, scale.texts, 32)
            ],
            "sorted, 128 texts": token_batches(lengths, 16_384, most=128),
            "sorted, 16384 tokens": token_batches(lengths, 16_384, most=scale.texts),
        }
        for way, batches in ways.items():
            feeds = [feed_of(lengths[one], vocabulary=scale.vocabulary) for one in batches]
            padded = sum(feed["input_ids"].size for feed in feeds)
            rates = {
                name: _rate(runtime, feeds, int(lengths.sum()), each_s)
                for name, runtime in runtimes.items()
            }
            share = 1 - float(lengths.sum()) / padded
            made[f"{kind}, {way}"] = {"padding": round(share, 3), "tokens_per_s": rates}
    means = {kind: float(drawn_lengths(*how, scale.texts).mean()) for kind, how in kinds.items()}
    return {"rows": made, "mean_lengths": means}


def graphs_on_and_off(
    model: ModelFolders,
    scale: Scale,
    *,
    threads: int,
    settings: TorchSettings = TORCH_RUNTIMES["torch-cuda-fp16"],
    recorder: Callable[[], Recorder] = CudaRecorder,
    budget_s: float = 1.0,
) -> Facts:
    """Checks that a recorded CUDA graph answers as eager mode does, and times both."""
    eager = replace(settings, graphs=False)
    feeds = [
        full_feed(b, n, vocabulary=scale.vocabulary)
        for b in (1, 8)
        for n in (16, min(128, scale.longest))
    ]
    with (
        TorchRuntime(
            model.checkpoint, threads=threads, settings=settings, recorder=recorder
        ) as recorded,
        TorchRuntime(model.checkpoint, threads=threads, settings=eager) as plain,
    ):
        rows = []
        for feed in feeds:
            first, again = recorded.run(feed)["logits"], recorded.run(feed)["logits"]
            expected = plain.run(feed)["logits"]
            samples, _ = time_in_turns({"graph": recorded, "eager": plain}, feed, budget_s=budget_s)
            rows.append(
                {
                    "shape": list(feed["input_ids"].shape),
                    "same_twice": bool(np.array_equal(first, again)),
                    "difference": float(np.abs(first - expected).max()),
                    "p50_ms": {
                        name: one.facts(texts=1, tokens=1)["p50_ms"]
                        for name, one in samples.items()
                    },
                }
            )
    return {"rows": rows}


def full_feed(batch: int, length: int, *, vocabulary: int) -> Feed:
    """Returns texts of one length, drawn."""
    return feed_of(np.full(batch, length), vocabulary=vocabulary)


def feed_of(lengths: NDArray[np.int64], *, vocabulary: int) -> Feed:
    """Returns drawn texts of the given lengths, padded to the longest."""
    generator = np.random.default_rng(int(lengths.sum()))
    shape = len(lengths), int(lengths.max())
    mask = (np.arange(shape[1])[None, :] < lengths[:, None]).astype(np.int64)
    ids = generator.integers(5, vocabulary, shape, dtype=np.int64) * mask
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def drawn_lengths(mean: float, deviation: float, most: int, texts: int) -> NDArray[np.int64]:
    """Draws the lengths of so many texts, log-normal, from 3 to `most`."""
    drawn = np.random.default_rng(0).lognormal(mean, deviation, texts)
    return np.clip(drawn, 3, most).astype(np.int64)


def token_batches(lengths: NDArray[np.int64], budget: int, *, most: int) -> list[list[int]]:
    """Returns the texts' numbers in batches of similar length, padded no more than `budget` tokens.

    >>> token_batches(np.asarray([3, 9, 4, 8, 5]), 16, most=9)
    [[0, 2, 4], [3], [1]]
    """
    batches: list[list[int]] = [[]]
    for one in (int(at) for at in np.argsort(lengths, kind="stable")):
        count = len(batches[-1])
        if count and (count == most or (count + 1) * lengths[one] > budget):
            batches.append([])
        batches[-1].append(one)
    return batches


def _rate(runtime: Runtime, feeds: Sequence[Feed], tokens: int, budget_s: float) -> float | None:
    """Returns real tokens a second, None if a batch was refused."""
    taken = [_taken(runtime, feed) for feed in feeds]
    try:
        for feed in taken:  # shapes that are new are prepared here
            runtime.run(feed)
    except REFUSALS:  # an engine that was not built for the shape: told as None
        return None
    best, ends = float("inf"), time.monotonic() + budget_s
    while True:
        started = time.perf_counter_ns()
        for feed in taken:
            runtime.run(feed)
        best = min(best, (time.perf_counter_ns() - started) * 1e-9)
        if time.monotonic() >= ends:
            return round(tokens / best, 1)


def _there(opened: Opened) -> Mapping[str, Runtime]:
    runtimes = opened.runtimes()
    if not runtimes:
        raise SkippedError("no runtime could be opened; the table of runtimes says why")
    return runtimes


def _taken(runtime: Runtime, feed: Feed) -> Feed:
    return {name: feed[name] for name in runtime.input_names}


def _agreement(
    expected: Sequence[Mapping[str, NDArray[np.generic]]],
    got: Sequence[Mapping[str, NDArray[np.generic]]],
) -> float:
    both = zip(expected, got, strict=True)
    pairs = [(a["logits"], b["logits"]) for a, b in both if "logits" in a]
    same = [np.equal(a.argmax(-1), b.argmax(-1)).ravel() for a, b in pairs]
    return float(np.concatenate(same).mean()) if same else 1.0
