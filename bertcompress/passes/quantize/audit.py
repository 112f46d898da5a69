"""What all quantize passes share: which products stay in float, and the audit of the result.

**The audit.** ONNX Runtime itself optimizes the quantized graph, and what it would run is counted:
a weight product that it left in float, and that the settings did not name, is an error. The usual
tools leave two thirds of the products in float here and say nothing.

**The drift.** The quantized graph and the float graph run over the same drawn inputs; the ratio of
signal to quantization noise is recorded, and a graph whose noise is as large as its signal has
collapsed, which is an error.
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from bertcompress.artifacts.artifact import OnnxModel, StepTimer
from bertcompress.artifacts.calibration_table import CalibrationTable
from bertcompress.bert.families import longest_text
from bertcompress.errors import FusionAuditError, ParityError, UsageError, did_you_mean
from bertcompress.graph.kernels import Kernels, count_kernels
from bertcompress.graph.products import HEADS, WeightProduct, weight_products
from bertcompress.machine.cpu import saturates, target_flags
from bertcompress.numerics.affine import S8_MAX, S8_REDUCED
from bertcompress.parity.outputs import compare_outputs, parity_feeds
from bertcompress.passes.base import settings_of
from bertcompress.runtimes.ort.runtime import optimized_graph, run_graph

if TYPE_CHECKING:
    import onnx


LOWEST_SQNR_DB = 3.0
"""Below this, half the output's energy is noise: the graph has collapsed."""


def check_patterns(keep_float: tuple[str, ...]) -> None:
    """Fails with a UsageError if a pattern is empty or not a text."""
    for pattern in keep_float:
        if not isinstance(pattern, str) or not pattern:
            raise UsageError(f"keep_float takes module names or patterns, got {pattern!r}")


def largest_weight(target: str | None) -> int:
    """Returns the integer of the largest weight: that of 7 bits where sums would overflow.

    Args:
        target: One of `bertcompress.machine.cpu.TARGETS`, or None for this CPU.
    """
    return S8_REDUCED if saturates(target_flags(target)) else S8_MAX


def weight_bits(target: str | None) -> dict[str, object]:
    """Returns what a step's details say of it."""
    bits = "7 bits (no VNNI)" if largest_weight(target) == S8_REDUCED else "8 bits"
    return {"weights": bits, "made for": target or "the CPU that it was made on"}


@contextlib.contextmanager
def without_advice() -> Iterator[None]:
    """Keeps ONNX Runtime's quantizers from talking, and from setting up logging for the process.

    They log general advice at the root, which gives the root logger a handler if it has none.
    """
    root = logging.getLogger()
    disabled, level, handlers = root.manager.disable, root.level, list(root.handlers)
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(disabled)
        root.setLevel(level)
        root.handlers[:] = handlers


def split_products(
    model: OnnxModel, keep_float: tuple[str, ...]
) -> tuple[tuple[WeightProduct, ...], tuple[WeightProduct, ...]]:
    """Returns the products to quantize, and those that stay in float.

    Raises:
        UsageError: If a pattern fits no product, or nothing is left to quantize.
    """
    products = weight_products(model.graph)
    chosen = chosen_modules([product.module for product in products], keep_float)
    quantized = tuple(product for product in products if product.module in chosen)
    return quantized, tuple(product for product in products if product not in quantized)


def chosen_modules(modules: Sequence[str], keep_float: tuple[str, ...]) -> tuple[str, ...]:
    """Returns those of a model's float weight products that are to be quantized.

    Raises:
        UsageError: If a pattern fits no product, or nothing is left to quantize.
    """
    for pattern in keep_float:
        if pattern not in HEADS and not any(fnmatchcase(module, pattern) for module in modules):
            raise UsageError(
                f"keep_float names {pattern!r}, which fits no module of this model"
                + did_you_mean(pattern, modules)
            )
    chosen = tuple(
        module
        for module in modules
        if not any(fnmatchcase(module, pattern) for pattern in keep_float)
    )
    if not chosen:
        raise UsageError(
            "this model has no float weight products left to quantize: it is quantized already "
            "(take the model that it was made from), or keep_float names them all"
        )
    return chosen


