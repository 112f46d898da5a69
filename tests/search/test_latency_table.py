"""Measuring the latency table of tiny models, in real processes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bert.structure import shape_of
from bertcompress.bert.surgery import cut
from bertcompress.errors import UsageError
from bertcompress.examples import TextExample
from bertcompress.search import latency_table as measure_latency
from bertcompress.search.latency_table import MeasureLatency, Timing

pytestmark = pytest.mark.slow

TEXTS = tuple(TextExample(str(at), "the film is not bad" + " good" * at) for at in range(6))


@pytest.mark.parametrize(
    ("precision", "runtime"), [("fp32", "ort-cpu"), ("int8", "ort-cpu"), ("fp32", "openvino")]
)
def test_the_table_covers_all_widths_and_whole_models_are_compared(
    precision: str,
    runtime: str,
    tiny_checkpoint: Callable[..., Checkpoint],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for library in {"onnxruntime", runtime.replace("ort-cpu", "onnxruntime")}:
        pytest.importorskip(library)
    monkeypatch.setattr(measure_latency, "HEAD_STEPS", 1)
    monkeypatch.setattr(measure_latency, "FFN_STEPS", 1)
    timing = Timing(threads=1, sentences=4, rounds=1)
    measure = MeasureLatency(TEXTS, timing, precision, runtime)
    checkpoint = tiny_checkpoint()
    told = []

    table = measure.table(checkpoint, progress=lambda *stage: told.append(stage))

    assert [count for count, _ in table.heads] == [0, 4]
    assert [count for count, _ in table.ffn] == [0, 64]
    shape = shape_of(checkpoint.model)
    assert table.predict(shape.layer_heads, shape.layer_ffn) > 0
    library = measure_latency.DEPLOYED[runtime]
    assert table.deployment.startswith(f"{library}, {precision.upper()}, 1 threads, ")
    assert told[0] == ("latency table: models", 0, 3)
    smaller = Checkpoint(cut(checkpoint.model, ffn=((), ())), checkpoint.tokenizer, checkpoint.task)
    seconds = measure.seconds({"dense": checkpoint, "small": smaller})
    assert set(seconds) == {"dense", "small"}
    assert all(value > 0 for value in seconds.values())


def test_what_can_not_be_meant_is_refused() -> None:
    with pytest.raises(UsageError, match="precision must be fp32 or int8, got 'int4'"):
        MeasureLatency(TEXTS, precision="int4")
    with pytest.raises(UsageError, match=r"runtime must be .*, got 'openvno'; did you mean"):
        MeasureLatency(TEXTS, runtime="openvno")
    with pytest.raises(UsageError, match="int8 can't be measured in openvino"):
        MeasureLatency(TEXTS, precision="int8", runtime="openvino")
    with pytest.raises(UsageError, match="rounds must be 1 or more, got 0"):
        Timing(rounds=0)
    with pytest.raises(UsageError, match=r"length must be within 3\.\.512 tokens, got 2"):
        Timing(length=2)
