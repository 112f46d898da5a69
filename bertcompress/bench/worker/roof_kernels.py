"""What the measuring process runs to find the machine's limits: products and memory traffic.

Products go through ONNX Runtime with the kernels that artifacts use: ``MatMul``, and
``MatMulInteger`` with U8 activations and S8 weights, whose inner loop is that of
``MatMulIntegerToFloat``. Their shapes are those of encoders, with enough rows for every thread;
the best shape is the roof. Of the product only the first row leaves the graph, so the runtime's
own buffers are used again and no page is touched for the first time.

Memory is read (a sum of int64) and copied by NumPy in threads, part by part over an array that is
much larger than the last cache, so that a part has left it before its turn comes again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bertcompress.bench.roofs import Roof, RoofKind, Roofs, sustained
from bertcompress.errors import MissingDependencyError
from bertcompress.runtimes.ort.runtime import OrtRuntime, import_onnxruntime

ProductKind = Literal["fp32", "int8"]
Shape = tuple[int, int, int]

SHAPES: Mapping[ProductKind, tuple[Shape, ...]] = {
    "fp32": ((64, 384, 1536), (128, 384, 1536), (128, 768, 768)),
    "int8": ((256, 384, 1536), (256, 768, 768), (512, 768, 768)),
}
"""Rows for each thread, inputs, outputs: about a millisecond each on a fast core, shorter than the
slice that a scheduler gives a neighbour."""

_OPSET = 21
_IR_VERSION = 10
_LEAST_RUNS = 6
_MOST_RUNS = 400
_DIGITS = 4
_DRAWN = 4093
"""Numbers drawn, then repeated: what they are changes no kernel's speed."""
_PART_BYTES = 32 << 20
_SMALLEST_ARRAY = 256 << 20
_LARGEST_ARRAY = 1 << 30
_CACHE_SIZES = Path("/sys/devices/system/cpu/cpu0/cache")


def measure(threads: int, seconds: float) -> Roofs:
    """Measures all limits within about `seconds`."""
    counts = sorted({1, threads})
    roofs: list[Roof] = []
    unavailable: list[str] = []
    kernels = sum(len(shapes) for shapes in SHAPES.values()) + 2
    share = seconds / (len(counts) * kernels)
    try:
        import_onnxruntime("measuring matrix products")
    except MissingDependencyError as error:
        unavailable.append(f"matrix products: {error}")
    else:
        roofs += [_product_roof("fp32", count, share) for count in counts]
        roofs += [_product_roof("int8", count, share) for count in counts]
    roofs += _memory_roofs(counts, share)
    return Roofs(threads, tuple(roofs), tuple(unavailable))