def audit(
    graph: onnx.ModelProto, stay: tuple[WeightProduct, ...], expected: tuple[WeightProduct, ...]
) -> Kernels:
    """Counts the kernels that ONNX Runtime runs, and fails if one is in float unasked.

    Raises:
        FusionAuditError: If a weight product that is not in `stay` runs in float, or fewer
            integer kernels run than products were quantized.
    """
    kernels = count_kernels(optimized_graph(graph))
    named = {product.module for product in stay}
    left = [module for module in kernels.float_products if module not in named]
    if left:
        raise FusionAuditError(
            f"ONNX Runtime leaves {len(left)} of {len(left) + len(expected)} weight products in "
            f"float that should be quantized, the first is {left[0]}; name them in keep_float if "
            "that is wanted"
        )
    run = sum(kernels.integer.values()) + sum(kernels.weight_only.values())
    if run != len(expected):
        raise FusionAuditError(
            f"{len(expected)} weight products were quantized, but ONNX Runtime runs {run} "
            "integer kernels"
        )
    return kernels


def calibration_details(table: CalibrationTable) -> dict[str, object]:
    """Returns where the ranges came from, for a step's details."""
    return {
        "calibration": {
            "method": table.method,
            "samples": len(table.sample_ids),
            "seed": table.seed,
            "split": table.split,
            "data": table.data_fingerprint,
        }
    }


def drift_db(
    model: OnnxModel, graph: onnx.ModelProto, *, seed: int, as_written: bool = False
) -> float:
    """Returns the signal-to-quantization-noise ratio of the outputs, decibels.

    Over drawn inputs, padding left out; see `Parity.sqnr_db`.

    Args:
        model: The float one.
        graph: The quantized graph.
        seed: Draws the inputs.
        as_written: Whether the quantized graph runs without ONNX Runtime's own fusions: where it is
            meant for another runtime.

    Raises:
        ParityError: If it is below `LOWEST_SQNR_DB`, or a value is not a finite number.
    """
    config = model.config
    feeds = parity_feeds(vocabulary=config.vocab_size, longest=longest_text(config), seed=seed)
    expected = run_graph(model.graph, list(feeds))
    got = run_graph(graph, list(feeds), as_written=as_written)
    ratio = compare_outputs(expected, got, feeds).sqnr_db
    if ratio < LOWEST_SQNR_DB:
        raise ParityError(
            f"the quantized graph has collapsed: its outputs are {ratio:.1f} dB above the "
            f"quantization noise, {LOWEST_SQNR_DB:g} dB is the least; nothing was written"
        )
    return ratio


def finished(
    pass_: object,
    model: OnnxModel,
    graph: onnx.ModelProto,
    *,
    timer: StepTimer,
    quantized: tuple[WeightProduct, ...],
    stay: tuple[WeightProduct, ...],
    seed: int,
    details: Mapping[str, object] | None = None,
    precisions: Mapping[str, str] | None = None,
) -> OnnxModel:
    """Audits a quantized graph and returns it as the pass's result.

    Args:
        pass_: The pass, for its settings.
        model: What it was given.
        graph: What it made.
        timer: Started before its work.
        quantized: The products that must run on integers.
        stay: Those in float.
        seed: Draws the inputs on which the drift is measured.
        details: What else the step tells.
        precisions: How parts were stored, by module, tables too; without, ``quantized`` for all.
    """
    kernels = audit(graph, stay, quantized)
    ratio = drift_db(model, graph, seed=seed)
    result = replace(model, graph=graph)
    found: dict[str, object] = {
        "kernels": kernels.to_json(),
        "precision": [
            {"module": module, "precision": precision}
            for module, precision in {
                **{product.module: "quantized" for product in quantized},
                **{product.module: "float32" for product in stay},
                **(precisions or {}),
            }.items()
        ],
        "output SQNR (dB)": round(ratio, 1) if math.isfinite(ratio) else None,
        "left in float": ", ".join(product.module for product in stay) or "nothing",
        **(details or {}),
    }
    step = timer.step(type(pass_).__name__, settings_of(pass_), result, details=found)
    return replace(result, history=(*model.history, step))
