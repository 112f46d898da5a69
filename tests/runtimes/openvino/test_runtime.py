"""OpenVINO beside ONNX Runtime: the same answers, in the precision that was said."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel, save
from bertcompress.bert.surgery import cut
from bertcompress.errors import MissingDependencyError, MissingHardwareError, RunError, UsageError
from bertcompress.examples import TextExample
from bertcompress.inference.streams import open_streams
from bertcompress.passes.context import Context
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.passes.quantize.quantize_static import QuantizeStatic
from bertcompress.passes.quantize.quantize_weights import QuantizeWeights
from bertcompress.passes.ranges import Ranges
from bertcompress.runtimes import open_runtime, open_runtimes, runtime_for
from bertcompress.runtimes.openvino.runtime import OpenVinoRuntime
from bertcompress_calibration import calibrate_ranges

TASKS = ("text-classification", "token-classification", "question-answering", "feature-extraction")
TEXTS = tuple(TextExample(str(at), "the film is not bad" + " good" * at) for at in range(8))
Feed = dict[str, NDArray[np.int64]]


def feed(rows: int, length: int, seed: int = 0) -> Feed:
    ids = np.random.default_rng(seed).integers(5, 100, (rows, length))
    mask = np.ones_like(ids)
    mask[rows // 2 :, max(1, length // 2) :] = 0 if rows > 1 else 1
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": ids * 0}


FEEDS = [feed(1, 3), feed(2, 9, 1), feed(5, 40, 2), feed(1, 3, 3)]


@pytest.fixture(autouse=True)
def installed(request: pytest.FixtureRequest) -> None:
    if "without_openvino" not in request.node.name:
        pytest.importorskip("openvino", reason='needs: pip install "bertcompress[openvino]"')


@pytest.fixture
def folder_of(tmp_path: Path) -> Callable[[OnnxModel], Path]:
    return lambda model: save(model, tmp_path / "graph")


def largest_difference(folder: Path, name: str = "openvino") -> float:
    """Returns how far the answers are from ONNX Runtime's, over batches of several shapes."""
    worst = 0.0
    with (
        open_runtime(folder, "ort-cpu", threads=1) as expected,
        open_runtime(folder, name, threads=1) as runtime,
    ):
        assert runtime.name == name
        assert runtime.input_names == expected.input_names
        assert runtime.outputs == expected.outputs
        for one in FEEDS:
            answers, got = expected.run(one), runtime.run(one)
            for output, values in answers.items():
                assert got[output].dtype == np.float32
                worst = max(worst, float(np.abs(got[output] - values).max()))
    return worst


@pytest.mark.parametrize("task", TASKS)
def test_a_float_graph_answers_as_in_onnx_runtime(
    task: str, tiny_graph: Callable[..., OnnxModel], folder_of: Callable[[OnnxModel], Path]
) -> None:
    assert largest_difference(folder_of(tiny_graph(task=task))) <= 1e-4


def test_unequal_heads_and_emptied_sublayers(
    tiny_checkpoint: Callable[..., Checkpoint], folder_of: Callable[[OnnxModel], Path]
) -> None:
    whole = tiny_checkpoint()
    model = cut(whole.model, heads=((1,), ()), ffn=((), tuple(range(7))))
    pruned = ExportOnnx()(Checkpoint(model, whole.tokenizer, whole.task))
    assert largest_difference(folder_of(pruned)) <= 1e-4


def test_static_int8_runs_in_integers_and_agrees(
    tiny_graph: Callable[..., OnnxModel], folder_of: Callable[[OnnxModel], Path]
) -> None:
    graph = tiny_graph()
    folder = folder_of(
        QuantizeStatic(Ranges(samples=8))(graph, Context(TEXTS, calibrate=calibrate_ranges))
    )
    with open_runtime(folder, "ort-cpu", threads=1) as runtime:
        scale = max(float(np.abs(runtime.run(one)["logits"]).max()) for one in FEEDS)
    assert largest_difference(folder) <= 0.05 * scale
    with OpenVinoRuntime(folder / "onnx" / "model.onnx", threads=1) as runtime:
        kernels = runtime.kernels()
    assert sum(count for name, count in kernels.items() if "i8" in name.lower()) >= 10


def test_int4_weights_agree(
    tiny_graph: Callable[..., OnnxModel], folder_of: Callable[[OnnxModel], Path]
) -> None:
    # Both round activations to INT8 by block, each in its own way; 4 bits cost 0.4 here.
    assert largest_difference(folder_of(QuantizeWeights()(tiny_graph()))) <= 5e-2


def test_dynamic_int8_is_refused_as_it_would_run_in_float(
    tiny_graph: Callable[..., OnnxModel], folder_of: Callable[[OnnxModel], Path]
) -> None:
    folder = folder_of(QuantizeDynamic()(tiny_graph()))
    with (
        pytest.raises(RunError, match=r"in float; give it static INT8 .*, or run this one in"),
        open_runtime(folder, "openvino", threads=1),
    ):
        pass


