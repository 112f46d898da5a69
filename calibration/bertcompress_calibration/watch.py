"""Watching: runs the float graph over real inputs and sees what goes into its weight products.

The tensors to watch become the outputs of a copy of the graph, the only ones, and ONNX Runtime runs
it batch by batch; each batch goes to the observers and is forgotten, so that memory does not grow
with the number of samples. Query, key and value read one tensor, which is watched once.

**Memory.** What is watched is wide (12 layers of BERT-base put out 258 kB a token), so a batch has
no more tokens than 256 MB of it hold, or one text. The longest texts come first: the runtime then
takes its memory once. The weights are not copied into the watched graph but written to a temporary
file beside it, which the runtime maps: a serialized graph in memory would be there two more times.

**Padding** is left out. A padded position has an embedding and passes through every layer; it never
reaches an answer, because attention does not look at it, but its values would widen the ranges and
fill the histograms, and by how much would depend on which texts happened to share a batch. The
batches are ordered by length all the same, to compute less of it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from bertcompress.errors import CalibrationError
from bertcompress.graph.attention_products import AttentionOperand
from bertcompress.graph.products import FLOAT, WeightProduct
from bertcompress.progress import Progress, silent
from bertcompress.runtimes.fitting import IN_MEMORY
from bertcompress.runtimes.ort.runtime import OrtRuntime
from bertcompress.tasks.base import Feature, IntArray, pad
from bertcompress_calibration.statistics import Observer, Statistics

if TYPE_CHECKING:
    import onnx

STAGE = "calibrate"
Watched = WeightProduct | AttentionOperand
"""What has a module path and a tensor whose range is wanted."""
WATCHED_BYTES = 256_000_000
"""What one run may put out."""
_SMALL = 1024
"""Bytes up to which an initializer stays in the graph, where shapes are looked for."""


def watch(
    graph: onnx.ModelProto,
    products: Sequence[Watched],
    features: Sequence[Feature],
    *,
    pad_token_id: int,
    batch_size: int,
    threads: int,
    progress: Progress = silent,
) -> dict[str, Statistics]:
    """Runs all features and returns what was seen of each tensor, by its name in the graph.

    Args:
        graph: The float graph; it is not changed.
        products: The products whose inputs are watched.
        features: At least one; the samples' extremes are in their order.
        pad_token_id: The tokenizer's padding token.
        batch_size: The most features in one run.
        threads: Threads of one run.
        progress: Is told how many features were run.

    Raises:
        CalibrationError: A tensor's padding can't be told, or it takes NaN or infinity.
    """
    observers = _observers(products)
    longest_first = sorted(range(len(features)), key=lambda at: -features[at].length)
    tokens = WATCHED_BYTES // _bytes_per_token(graph, products)
    done = 0
    with tempfile.TemporaryDirectory() as folder:
        path = write_watched(graph, tuple(observers), Path(folder))
        with OrtRuntime(path, threads=threads, facts=IN_MEMORY) as runtime:
            for batch in batches([features[at] for at in longest_first], batch_size, tokens):
                _observe(observers, runtime, pad(batch, pad_token_id=pad_token_id))
                done += len(batch)
                progress(STAGE, done, len(features))
    order = np.argsort(longest_first)
    return {tensor: _in_order(one.statistics, order) for tensor, one in observers.items()}


def write_watched(graph: onnx.ModelProto, tensors: Sequence[str], folder: Path) -> Path:
    """Writes the graph with these tensors as its outputs, and only those, and its weights apart.

    Returns:
        The graph's file.
    """
    import onnx

    parts = {field.name: value for field, value in graph.graph.ListFields()}
    skeleton = onnx.ModelProto(ir_version=graph.ir_version, opset_import=graph.opset_import)
    skeleton.functions.extend(graph.functions)
    for name in ("node", "input", "value_info"):
        getattr(skeleton.graph, name).extend(parts.get(name, ()))
    skeleton.graph.name = graph.graph.name
    for tensor in tensors:
        skeleton.graph.output.append(onnx.helper.make_tensor_value_info(tensor, FLOAT, None))
    with (folder / "weights").open("wb") as file:
        for initializer in graph.graph.initializer:
            skeleton.graph.initializer.append(_written(initializer, file))
    (folder / "graph.onnx").write_bytes(skeleton.SerializeToString())
    return folder / "graph.onnx"


def _written(tensor: onnx.TensorProto, file: BinaryIO) -> onnx.TensorProto:
    """Writes a tensor's values and returns what names their place; small ones are returned whole.

    Source: https://onnx.ai/onnx/repo-docs/ExternalData.html
    """
    import onnx

    values = onnx.numpy_helper.to_array(tensor)
    if values.nbytes <= _SMALL:
        return tensor
    file.seek(-file.tell() % 4096, 1)  # maps begin at pages
    place = {"location": "weights", "offset": file.tell(), "length": values.nbytes}
    file.write(np.ascontiguousarray(values).tobytes())
    named = onnx.TensorProto(name=tensor.name, dims=tensor.dims, data_type=tensor.data_type)
    named.data_location = onnx.TensorProto.EXTERNAL
    for key, value in place.items():
        named.external_data.add(key=key, value=str(value))
    return named


def _observers(products: Sequence[Watched]) -> dict[str, Observer]:
    """Makes one for each tensor, called after the first module that takes it."""
    first = {product.tensor: product.module for product in reversed(products)}
    return {tensor: Observer(f"the input of {module}") for tensor, module in first.items()}


def _bytes_per_token(graph: onnx.ModelProto, products: Sequence[Watched]) -> int:
    widths = {tensor.name: int(tensor.dims[0]) for tensor in graph.graph.initializer if tensor.dims}
    read = {
        one.tensor: one.width if isinstance(one, AttentionOperand) else widths[one.weight]
        for one in products
    }
    return 4 * sum(read.values())


def batches(features: Sequence[Feature], most: int, tokens: int) -> Iterator[Sequence[Feature]]:
    """Cuts features, the longest first, into batches of so many and so many padded tokens."""
    start = 0
    while start < len(features):
        size = max(1, min(most, tokens // features[start].length))
        yield features[start : start + size]
        start += size


def _observe(
    observers: Mapping[str, Observer], runtime: OrtRuntime, batch: Mapping[str, IntArray]
) -> None:
    values = runtime.run({name: batch[name] for name in runtime.input_names})
    for tensor, observer in observers.items():
        seen = cast("NDArray[np.float32]", values.pop(tensor))
        observer.observe(*_without_padding(seen, batch["attention_mask"], tensor=tensor))


def _without_padding(
    values: NDArray[np.float32], mask: IntArray, *, tensor: str
) -> tuple[NDArray[np.float32], IntArray]:
    """Returns the rows of real tokens, ``[tokens, width]``, and how many each sample has.

    Args:
        values: ``[batch, sequence, width]``; ``[batch * sequence, width]``, as some exporters
            flatten it; or ``[batch, width]``, which has no padding (the pooler's input).
        mask: ``[batch, sequence]``, 1 for real tokens.
        tensor: Its name, for the error.
    """
    batch, sequence = mask.shape
    lengths = mask.sum(axis=1)
    if values.ndim == 3 and values.shape[:2] == (batch, sequence):
        return np.asarray(values[mask.astype(bool)]), lengths
    if values.ndim == 2 and values.shape[0] == batch:
        return values, np.ones(batch, dtype=np.int64)
    if values.ndim == 2 and values.shape[0] == batch * sequence:
        return np.asarray(values[mask.reshape(-1).astype(bool)]), lengths
    raise CalibrationError(
        f"the tensor {tensor} has shape {list(values.shape)} for a batch of {batch} × {sequence} "
        "tokens, so its padding can't be told; export the model again with bertcompress"
    )


def _in_order(seen: Statistics, order: NDArray[np.int64]) -> Statistics:
    return replace(
        seen, sample_minima=seen.sample_minima[order], sample_maxima=seen.sample_maxima[order]
    )
