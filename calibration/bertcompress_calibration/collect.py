"""Collects the ranges: runs the float graph over real examples and watches what goes into products.

The tensors to watch become additional outputs of a copy of the graph, which ONNX Runtime runs
batch by batch; each batch goes to the observers and is forgotten, so that memory does not grow with
the number of samples. Query, key and value read one tensor, which is watched once.

Padding is left out. A padded position has an embedding and passes through every layer; it never
reaches an answer, because attention does not look at it, but its values would widen the ranges and
fill the histograms, and by how much would depend on which texts happened to share a batch. The
batches are ordered by length all the same, to compute less of it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from bertcompress.bert.families import longest_text
from bertcompress.calibration_table import CalibrationTable, TensorRange
from bertcompress.errors import CalibrationError, UsageError, did_you_mean
from bertcompress.examples import Example, fingerprint_of
from bertcompress.graph.edit import copy_of
from bertcompress.graph.fingerprint import weights_fingerprint
from bertcompress.graph.products import FLOAT, WeightProduct, weight_products
from bertcompress.progress import Progress, silent
from bertcompress.runtimes.ort_runtime import OrtRuntime
from bertcompress.tasks.base import Feature, IntArray, Task, pad
from bertcompress_calibration.observers import METHODS, Method, Observer
from bertcompress_calibration.sampling import draw_samples

if TYPE_CHECKING:
    import onnx

    from bertcompress.artifact import OnnxModel

LONGEST = 512
STAGE = "calibrate"


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
    threads: int | None = None,
    progress: Progress = silent,
) -> CalibrationTable:
    """Finds the range of the input of every weight product of a float graph.

    Args:
        model: The graph, in float32; it is not changed.
        examples: What to draw from; labels are used to stratify, if there are any.
        task: Tokenizes the examples.
        method: A name in `METHODS`.
        samples: How many examples to run; all, if there are no more.
        batch_size: Examples in one run; decides about memory, and moves the ranges by no more than
            float32's rounding.
        max_length: Where longer texts are cut, in tokens; None for the model's own limit, 512 at
            most.
        seed: Decides which examples are drawn.
        threads: Threads of one run; None for all processors that this process may use.
        progress: Is told how many inputs were run.

    Returns:
        The table, by module path.

    Raises:
        UsageError: A setting can't be meant.
        CalibrationError: There is no example, no weight product, or no finite range.
        DataError: The examples do not fit the task.
    """
    chosen = method_named(method)
    check_positive(samples=samples, batch_size=batch_size, max_length=max_length, threads=threads)
    products = _products_of(model.graph)
    drawn = draw_samples(examples, samples, seed=seed)
    features = _features(model, task, drawn, max_length=max_length)
    observers = _watch(
        model,
        products,
        features,
        method=chosen,
        batch_size=batch_size,
        threads=threads or _usable_processors(),
        progress=progress,
    )
    ranges = {tensor: _range_of(tensor, seen, chosen) for tensor, seen in observers.items()}
    return CalibrationTable(
        ranges={product.module: ranges[product.tensor] for product in products},
        method=method,
        sample_ids=tuple(example.id for example in drawn),
        seed=seed,
        data_fingerprint=fingerprint_of(examples),
        weights_fingerprint=weights_fingerprint(model.graph),
    )


def method_named(name: str) -> Method:
    """Returns the method.

    Raises:
        UsageError: There is none of that name.
    """
    if name not in METHODS:
        raise UsageError(
            f"method must be one of {', '.join(METHODS)}, got {name!r}{did_you_mean(name, METHODS)}"
        )
    return METHODS[name]


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
    limit = longest_text(model.config)
    if max_length is not None and max_length > limit:
        raise UsageError(
            f"max_length must be up to {limit}, which the model has positions for, got {max_length}"
        )
    features = task.encode(model.tokenizer, drawn, max_length=max_length or min(LONGEST, limit))
    if not features:
        raise CalibrationError(
            f"calibration needs at least one example, got {len(drawn)}; give it some hundred texts "
            "like those that the model will see"
        )
    return features


def _watch(
    model: OnnxModel,
    products: Sequence[WeightProduct],
    features: Sequence[Feature],
    *,
    method: Method,
    batch_size: int,
    threads: int,
    progress: Progress,
) -> Mapping[str, Observer]:
    """Runs all features and returns what was seen of each tensor, by its name."""
    observers = _observers(products, method)
    ordered = sorted(features, key=lambda feature: feature.length)
    pad_token_id = model.tokenizer.pad_token_id or 0
    with OrtRuntime(_watched(model.graph, products), threads=threads) as runtime:
        for start in range(0, len(ordered), batch_size):
            batch = pad(ordered[start : start + batch_size], pad_token_id=pad_token_id)
            _observe(observers, runtime, batch)
            progress(STAGE, min(start + batch_size, len(ordered)), len(ordered))
    return observers


def _watched(graph: onnx.ModelProto, products: Sequence[WeightProduct]) -> bytes:
    """Returns the serialized graph with the products' inputs as its outputs, and only those."""
    import onnx

    copy = copy_of(graph)
    del copy.graph.output[:]
    for tensor in dict.fromkeys(product.tensor for product in products):
        copy.graph.output.append(onnx.helper.make_tensor_value_info(tensor, FLOAT, None))
    serialized: bytes = copy.SerializeToString()
    return serialized


def _observers(products: Sequence[WeightProduct], method: Method) -> dict[str, Observer]:
    """Makes one for each tensor, called after the first module that takes it."""
    first = {product.tensor: product.module for product in reversed(products)}
    return {tensor: method.observer(f"the input of {module}") for tensor, module in first.items()}


def _observe(
    observers: Mapping[str, Observer], runtime: OrtRuntime, batch: Mapping[str, IntArray]
) -> None:
    values = runtime.run({name: batch[name] for name in runtime.inputs})
    for tensor, observer in observers.items():
        seen = cast("NDArray[np.float32]", values[tensor])
        observer.observe(_without_padding(seen, batch["attention_mask"], tensor=tensor))


def _without_padding(
    values: NDArray[np.float32], mask: IntArray, *, tensor: str
) -> NDArray[np.float32]:
    """Returns the rows of real tokens, ``[tokens, width]``.

    Args:
        values: ``[batch, sequence, width]``; ``[batch * sequence, width]``, as some exporters
            flatten it; or ``[batch, width]``, which has no padding (the pooler's input).
        mask: ``[batch, sequence]``, 1 for real tokens.
        tensor: Its name, for the error.
    """
    batch, sequence = mask.shape
    if values.ndim == 3 and values.shape[:2] == (batch, sequence):
        return np.asarray(values[mask.astype(bool)])
    if values.ndim == 2 and values.shape[0] == batch:
        return values
    if values.ndim == 2 and values.shape[0] == batch * sequence:
        return np.asarray(values[mask.reshape(-1).astype(bool)])
    raise CalibrationError(
        f"the tensor {tensor} has shape {list(values.shape)} for a batch of {batch} × {sequence} "
        "tokens, so its padding can't be told; export the model again with bertcompress"
    )


def _range_of(tensor: str, observer: Observer, method: Method) -> TensorRange:
    seen = observer.statistics
    low, high = method.decide(seen)
    return TensorRange(
        tensor=tensor,
        low=low,
        high=high,
        minimum=seen.minimum,
        maximum=seen.maximum,
        count=seen.count,
        histogram=seen.histogram,
        bin_width=seen.bin_width,
    )


def _usable_processors() -> int:
    """Counts the processors that this process may use, which can be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
