"""What a quantize pass takes: a calibration that runs, or one that was saved."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.errors import CalibrationError, UsageError
from bertcompress.examples import TextExample
from bertcompress.passes.base import settings_of
from bertcompress.passes.quantize.quantize_static import QuantizeStatic
from bertcompress.tasks import make_task
from bertcompress_calibration import Calibrate, SavedTable, calibrate


@pytest.fixture
def saved(tiny_model: OnnxModel, texts: tuple[TextExample, ...], tmp_path: Path) -> Path:
    return Calibrate(texts, samples=8)(tiny_model).save(tmp_path / "table.safetensors")


def test_gives_what_calibrate_gives(tiny_model: OnnxModel, texts: tuple[TextExample, ...]) -> None:
    task = make_task(tiny_model.task, tiny_model.config)

    table = Calibrate(texts, "minmax", samples=9, batch_size=2, max_length=8, seed=5)(tiny_model)

    assert table == calibrate(
        tiny_model,
        texts,
        task=task,
        method="minmax",
        samples=9,
        batch_size=2,
        max_length=8,
        seed=5,
    )


def test_a_saved_table_is_a_calibrator_too(
    tiny_model: OnnxModel, texts: tuple[TextExample, ...], saved: Path
) -> None:
    assert SavedTable(saved)(tiny_model) == Calibrate(texts, samples=8)(tiny_model)


def test_both_quantize_to_the_same_graph(
    tiny_model: OnnxModel, texts: tuple[TextExample, ...], saved: Path
) -> None:
    measured = QuantizeStatic(Calibrate(texts, samples=8))(tiny_model)
    read = QuantizeStatic(SavedTable(saved))(tiny_model)

    assert measured.graph.SerializeToString() == read.graph.SerializeToString()
    assert measured.size_bytes < tiny_model.size_bytes


def test_a_table_of_other_weights(tiny_model: OnnxModel, saved: Path) -> None:
    graph = onnx.ModelProto()
    graph.CopyFrom(tiny_model.graph)
    weight = graph.graph.initializer[0]
    changed = onnx.numpy_helper.to_array(weight) + np.float32(1)
    weight.CopyFrom(onnx.numpy_helper.from_array(changed, weight.name))

    with pytest.raises(CalibrationError, match="was made for the weights"):
        SavedTable(saved)(replace(tiny_model, graph=graph))


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="can't read the calibration table"):
        SavedTable(tmp_path / "table.safetensors")


def test_settings_tell_examples_and_tables_by_content(
    texts: tuple[TextExample, ...], saved: Path
) -> None:
    copy = Path(shutil.copy(saved, saved.with_name("copy")))

    assert settings_of(SavedTable(saved)) == settings_of(SavedTable(copy))
    assert settings_of(Calibrate(texts)) == settings_of(Calibrate(texts, threads=1))
    assert settings_of(Calibrate(texts)) != settings_of(Calibrate(texts[:-1]))


@pytest.mark.parametrize(
    ("make", "setting"),
    [
        (partial(Calibrate, samples=0), "samples"),
        (partial(Calibrate, batch_size=0), "batch_size"),
        (partial(Calibrate, max_length=0), "max_length"),
        (partial(Calibrate, threads=0), "threads"),
    ],
)
def test_settings_that_cannot_be_meant(
    texts: tuple[TextExample, ...], make: partial[Calibrate], setting: str
) -> None:
    with pytest.raises(UsageError, match=f"{setting} must be 1 or more, got 0"):
        make(texts)


def test_a_method_that_is_not_there(texts: tuple[TextExample, ...]) -> None:
    with pytest.raises(UsageError, match=r"method must be one of percentile, .*, got 'kl'"):
        Calibrate(texts, "kl")


def test_no_examples() -> None:
    with pytest.raises(CalibrationError, match="needs at least one example, got none"):
        Calibrate(())