def test_floats_stay_in_fp32_unless_bf16_was_asked_for(
    tiny_graph: Callable[..., OnnxModel], folder_of: Callable[[OnnxModel], Path]
) -> None:
    folder = folder_of(tiny_graph())
    path = folder / "onnx" / "model.onnx"
    with OpenVinoRuntime(path, threads=1) as runtime:
        assert not [name for name in runtime.kernels() if "bf16" in name]
    try:
        with open_runtime(folder, "openvino-bf16", threads=1) as runtime:
            assert runtime.name == "openvino-bf16"
    except MissingHardwareError as error:
        pytest.skip(str(error))
    assert 1e-5 < largest_difference(folder, "openvino-bf16") < 0.1


def test_streams_share_the_weights_and_answer_alike(
    tiny_graph: Callable[..., OnnxModel], folder_of: Callable[[OnnxModel], Path]
) -> None:
    folder = folder_of(tiny_graph())
    many = [feed(2, 5 + at % 7, at) for at in range(24)]
    with open_runtime(folder, "ort-cpu", threads=1) as runtime:
        expected = [runtime.run(one)["logits"] for one in many]
    with open_runtimes(folder, "openvino", streams=2, threads=1) as runtimes:
        assert [one.name for one in runtimes] == ["openvino", "openvino"]
        assert runtimes[0]._compiled is runtimes[1]._compiled  # type: ignore[attr-defined]
        with ThreadPoolExecutor(2) as pool:
            halves = [pool.submit(lambda k=k: [runtimes[k].run(f) for f in many]) for k in (0, 1)]
            for half in halves:
                for answer, logits in zip(half.result(), expected, strict=True):
                    np.testing.assert_allclose(answer["logits"], logits, atol=1e-4)
    with open_streams(folder, "openvino", streams=2, threads=1) as streams:
        for answer, logits in zip(streams.run_all(many), expected, strict=True):
            np.testing.assert_allclose(answer["logits"], logits, atol=1e-4)


def test_a_checkpoint_is_refused(tiny_folder: Callable[..., Path]) -> None:
    with pytest.raises(RunError, match="which openvino runs; type: bertcompress export"):
        open_runtime(tiny_folder(), "openvino", threads=1)


def test_inputs_that_openvino_would_take_without_a_word(
    tiny_graph: Callable[..., OnnxModel], folder_of: Callable[[OnnxModel], Path]
) -> None:
    good = FEEDS[1]
    ids = good["input_ids"]
    with open_runtime(folder_of(tiny_graph()), "openvino", threads=1) as runtime:
        with pytest.raises(RunError, match="input_ids must be int64, got float32"):
            runtime.run({**good, "input_ids": ids.astype(np.float32)})
        with pytest.raises(RunError, match="was given the inputs input_ids; the graph takes"):
            runtime.run({"input_ids": ids})
        with pytest.raises(RunError, match="inputs of different shapes"):
            runtime.run({**good, "attention_mask": good["attention_mask"][:, :2]})


def test_a_graph_that_is_not_one(tmp_path: Path) -> None:
    broken = tmp_path / "model.onnx"
    broken.write_bytes(b"")
    with pytest.raises(RunError, match="can't load"), OpenVinoRuntime(broken, threads=1):
        pass
    with pytest.raises(RunError, match="there is no graph"):
        OpenVinoRuntime(tmp_path / "none.onnx", threads=1).__enter__()


def test_a_closed_runtime_does_not_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="'with' block"):
        OpenVinoRuntime(tmp_path, threads=1).run(FEEDS[0])


def test_settings_that_can_not_be_meant(
    tiny_graph: Callable[..., OnnxModel], folder_of: Callable[[OnnxModel], Path]
) -> None:
    folder = folder_of(tiny_graph())
    with pytest.raises(UsageError, match="precision must be f32 or bf16, got 'f16'"):
        OpenVinoRuntime(folder, threads=1, precision="f16")
    with pytest.raises(UsageError, match="streams must be 1 or more, got 0"):
        OpenVinoRuntime(folder, threads=1, streams=0)
    with pytest.raises(UsageError, match="did you mean 'openvino'"):
        runtime_for(folder, "openvno")
    with (
        pytest.raises(UsageError, match="threads must be 1 or more, got 0"),
        open_runtimes(folder, "openvino", streams=2, threads=0),
    ):
        pass


def test_without_openvino_its_extra_is_named(
    tiny_graph: Callable[..., OnnxModel],
    folder_of: Callable[[OnnxModel], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "bertcompress\[openvino\]"'):
        open_runtime(folder_of(tiny_graph()), "openvino", threads=1)
