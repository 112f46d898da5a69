"""The passes of quantizing: what the command ``quantize`` and `bertcompress.quantize` both do."""

from __future__ import annotations

from dataclasses import dataclass

from bertcompress.errors import UsageError
from bertcompress.graph.products import HEADS
from bertcompress.passes.base import AnyPass
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.passes.quantize.quantize_static import QuantizeStatic
from bertcompress.passes.quantize.quantize_weights import QuantizeWeights
from bertcompress.passes.ranges import Ranges
from bertcompress.recipes.recipe import or_default
from bertcompress.search.fastest_int8 import QuantizeBest
from bertcompress.search.latency_table import Timing

METHODS = ("best", "static", "dynamic")


@dataclass(frozen=True)
class QuantizeOptions:
    """What is asked of quantizing; None leaves a choice to the passes.

    Attributes:
        bits: 8, or 4 for weights only.
        method: With 8 bits, one of `METHODS`; None for ``best``.
        ranges: How static ranges are found, a name of `bertcompress_calibration.METHODS`.
        samples: Examples that are run.
        max_drop: What the metric may lose on held-out texts, 0..1.
        target_latency: Seconds a text that must be kept.
        length: Tokens of the texts timed.
        threads: Of what is timed.
        max_length: Longest text in tokens.
        table: A saved calibration's file.
        keep_float: Modules that stay in float beside the heads, names or patterns.
        embeddings: Whether the embedding tables are quantized too.
        block_size: With 4 bits: weights that share a scale.
        target: The CPU that a static or dynamic graph is made for.
        rounding: With 4 bits: how weights are rounded.
        target_size: Bytes that the graph's file may have at most.
    """

    bits: int = 8
    method: str | None = None
    ranges: str | None = None
    samples: int | None = None
    max_drop: float | None = None
    target_latency: float | None = None
    length: int | None = None
    threads: int | None = None
    max_length: int | None = None
    table: str | None = None
    keep_float: tuple[str, ...] = ()
    embeddings: bool = True
    block_size: int | None = None
    target: str | None = None
    rounding: str | None = None
    target_size: int | None = None

    @property
    def in_blocks(self) -> bool:
        """Whether weights alone are quantized, in blocks."""
        return self.bits == 4 or self.target_size is not None

    @property
    def all_float(self) -> tuple[str, ...]:
        """All modules that stay in float."""
        return (*HEADS, *self.keep_float)


def quantize_pass(asked: QuantizeOptions, *, seed: int = 0) -> AnyPass:
    """Returns the pass that does what is asked.

    Raises:
        UsageError: If it can't be meant.
    """
    _check_blocks(asked)
    _check_method(asked)
    _check_search(asked)
    _check_target(asked)
    if asked.in_blocks:
        return QuantizeWeights(
            bits=4,
            block_size=asked.block_size,
            rounding=asked.rounding,
            target_size=asked.target_size,
            samples=or_default(asked.samples, QuantizeWeights.samples),
            max_length=asked.max_length,
            embeddings=asked.embeddings,
            keep_float=asked.all_float,
            seed=seed,
        )
    if asked.method == "dynamic":
        return QuantizeDynamic(
            embeddings=asked.embeddings,
            keep_float=asked.all_float,
            target=asked.target,
            seed=seed,
        )
    if asked.table is not None or asked.method == "static":
        return QuantizeStatic(
            Ranges(table=asked.table) if asked.table is not None else _ranges(asked),
            embeddings=asked.embeddings,
            keep_float=asked.all_float,
            target=asked.target,
            seed=seed,
        )
    return QuantizeBest(
        _ranges(asked),
        timing=Timing(length=asked.length, threads=asked.threads),
        max_drop=or_default(asked.max_drop, QuantizeBest.max_drop),
        target_latency=asked.target_latency,
        embeddings=asked.embeddings,
        keep_float=asked.all_float,
        seed=seed,
    )


def _ranges(asked: QuantizeOptions) -> Ranges:
    return Ranges(
        method=or_default(asked.ranges, Ranges.method),
        samples=or_default(asked.samples, Ranges.samples),
        max_length=asked.max_length,
    )


def _check_blocks(asked: QuantizeOptions) -> None:
    if not asked.in_blocks and (asked.block_size is not None or asked.rounding is not None):
        raise UsageError("block-size and rounding are for 4 bits; type --bits 4 or leave them out")


def _check_method(asked: QuantizeOptions) -> None:
    ranging = bool(asked.ranges or asked.table or (asked.samples and not asked.in_blocks))
    if asked.bits not in (4, 8):
        raise UsageError(f"bits must be 8 or 4, got {asked.bits}")
    if asked.method not in (None, *METHODS):
        raise UsageError(f"method must be best, static or dynamic, got {asked.method!r}")
    if asked.in_blocks and (asked.method is not None or ranging):
        raise UsageError(
            "4 bits and a target size are for weights only, which need no method and no ranges"
        )
    if asked.method == "dynamic" and ranging:
        raise UsageError("dynamic finds its ranges as it runs; leave --ranges, --samples, --table")


def _check_search(asked: QuantizeOptions) -> None:
    searching = {
        "max-drop": asked.max_drop,
        "target-latency": asked.target_latency,
        "at-length": asked.length,
        "threads": asked.threads,
    }
    given = [option for option, value in searching.items() if value is not None]
    elsewhere = asked.method in ("static", "dynamic") or asked.table is not None
    if given and (asked.in_blocks or elsewhere):
        raise UsageError(
            f"{given[0]} is for the search of the fastest INT8; leave it out, or leave --method, "
            "--table, --bits 4 and --target-size"
        )


def _check_target(asked: QuantizeOptions) -> None:
    if asked.target is None or asked.method in ("static", "dynamic") or asked.table is not None:
        return
    raise UsageError(
        "target is for --method static or dynamic: the search of the fastest INT8 times what "
        "runs on this machine, and 4 bits are the same everywhere"
    )