def product_graph(kind: ProductKind, shape: Shape) -> bytes:
    """Returns the graph of one product, of which the first row is the output."""
    from onnx import TensorProto, helper, numpy_helper

    rows, inputs, outputs = shape
    weight = _random(kind, (inputs, outputs), signed=True)
    constants = {"weight": weight, "first": np.array([0]), "second": np.array([1])}
    names, operator, taken, given = ["x", "weight"], "MatMul", TensorProto.FLOAT, TensorProto.FLOAT
    if kind == "int8":
        constants["zero_point"] = np.array(128, dtype=np.uint8)
        names.append("zero_point")
        operator, taken, given = "MatMulInteger", TensorProto.UINT8, TensorProto.INT32
    graph = helper.make_graph(
        [
            helper.make_node(operator, names, ["product"]),
            helper.make_node("Slice", ["product", "first", "second", "first"], ["row"]),
        ],
        "product",
        [helper.make_tensor_value_info("x", taken, [rows, inputs])],
        [helper.make_tensor_value_info("row", given, [1, outputs])],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    opsets = [helper.make_opsetid("", _OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
    return bytes(model.SerializeToString())


def _product_roof(kind: ProductKind, threads: int, seconds: float) -> Roof:
    """Times all shapes and returns the roof of the fastest."""
    name, roofs = ("MatMul" if kind == "fp32" else "MatMulInteger"), []
    for rows, inputs, outputs in SHAPES[kind]:
        shape = rows * threads, inputs, outputs
        times = _product_times(kind, shape, threads, seconds)
        how = f"{name} {shape[0]}×{inputs}×{outputs}"
        roofs.append(_roof(kind, threads, 2 * math.prod(shape), times, how))
    return max(roofs, key=lambda roof: roof.rate)


def _product_times(kind: ProductKind, shape: Shape, threads: int, seconds: float) -> list[float]:
    feed = {"x": _random(kind, shape[:2], signed=False)}
    with OrtRuntime(product_graph(kind, shape), threads=threads) as runtime:
        return _times(lambda: runtime.run(feed), seconds)


def _random(kind: ProductKind, shape: tuple[int, int], *, signed: bool) -> NDArray[np.generic]:
    generator = np.random.default_rng(0)
    if kind == "fp32":
        return np.resize(generator.standard_normal(_DRAWN, dtype=np.float32), shape)
    kept = np.int8 if signed else np.uint8
    limits = np.iinfo(kept)
    drawn = generator.integers(limits.min, limits.max, _DRAWN, dtype=kept, endpoint=True)
    return np.resize(drawn, shape)


def _memory_roofs(counts: Sequence[int], seconds: float) -> list[Roof]:
    size = _array_bytes()
    source = np.ones(size // 8, dtype=np.int64)
    target = np.ones_like(source)  # written, so that its pages are there

    def read(part: slice) -> None:
        np.add.reduce(source[part])

    def copy(part: slice) -> None:
        np.copyto(target[part], source[part])

    megabytes, roofs = size >> 20, []
    for threads in counts:
        for kind, work, factor in (("read", read, 1), ("copy", copy, 2)):
            times, part_bytes = _walk(work, size, threads, seconds)
            how = f"{kind} of {megabytes} MiB in {threads} parts at once"
            roofs.append(
                _roof(
                    "read" if kind == "read" else "copy", threads, factor * part_bytes, times, how
                )
            )
    return roofs


def _walk(
    work: Callable[[slice], None], size: int, threads: int, seconds: float
) -> tuple[list[float], int]:
    """Works on part after part with all threads; returns the seconds and bytes of each step."""
    items = min(_PART_BYTES, size // (2 * threads)) // 8
    steps = size // 8 // (items * threads)
    place = 0

    with ThreadPoolExecutor(threads) as pool:

        def step() -> None:
            nonlocal place
            first = (place % steps) * items * threads
            place += 1
            parts = [slice(first + k * items, first + (k + 1) * items) for k in range(threads)]
            list(pool.map(work, parts))

        times = _times(step, seconds)
    return times, items * threads * 8


def _times(run: Callable[[], object], seconds: float) -> list[float]:
    """Runs twice unseen, then until the time is over, and returns the seconds of each run."""
    run()
    run()
    times: list[float] = []
    deadline = time.perf_counter() + seconds
    while len(times) < _LEAST_RUNS or (time.perf_counter() < deadline and len(times) < _MOST_RUNS):
        started = time.perf_counter_ns()
        run()
        times.append((time.perf_counter_ns() - started) * 1e-9)
    return times


def _roof(kind: RoofKind, threads: int, amount: float, times: Sequence[float], how: str) -> Roof:
    samples = tuple(float(f"{amount / second:.{_DIGITS}g}") for second in times)
    return Roof(kind, threads, sustained(samples), samples, how)


def _array_bytes() -> int:
    """Returns four times the last cache, within reason and within the memory that is free."""
    import psutil

    wanted = min(max(4 * _last_cache_bytes(), _SMALLEST_ARRAY), _LARGEST_ARRAY)
    return int(min(wanted, psutil.virtual_memory().available // 8))


def _last_cache_bytes() -> int:
    sizes = [path.read_text(encoding="utf-8").strip() for path in _CACHE_SIZES.glob("*/size")]
    units = {"K": 1 << 10, "M": 1 << 20}
    return max((int(size[:-1]) * units[size[-1]] for size in sizes if size[-1] in units), default=0)
