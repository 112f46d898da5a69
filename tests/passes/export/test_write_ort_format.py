"""The graph in ORT format: the same answers, in a folder that still loads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel, save
from bertcompress.bert.loading.load import load
from bertcompress.errors import ParityError, PassError, UsageError
from bertcompress.graph.edit import copy_of, initializer_values, set_initializer
from bertcompress.parity.outputs import parity_feeds
from bertcompress.passes.export import write_ort_format as module
from bertcompress.passes.export.write_ort_format import ORT_NAME, WriteOrtFormat
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.passes.quantize.quantize_weights import QuantizeWeights
from bertcompress.runtimes.ort.runtime import OrtRuntime, ort_format


@pytest.mark.parametrize("kind", ["float", "int8", "int4"])
def test_the_file_is_in_the_folder_and_answers_the_same(
    kind: str, tiny_graph: Callable[..., OnnxModel], tmp_path: Path
) -> None:
    makers: dict[str, Callable[[OnnxModel], OnnxModel]] = {
        "float": lambda model: model,
        "int8": QuantizeDynamic(),
        "int4": QuantizeWeights(bits=4, embeddings=False),
    }
    model = makers[kind](tiny_graph())

    folder = save(WriteOrtFormat()(model), tmp_path / "mobile")

    (feed, *_) = parity_feeds(vocabulary=100, longest=16)
    assert (folder / ORT_NAME).read_bytes()[4:8] == b"ORTM"  # the flatbuffer's identifier
    answers = []
    for name in (ORT_NAME, "onnx/model.onnx"):
        with OrtRuntime(folder / name, threads=1) as runtime:
            answers.append(runtime.run(feed)["logits"])
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-5)
    again = load(folder)
    assert again.history[-1].name == "WriteOrtFormat"
    assert ORT_NAME not in again.side_files  # what is made of it next has another graph


def test_a_file_that_answers_otherwise_is_refused(
    tiny_graph: Callable[..., OnnxModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = copy_of(tiny_graph().graph)
    weight = "classifier.weight_t"
    set_initializer(other, weight, initializer_values(other, weight) * np.float32(1.01))
    monkeypatch.setattr(module, "ort_format", lambda graph: ort_format(other))

    with pytest.raises(ParityError, match="answers differently"):
        WriteOrtFormat()(tiny_graph())
    assert WriteOrtFormat(tolerance=1)(tiny_graph()).history[-1].details["bytes"]


def test_what_can_not_be_written_is_refused(
    tiny_graph: Callable[..., OnnxModel], tiny_checkpoint: Callable[..., Checkpoint]
) -> None:
    with pytest.raises(UsageError, match="above 0"):
        WriteOrtFormat(tolerance=0)
    with pytest.raises(PassError, match="graph"):
        WriteOrtFormat()(tiny_checkpoint())
    with pytest.raises(PassError, match="no tables of 4 bits"):
        WriteOrtFormat()(QuantizeWeights(bits=4)(tiny_graph()))
