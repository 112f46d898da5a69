"""What passes find ranges with: a calibration that runs, or a table that was saved."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.errors import CalibrationError, UsageError
from bertcompress.examples import TextExample
from bertcompress.passes.context import Context
from bertcompress.passes.quantize.quantize_static import QuantizeStatic
from bertcompress.passes.ranges import Ranges
from bertcompress.passes.settings import settings_of
from bertcompress.tasks import make_task
from bertcompress_calibration import calibrate, calibrate_ranges

SOME = Ranges(samples=8)


@pytest.fixture
def context(texts: tuple[TextExample, ...]) -> Context:
    return Context(texts, calibrate=calibrate_ranges)


@pytest.fixture
def saved(tiny_model: OnnxModel, context: Context, tmp_path: Path) -> Ranges:
    table = context.ranges_of(tiny_model, SOME, seed=0)
    return Ranges(table=str(table.save(tmp_path / "table.safetensors")))


def test_gives_what_calibrate_gives(tiny_model: OnnxModel, context: Context) -> None:
    ranges = Ranges("minmax", samples=9, batch_size=2, max_length=8)

    table = calibrate_ranges(tiny_model, ranges, context, seed=5)

    assert table == calibrate(
        tiny_model,
        context.examples,
        task=make_task(tiny_model.task, tiny_model.config),
        method="minmax",
        samples=9,
        batch_size=2,
        max_length=8,
        seed=5,
    )


def test_a_saved_table_gives_the_same(
    tiny_model: OnnxModel, context: Context, saved: Ranges
) -> None:
    read = calibrate_ranges(tiny_model, saved, Context(), seed=0)
    assert read == calibrate_ranges(tiny_model, SOME, context, seed=0)


def test_both_quantize_to_the_same_graph(
    tiny_model: OnnxModel, context: Context, saved: Ranges
) -> None:
    measured = QuantizeStatic(SOME)(tiny_model, context)
    read = QuantizeStatic(saved)(tiny_model, context)

    assert measured.graph.SerializeToString() == read.graph.SerializeToString()
    assert measured.size_bytes < tiny_model.size_bytes


def test_a_table_of_other_weights(tiny_model: OnnxModel, saved: Ranges) -> None:
    graph = onnx.ModelProto()
    graph.CopyFrom(tiny_model.graph)
    weight = graph.graph.initializer[0]
    changed = onnx.numpy_helper.to_array(weight) + np.float32(1)
    weight.CopyFrom(onnx.numpy_helper.from_array(changed, weight.name))

    with pytest.raises(CalibrationError, match="was made for the weights"):
        calibrate_ranges(replace(tiny_model, graph=graph), saved, Context(), seed=0)


def test_a_table_that_is_not_there(tiny_model: OnnxModel, tmp_path: Path) -> None:
    missing = Ranges(table=str(tmp_path / "table.safetensors"))
    with pytest.raises(CalibrationError, match="can't read the calibration table"):
        calibrate_ranges(tiny_model, missing, Context(), seed=0)


def test_a_step_tells_examples_and_tables_by_content(context: Context, saved: Ranges) -> None:
    assert saved.table is not None
    copy = Ranges(table=shutil.copy(saved.table, Path(saved.table).with_name("copy")))
    first, second = QuantizeStatic(saved), QuantizeStatic(copy)
    assert settings_of(first) == settings_of(second)
    assert first.identity(context) == second.identity(context)
    assert first.identity(context).keys() == {"table"}

    fewer = context.changed(examples=context.examples[:-1])
    assert QuantizeStatic().identity(context) != QuantizeStatic().identity(fewer)


def test_threads_that_cannot_be_meant(tiny_model: OnnxModel, context: Context) -> None:
    task = make_task(tiny_model.task, tiny_model.config)
    with pytest.raises(UsageError, match="threads must be 1 or more, got 0"):
        calibrate(tiny_model, context.examples, task=task, threads=0)


def test_a_method_that_is_not_there(tiny_model: OnnxModel, context: Context) -> None:
    with pytest.raises(UsageError, match=r"method must be one of percentile, .*, got 'kl'"):
        calibrate_ranges(tiny_model, Ranges("kl"), context, seed=0)


def test_no_examples(tiny_model: OnnxModel) -> None:
    with pytest.raises(CalibrationError, match="needs at least one example, got 0"):
        calibrate_ranges(tiny_model, Ranges(), Context(), seed=0)
