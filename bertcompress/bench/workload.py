"""Workloads: the inputs that are timed, made before the clock runs and the same for all variants.

Three kinds, after MLPerf's scenarios: *single-stream* replays the data set's own lengths one
sentence at a time; the *grid* has fixed batch x length, to compare with published tables and to
show how latency grows; *offline* has all sentences at hand, sorts them by length and runs them in
batches. Inputs are always real token streams: random ids would hit other embedding rows and other
attention patterns than any text does.

A workload travels to the measuring process as one ``.npz`` file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bertcompress.artifacts.model_config import INPUT_NAMES
from bertcompress.errors import DataError, UsageError
from bertcompress.inference.streams import batches_of
from bertcompress.tasks.base import Feature, pad

Scenario = Literal["single-stream", "grid", "offline", "best-single-stream", "best-offline"]
BEST_OFFLINE, BEST_SINGLE_STREAM = "offline at best", "own-lengths at best"
Feed = Mapping[str, NDArray[np.int64]]


@dataclass(frozen=True)
class Workload:
    """Feeds to be run in order.

    Attributes:
        name: Unique within a run.
        scenario: What kind it is; see the module's docstring.
        batch_size: Sentences in a feed (the last feed of an offline workload may have fewer).
        sequence_length: Tokens in each row of a grid workload, None for the others.
        feeds: For each call the model's inputs, int64 ``[batch, sequence]``.
    """

    name: str
    scenario: Scenario
    batch_size: int
    sequence_length: int | None
    feeds: tuple[Feed, ...]

    @property
    def sentences(self) -> tuple[int, ...]:
        """The number of sentences in each feed."""
        return tuple(int(feed["input_ids"].shape[0]) for feed in self.feeds)

    @property
    def tokens(self) -> tuple[int, ...]:
        """The number of real tokens in each feed, padding not counted."""
        return tuple(int(feed["attention_mask"].sum()) for feed in self.feeds)

    @property
    def positions(self) -> tuple[int, ...]:
        """The number of token positions in each feed, padding included."""
        return tuple(int(feed["input_ids"].size) for feed in self.feeds)

    @property
    def padding_fraction(self) -> float:
        """The share of all token positions that is padding."""
        positions = sum(self.positions)
        return 1.0 - sum(self.tokens) / positions if positions else 0.0


def sample_features(features: Sequence[Feature], count: int, *, seed: int) -> list[Feature]:
    """Draws features with their own length distribution; anew only when all have been drawn."""
    if not features:
        raise DataError("there is nothing to time: the data set gave no features")
    generator = np.random.default_rng(seed)
    order: list[int] = []
    while len(order) < count:
        order += generator.permutation(len(features)).tolist()
    return [features[i] for i in order[:count]]


def single_stream(features: Sequence[Feature], *, pad_token_id: int, name: str) -> Workload:
    """Makes a workload of one sentence a feed, each as long as it is."""
    feeds = tuple(pad([feature], pad_token_id=pad_token_id) for feature in features)
    return Workload(name, "single-stream", 1, None, feeds)


def grid(
    features: Sequence[Feature], *, batch_size: int, sequence_length: int, repeats: int
) -> Workload:
    """Makes a workload of rows that are all exactly `sequence_length` tokens long, no padding.

    The rows are cut from the features' own tokens, laid end to end between the first feature's
    first and last token (``[CLS]`` and ``[SEP]``).

    Args:
        features: Where the tokens come from.
        batch_size: Rows in a feed.
        sequence_length: Tokens in a row, at least 3.
        repeats: The number of feeds.

    Raises:
        UsageError: If the length leaves no room for a token of the text.
    """
    if sequence_length < 3:
        raise UsageError(f"a grid length must be at least 3, got {sequence_length}")
    stream = _text_tokens(features)
    ends = features[0].inputs["input_ids"]
    inner = sequence_length - 2
    feeds = []
    for k in range(repeats):
        first = k * batch_size * inner
        body = stream.take(np.arange(first, first + batch_size * inner), mode="wrap")
        ids = np.empty((batch_size, sequence_length), dtype=np.int64)
        ids[:, 0], ids[:, -1] = ends[0], ends[-1]
        ids[:, 1:-1] = body.reshape(batch_size, inner)
        feeds.append(
            {
                "input_ids": ids,
                "attention_mask": np.ones_like(ids),
                "token_type_ids": np.zeros_like(ids),
            }
        )
    name = f"grid-{batch_size}x{sequence_length}"
    return Workload(name, "grid", batch_size, sequence_length, tuple(feeds))


def offline(features: Sequence[Feature], *, batch_size: int, pad_token_id: int) -> Workload:
    """Makes a workload of all features, sorted by length, in padded batches."""
    ordered = sorted(features, key=lambda feature: feature.length)
    feeds = tuple(
        pad(ordered[start : start + batch_size], pad_token_id=pad_token_id)
        for start in range(0, len(ordered), batch_size)
    )
    return Workload(f"offline-{batch_size}", "offline", batch_size, None, feeds)


def all_at_once(
    features: Sequence[Feature], *, batch_size: int, sort_by_length: bool, pad_token_id: int
) -> Workload:
    """Makes a workload of all features in the batches that several streams share.

    Sorted by length, the longest batches come first; see `bertcompress.inference.streams`.
    """
    lengths = [feature.length for feature in features]
    batches = batches_of(lengths, batch_size=batch_size, sort_by_length=sort_by_length)
    feeds = tuple(pad([features[i] for i in batch], pad_token_id=pad_token_id) for batch in batches)
    return Workload(BEST_OFFLINE, "best-offline", batch_size, None, feeds)


def passages(features: Sequence[Feature], *, sequence_length: int, repeats: int) -> Workload:
    """Makes a workload of single passages of one length, as published tables have them."""
    workload = grid(features, batch_size=1, sequence_length=sequence_length, repeats=repeats)
    return replace(workload, name=f"passages-{sequence_length}")


def part_of(workload: Workload, part: int, parts: int) -> range:
    """Returns the feeds of one of `parts` nearly equal blocks of the workload."""
    count = len(workload.feeds)
    return range(count * part // parts, count * (part + 1) // parts)


def save_workload(workload: Workload, path: Path) -> None:
    """Writes the workload to one ``.npz`` file: flat arrays, and the shape of each feed."""
    names = tuple(workload.feeds[0]) if workload.feeds else INPUT_NAMES
    shapes = [feed[names[0]].shape for feed in workload.feeds]
    facts = {
        "name": workload.name,
        "scenario": workload.scenario,
        "batch_size": workload.batch_size,
        "sequence_length": workload.sequence_length,
    }
    arrays: dict[str, NDArray[np.generic]] = {
        f"feed/{name}": np.concatenate([feed[name].ravel() for feed in workload.feeds])
        for name in names
    }
    arrays["shapes"] = np.asarray(shapes, dtype=np.int64)
    arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8)
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def load_workload(path: Path) -> Workload:
    """Reads what `save_workload` wrote."""
    with np.load(path, allow_pickle=False) as file:
        facts = json.loads(file["facts"].tobytes().decode())
        shapes = file["shapes"]
        ends = np.cumsum(shapes.prod(axis=1))
        flat = {key.removeprefix("feed/"): file[key] for key in file.files if "/" in key}
    feeds = []
    for shape, end in zip(shapes.tolist(), ends.tolist(), strict=True):
        rows, length = shape
        part = slice(end - rows * length, end)
        feeds.append({name: values[part].reshape(rows, length) for name, values in flat.items()})
    return Workload(feeds=tuple(feeds), **facts)


def _text_tokens(features: Sequence[Feature]) -> NDArray[np.int64]:
    bodies = [feature.inputs["input_ids"][1:-1] for feature in features]
    stream = np.concatenate(bodies) if bodies else np.empty(0, dtype=np.int64)
    if not stream.size:
        raise DataError("there is nothing to time: the data set holds no tokens")
    return stream
