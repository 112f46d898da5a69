"""Finite or refused: NaN and infinity in weights, outputs, training and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from safetensors.torch import load_file, save_file

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel, save
from bertcompress.bert.loading.load import load, load_encoder
from bertcompress.errors import LoadError, PassError, RunError
from bertcompress.examples import TextExample
from bertcompress.inference.answers import predict_all
from bertcompress.inference.predictor import Predictor
from bertcompress.passes.context import Context
from bertcompress.runtimes.base import FakeRuntime
from bertcompress.tasks import make_task
from bertcompress.train.finetune import Finetune
from fixtures.command import Run

BIAS = "bert.encoder.layer.1.output.dense.bias"
WEIGHT = "bert.encoder.layer.0.output.dense.weight"
TABLE = "bert.embeddings.word_embeddings.weight"
CASES = {
    "nan": (BIAS, 3, float("nan"), torch.float32),
    "inf": (WEIGHT, 5, float("inf"), torch.float32),
    "float16": (WEIGHT, 5, 7e4, torch.float16),
    "a row nobody reads": (TABLE, -1, float("nan"), torch.float32),
}


@pytest.fixture
def damaged(tiny_folder: Callable[..., Path], tmp_path: Path) -> Callable[[str], Path]:
    """Makes a checkpoint with one weight that is no finite number."""

    def make(case: str) -> Path:
        name, at, value, dtype = CASES[case]
        folder = tmp_path / "damaged"
        folder.mkdir()
        for file in tiny_folder().iterdir():
            if file.name != "model.safetensors":
                (folder / file.name).write_bytes(file.read_bytes())
        weights = load_file(tiny_folder() / "model.safetensors")
        weights[name].view(-1)[at] = value
        weights = {key: tensor.to(dtype) for key, tensor in weights.items()}
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        return folder

    return make


@pytest.mark.parametrize("case", [*CASES])
def test_a_weight_is_refused_by_name(case: str, damaged: Callable[[str], Path]) -> None:
    folder = damaged(case)
    says = f"hold NaN or infinity in {CASES[case][0]}, so its answers mean nothing"

    with pytest.raises(LoadError, match=says):
        load(folder)
    with pytest.raises(LoadError, match=says), Predictor.open(folder) as model:
        model.predict(["a good film"])
    with pytest.raises(LoadError, match=says):
        load_encoder(folder, task="text-classification", labels=("a", "b"))


@pytest.mark.parametrize(
    "verb",
    [
        ("predict", "DAMAGED", "good"),
        ("evaluate", "DAMAGED", "--data", "DATA"),
        pytest.param(("export", "DAMAGED", "-o", "OUT"), marks=pytest.mark.slow),
        pytest.param(
            ("finetune", "DAMAGED", "--data", "DATA", "-o", "OUT"), marks=pytest.mark.slow
        ),
        pytest.param(
            ("prune", "DAMAGED", "--heads", "0.5", "--data", "DATA", "-o", "OUT"),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ("quantize", "DAMAGED", "--data", "DATA", "-o", "OUT"), marks=pytest.mark.slow
        ),
    ],
    ids=lambda verb: verb[0],
)
def test_every_verb_refuses_it_in_one_sentence(
    verb: tuple[str, ...],
    damaged: Callable[[str], Path],
    fails: Callable[..., str],
    data: Path,
    tmp_path: Path,
) -> None:
    places = {"DAMAGED": damaged("nan"), "DATA": data, "OUT": tmp_path / "out"}

    said = fails(1, *(places.get(word, word) for word in verb))

    assert BIAS in said
    assert not places["OUT"].exists()


def test_a_graph_is_refused_by_the_weights_name(
    tiny_graph: Callable[..., OnnxModel], tmp_path: Path
) -> None:
    model = tiny_graph()
    graph = onnx.ModelProto()
    graph.CopyFrom(model.graph)
    tensor = next(one for one in graph.graph.initializer if one.name.endswith(".weight_t"))
    values = numpy_helper.to_array(tensor).copy()
    values[0, 0] = np.nan
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    folder = save(replace(model, graph=graph, history=()), tmp_path / "graph")
    (folder / "bertcompress.json").unlink()

    for open_it in (load, Predictor.open):
        with pytest.raises(LoadError, match=f"NaN or infinity in the weight {tensor.name}"):
            open_it(folder)


def test_an_output_is_refused_with_the_texts_name(
    tiny_checkpoint: Callable[..., Checkpoint],
) -> None:
    checkpoint = tiny_checkpoint()
    task = make_task(checkpoint.task, checkpoint.config)
    examples = [TextExample(f"text:{at}", "good film") for at in range(1, 6)]
    features = task.encode(checkpoint.tokenizer, examples, max_length=16)  # type: ignore[arg-type]

    def answer(feed: object) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]]:
        logits = np.zeros((5, 2), np.float32)
        logits[3, 1] = np.inf
        return {"logits": logits}

    with (
        FakeRuntime(answer, outputs=("logits",)) as runtime,
        pytest.raises(RunError, match="the model's logits for text:4 holds NaN or infinity"),
    ):
        predict_all(runtime, task, features, examples)


def test_training_that_diverges_leaves_nothing(
    tiny_checkpoint: Callable[..., Checkpoint],
) -> None:
    pytest.importorskip("accelerate")
    rows = tuple(
        TextExample(f"row:{at}", "good film", label=("negative", "positive")[at % 2])
        for at in range(8)
    )
    checkpoint = tiny_checkpoint()
    with torch.no_grad():  # finite, but no longer so when it is squared
        checkpoint.model.get_parameter(TABLE).mul_(1e38)
    tune = Finetune(epochs=1, batch_size=4, warmup_fraction=0.0)

    with pytest.raises(PassError, match=r"training made .* NaN or infinite; take a lower learning"):
        tune.apply(checkpoint, Context(train=rows))


def test_json_of_the_command_is_json(
    model: Path, data: Path, bc: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bertcompress.tasks.text_classification import TextClassification

    def to_json(*_: object) -> dict[str, object]:
        return {"score": float("nan"), "all": [float("inf"), 1.0]}

    monkeypatch.setattr(TextClassification, "to_json", to_json)

    line = bc("predict", model, "good").stdout.strip()

    def no_word(word: str) -> float:
        raise AssertionError(word)

    assert json.loads(line, parse_constant=no_word) == {"score": None, "all": [None, 1.0]}
