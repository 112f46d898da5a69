"""Calibrated ranges: what shares one, what stays in float, the bits of weights, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from onnx import numpy_helper

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.artifacts.calibration_table import CalibrationTable, TensorRange
from bertcompress.errors import (
    CalibrationError,
    ParityError,
    UsageError,
)
from bertcompress.machine.cpu import cpu_flags, saturates
from bertcompress.numerics.affine import S8_MAX, S8_REDUCED
from bertcompress.passes.context import Context
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.passes.quantize.quantize_static import QuantizeStatic
from bertcompress.passes.ranges import TRAINED, Ranges
from bertcompress.runtimes.ort.runtime import run_graph
from fixtures.examples import giving, wide_table
from fixtures.feeds import feed_of

Graphs = Callable[..., OnnxModel]


def test_modules_can_be_kept_in_float(tiny_graph: Graphs, wide: Context) -> None:
    keep = ("classifier", "bert.encoder.layer.0.*")
    result = QuantizeStatic(keep_float=keep)(tiny_graph(), wide)

    kernels = result.history[-1].details["kernels"]
    assert isinstance(kernels, dict)
    assert kernels["float weight products"] == 7
    assert "bert.encoder.layer.0.output.dense" in str(result.history[-1].details["left_in_float"])


def test_embeddings_can_be_kept_in_float(tiny_graph: Graphs, wide: Context) -> None:
    with_tables = QuantizeStatic()(tiny_graph(), wide)
    without = QuantizeStatic(embeddings=False)(tiny_graph(), wide)
    assert with_tables.size_bytes < without.size_bytes
    assert "word_embeddings" in str(with_tables.history[-1].details["int8_embedding_tables"])


def test_static_answers_do_not_depend_on_batch_mates(tiny_graph: Graphs, wide: Context) -> None:
    result = QuantizeStatic()(tiny_graph(), wide)
    batch = feed_of(4, 10)
    alone = [{name: values[row : row + 1] for name, values in batch.items()} for row in range(4)]

    (together,) = run_graph(result.graph, [batch])
    single = run_graph(result.graph, alone)

    np.testing.assert_array_equal(
        together["logits"], np.concatenate([one["logits"] for one in single])
    )


def test_query_key_and_value_share_one_quantization(tiny_graph: Graphs, wide: Context) -> None:
    result = QuantizeStatic()(tiny_graph(), wide)
    count = sum(node.op_type == "QuantizeLinear" for node in result.graph.graph.node)
    # Four distinct inputs a layer, the last query's (one token) and the pooler's.
    assert count == 2 * 4 + 2


def test_a_pattern_that_fits_nothing_is_refused(tiny_graph: Graphs, wide: Context) -> None:
    with pytest.raises(UsageError, match=r"fits no module.*did you mean 'bert\.pooler\.dense'"):
        QuantizeStatic(keep_float=("bert.poller.dense",))(tiny_graph(), wide)


def test_a_missing_range_is_named(tiny_graph: Graphs, wide: Context) -> None:
    def find(model: OnnxModel) -> CalibrationTable:
        table = wide_table(model)
        ranges = {key: one for key, one in table.ranges.items() if "pooler" not in key}
        return replace(table, ranges=ranges)

    with pytest.raises(CalibrationError, match=r"bert\.pooler\.dense"):
        QuantizeStatic()(tiny_graph(), giving(find))


def test_neighbours_with_other_ranges_are_refused(tiny_graph: Graphs, wide: Context) -> None:
    def find(model: OnnxModel) -> CalibrationTable:
        table = wide_table(model)
        key = "bert.encoder.layer.0.attention.self.key"
        none = np.zeros(0, dtype=np.int64)
        other = TensorRange(table.ranges[key].tensor, -1.0, 1.0, -1.0, 1.0, 1, none)
        return replace(table, ranges={**table.ranges, key: other})

    with pytest.raises(CalibrationError, match="another range than its neighbour"):
        QuantizeStatic()(tiny_graph(), giving(find))


def test_ranges_that_cut_everything_off_are_a_collapse(tiny_graph: Graphs, wide: Context) -> None:
    def find(model: OnnxModel) -> CalibrationTable:
        table = wide_table(model)
        none = np.zeros(0, dtype=np.int64)
        return replace(
            table,
            ranges={
                key: TensorRange(one.tensor, -1e-4, 1e-4, -1e-4, 1e-4, 1, none)
                for key, one in table.ranges.items()
            },
        )

    with pytest.raises(ParityError, match="collapsed"):
        QuantizeStatic()(tiny_graph(), giving(find))


@pytest.mark.parametrize("kind", ["static", "portable", "dynamic"])
@pytest.mark.parametrize("target", ["avx2", "vnni", None])
def test_weights_keep_their_bits(
    kind: str,
    target: str | None,
    tiny_graph: Callable[..., OnnxModel],
    wide: Context,
) -> None:
    if kind == "dynamic":
        made = QuantizeDynamic(target=target)(tiny_graph())
    else:
        static = QuantizeStatic(portable=kind == "portable", target=target)
        made = static(tiny_graph(), wide)
    reduced = saturates(cpu_flags()) if target is None else target == "avx2"
    weights = [
        numpy_helper.to_array(one).astype(np.int64)
        for one in made.graph.graph.initializer
        if one.name.endswith(".weight_t.int8")
    ]
    assert len(weights) == 13
    largest = max(int(np.abs(one).max()) for one in weights)
    assert largest == (S8_REDUCED if reduced else S8_MAX)
    step = made.history[-1]
    assert step.details["weights"] == ("7 bits (no VNNI)" if reduced else "8 bits")
    assert step.details["made_for"] == (target or "the CPU that it was made on")
    assert step.settings["target"] == target


def test_ranges_of_training_take_no_settings_of_calibration() -> None:
    with pytest.raises(UsageError, match="samples is not used with the ranges of training"):
        QuantizeStatic(Ranges(TRAINED, samples=3))


def test_ranges_are_found_on_data(tiny_graph: Graphs) -> None:
    with pytest.raises(UsageError, match="static ranges are found on data and none was given"):
        QuantizeStatic()(tiny_graph())
