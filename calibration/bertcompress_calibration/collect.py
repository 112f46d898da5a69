"""Collects the table: draws the samples, watches them run, and decides the ranges."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bertcompress.artifacts.calibration_table import CalibrationTable
from bertcompress.bert.families import pad_token_of
from bertcompress.errors import CalibrationError, UsageError
from bertcompress.examples import Example, fingerprint_of
from bertcompress.graph.attention_products import attention_operands
from bertcompress.graph.fingerprint import weights_fingerprint
from bertcompress.graph.products import WeightProduct, weight_products
from bertcompress.inference.deployed import length_for
from bertcompress.passes.samples import draw_samples
from bertcompress.progress import Progress, silent
from bertcompress.tasks.base import Feature, Task
from bertcompress_calibration.decide import decided
from bertcompress_calibration.range_methods import method_named
from bertcompress_calibration.training_data import check_training
from bertcompress_calibration.watch import Watched, watch

if TYPE_CHECKING:
    import onnx

    from bertcompress.artifacts.artifact import OnnxModel


def calibrate(
    model: OnnxModel,
    examples: Sequence[Example],
    *,
    task: Task,
    method: str = "percentile",
    samples: int = 300,
    batch_size: int = 8,
    max_length: int | None = None,
    seed: int = 0,
    split: str | None = None,
    threads: int | None = None,
    attention: bool = False,
    progress: Progress = silent,
) -> CalibrationTable:
    """Finds the range of the input of every weight product of a float graph.

    Args:
        model: The graph, in float32; it is not changed.
        examples: What to draw from; labels are used to stratify, if there are any.
        task: Tokenizes the examples.
        method: A name in `METHODS`.
        samples: How many examples to run; all, if there are no more.
        batch_size: The most examples in one run; moves the ranges by no more than float32's
            rounding.
        max_length: Where longer texts are cut, in tokens; None for the model's own limit, 512 at
            most.
        seed: Decides which examples are drawn.
        split: The split that the examples are of; None for what their ids say.
        threads: Threads of one run; None for all processors that this process may use.
        attention: Whether the outputs of query, key and value are watched too, under their module
            path and ``:out``; TensorRT's quantized attention needs them.
        progress: Is told how many inputs were run.

    Returns:
        The table, by module path.

    Raises:
        UsageError: A setting can't be meant, or the examples are of a split that accuracy is
            measured on.
        CalibrationError: There is no example, no weight product, or no finite range.
        DataError: The examples do not fit the task.
    """
    choose = method_named(method)
    check_positive(samples=samples, batch_size=batch_size, max_length=max_length, threads=threads)
    known_split = check_training(examples, split)
    products: tuple[Watched, ...] = _products_of(model.graph)
    if attention:
        products = (*products, *attention_operands(model.graph))
    drawn = draw_samples(examples, samples, seed=seed)
    seen = watch(
        model.graph,
        products,
        _features(model, task, drawn, max_length=max_length),
        pad_token_id=pad_token_of(model.tokenizer),
        batch_size=batch_size,
        threads=threads or _usable_processors(),
        progress=progress,
    )
    ranges = {tensor: decided(tensor, one, choose) for tensor, one in seen.items()}
    return CalibrationTable(
        ranges={product.module: ranges[product.tensor] for product in products},
        method=method,
        sample_ids=tuple(example.id for example in drawn),
        seed=seed,
        data_fingerprint=fingerprint_of(examples),
        weights_fingerprint=weights_fingerprint(model.graph),
        split=known_split,
    )


def check_positive(**settings: int | None) -> None:
    """Fails with a UsageError that names the first setting that is given and less than 1."""
    for name, value in settings.items():
        if value is not None and value < 1:
            raise UsageError(f"{name} must be 1 or more, got {value}; leave it out for the default")


def _products_of(graph: onnx.ModelProto) -> tuple[WeightProduct, ...]:
    products = weight_products(graph)
    if not products:
        raise CalibrationError(
            "the graph has no product of an activation with a float weight, so there is nothing to "
            "calibrate; calibrate the exported graph before it is quantized"
        )
    return products


def _features(
    model: OnnxModel, task: Task, drawn: Sequence[Example], *, max_length: int | None
) -> list[Feature]:
    length = length_for(model, max_length)
    features = task.encode(model.tokenizer, drawn, max_length=length)
    if not features:
        raise CalibrationError(
            f"calibration needs at least one example, got {len(drawn)}; give it some hundred texts "
            "like those that the model will see"
        )
    return features


def _usable_processors() -> int:
    """Counts the processors that this process may use, which can be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
