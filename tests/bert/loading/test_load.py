"""What loads, and the sentence for what does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from onnx import TensorProto, helper
from transformers import PreTrainedModel

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel, Step, save
from bertcompress.bert.loading.load import load, load_encoder
from bertcompress.errors import UsageError
from fixtures.loading import checkpoint, refusal

Answer = Callable[[PreTrainedModel, Mapping[str, torch.Tensor]], torch.Tensor]
Inputs = dict[str, torch.Tensor]
CLASSES = {
    "text-classification": "BertForSequenceClassification",
    "token-classification": "BertForTokenClassification",
    "question-answering": "BertForQuestionAnswering",
    "feature-extraction": "BertModel",
}


def test_each_task_loads_with_its_head(
    task: str, tiny_folder: Callable[..., Path], inputs: Inputs, answer: Answer
) -> None:
    import transformers

    artifact = checkpoint(tiny_folder(task=task))

    stock = getattr(transformers, CLASSES[task]).from_pretrained(tiny_folder(task=task))
    assert artifact.task == task
    assert type(artifact.model).__name__ == CLASSES[task]
    assert not artifact.model.training
    assert torch.equal(answer(artifact.model, inputs), answer(stock.eval(), inputs))
    vocabulary = artifact.tokenizer.get_vocab()
    expected = [2, vocabulary["good"], vocabulary["film"], 3]
    assert artifact.tokenizer("good film")["input_ids"] == expected


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model_type": "gpt2"}, "this is a 'gpt2' model; bertcompress reads BERT"),
        ({"model_type": None}, "this is a model without a model_type; bertcompress reads BERT"),
        ({"is_decoder": True}, "this BERT is a decoder"),
        ({"add_cross_attention": True}, "this BERT is a decoder"),
        ({"position_embedding_type": "relative_key"}, "has relative_key positions"),
        ({"architectures": ["BertForMaskedLM"]}, "names BertForMaskedLM; known are"),
        ({"architectures": None}, "names no architecture; known are"),
        ({"hidden_size": 30}, "not a multiple of the number of attention heads"),
        ({"intermediate_size": 48}, "6 have another size, the first is bert.encoder.layer.0.inter"),
        (
            {"num_hidden_layers": 1},
            "has no place for 16 of them, the first is bert.encoder.layer.1.",
        ),
        ({"num_hidden_layers": 3}, "lacks 16 weights that text-classification needs"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(
    copy_of: Callable[..., Path], change: dict[str, object], sentence: str
) -> None:
    folder = copy_of(**change)

    assert sentence in refusal(lambda: load(folder))


def test_a_size_of_the_wrong_type_is_refused(copy_of: Callable[..., Path]) -> None:
    folder = copy_of(hidden_size="wide")

    assert str(folder) in refusal(lambda: load(folder))


@pytest.mark.parametrize(
    ("of", "wanted"),
    [
        ("feature-extraction", "text-classification"),
        ("text-classification", "token-classification"),  # heads of one name, and maybe of one size
        ("token-classification", "question-answering"),
    ],
)
def test_a_model_without_the_tasks_head_is_refused(
    tiny_folder: Callable[..., Path], of: str, wanted: str
) -> None:
    folder = tiny_folder(task=of)

    message = refusal(lambda: load(folder, task=wanted))

    assert f"is a {CLASSES[of]}, not fine-tuned for {wanted}" in message
    assert f"type: bertcompress finetune {folder} --task {wanted}" in message


def test_a_classifier_gives_embeddings_if_asked(
    tiny_folder: Callable[..., Path], inputs: Inputs, answer: Answer
) -> None:
    whole: Any = checkpoint(tiny_folder()).model

    artifact = checkpoint(tiny_folder(), task="feature-extraction")

    assert artifact.task == "feature-extraction"
    assert artifact.config.architectures == ["BertModel"]
    assert torch.equal(answer(artifact.model, inputs), answer(whole.bert, inputs))


def test_an_unknown_task_is_a_usage_error(tiny_folder: Callable[..., Path]) -> None:
    message = refusal(lambda: load(tiny_folder(), task="text-clasification"), UsageError)

    assert message.endswith("; did you mean 'text-classification'?")


def test_pooling_files_travel_with_the_model(tiny_folder: Callable[..., Path]) -> None:
    folder = tiny_folder(task="feature-extraction")

    side_files = checkpoint(folder).side_files

    assert sorted(side_files) == [
        "1_Pooling/config.json",
        "modules.json",
        "sentence_bert_config.json",
    ]
    assert side_files["modules.json"] == (folder / "modules.json").read_bytes()


def test_code_in_the_folder_is_not_run(copy_of: Callable[..., Path], tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    folder = copy_of(
        auto_map={
            "AutoConfig": "own.Config",
            "AutoModelForSequenceClassification": "own.Model",
        }
    )
    (folder / "own.py").write_text(f"from pathlib import Path\nPath({str(trace)!r}).touch()\n")

    assert type(checkpoint(folder).model).__module__.startswith("transformers.")
    assert not trace.exists()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("tokenizer.json", "junk", "tokenizer.json is not JSON"),
        ("tokenizer.json", "{}", "tokenizer.json has no model"),
        ("tokenizer_config.json", "junk", "tokenizer_config.json is not JSON"),
    ],
)
def test_a_tokenizer_that_is_junk_is_refused(
    copy_of: Callable[..., Path], name: str, content: str, sentence: str
) -> None:
    folder = copy_of()
    (folder / name).write_text(content)

    assert sentence in refusal(lambda: load(folder))


def test_a_folder_without_a_tokenizer_is_refused(copy_of: Callable[..., Path]) -> None:
    folder = copy_of()
    for file in (*folder.glob("tokenizer*"), *folder.glob("vocab*")):
        file.unlink()

    assert "has no tokenizer (tokenizer.json or vocab.txt)" in refusal(lambda: load(folder))


def test_loading_is_quiet(
    tiny_folder: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    load(
        tiny_folder(), task="feature-extraction"
    )  # drops the head, of which Transformers makes news

    assert capfd.readouterr() == ("", "")


def test_an_altered_file_of_an_artifact_is_refused(
    tiny_checkpoint: Callable[..., Checkpoint], tmp_path: Path
) -> None:
    folder = save(tiny_checkpoint(), tmp_path / "out")
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)

    message = refusal(lambda: load(folder))

    assert message.startswith(f"{folder / 'model.safetensors'} is not the file that was written")


def test_history_comes_back(tiny_checkpoint: Callable[..., Checkpoint], tmp_path: Path) -> None:
    from dataclasses import replace

    step = Step("PruneHeads", {"fraction": 0.3}, 1.5, 100, 80, 400, 320, {"kept": [[0, 2]]}, {})
    folder = save(replace(tiny_checkpoint(), history=(step,)), tmp_path / "out")

    assert load(folder).history == (step,)


# --- a new head ---------------------------------------------------------------------------------


def test_an_encoder_gets_a_head_for_its_labels(
    tiny_folder: Callable[..., Path], inputs: Inputs, answer: Answer
) -> None:
    labels = ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]

    made = load_encoder(tiny_folder(), task="token-classification", labels=labels)

    old, new = checkpoint(tiny_folder()).model.state_dict(), made.model.state_dict()
    encoder = [name for name in old if "encoder" in name or "embeddings" in name]
    assert len(encoder) == 37
    assert all(torch.equal(new[name], old[name]) for name in encoder)
    assert answer(made.model, inputs).shape == (3, 9, 5)
    assert made.config.id2label == dict(enumerate(labels))
    assert made.config.label2id == {name: number for number, name in enumerate(labels)}
    assert made.config.architectures == ["BertForTokenClassification"]


def test_an_old_head_is_not_kept_but_its_pooler_is(tiny_folder: Callable[..., Path]) -> None:
    old = checkpoint(tiny_folder()).model.state_dict()

    new = load_encoder(tiny_folder(), task="text-classification").model.state_dict()

    assert not torch.equal(new["classifier.weight"], old["classifier.weight"])
    assert not new["classifier.bias"].any()
    assert torch.equal(new["bert.pooler.dense.weight"], old["bert.pooler.dense.weight"])


@pytest.mark.parametrize("task", ["text-classification", "question-answering"])
def test_the_seed_decides_the_new_head(tiny_folder: Callable[..., Path], task: str) -> None:
    folder = tiny_folder(task="token-classification")  # has no pooler
    before = torch.get_rng_state()

    states = [load_encoder(folder, task=task, seed=seed).model.state_dict() for seed in (1, 1, 2)]

    new = [name for name in states[0] if "encoder" not in name and "embeddings" not in name]
    assert new
    assert all(torch.equal(states[0][name], states[1][name]) for name in new)
    assert any(not torch.equal(states[0][name], states[2][name]) for name in new)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_encoder_with_a_gap_is_refused(copy_of: Callable[..., Path]) -> None:
    folder = copy_of(num_hidden_layers=3)

    message = refusal(lambda: load_encoder(folder, task="text-classification"))

    assert "lacks 16 weights" in message
    assert "encoder.layer.2" in message


def test_the_old_heads_kind_of_problem_is_forgotten(copy_of: Callable[..., Path]) -> None:
    folder = copy_of(problem_type="multi_label_classification")

    made = load_encoder(folder, task="text-classification", labels=["a", "b", "c"])

    assert made.config.problem_type is None


# --- graphs -------------------------------------------------------------------------------------


@pytest.fixture
def graph_folder(tiny_checkpoint: Callable[..., Checkpoint], tmp_path: Path) -> Path:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])
    node = helper.make_node("Neg", ["x"], ["y"])
    graph = helper.make_model(helper.make_graph([node], "tiny", [value], [out]))
    made = tiny_checkpoint()
    artifact = OnnxModel(graph, made.config, made.tokenizer, made.task)
    return save(artifact, tmp_path / "graph")


def test_a_graph_loads_as_a_graph(graph_folder: Path) -> None:
    artifact = load(graph_folder)

    assert isinstance(artifact, OnnxModel)
    assert artifact.graph.graph.node[0].op_type == "Neg"
    assert artifact.task == "text-classification"


def test_a_graph_for_another_task_is_refused(graph_folder: Path) -> None:
    message = refusal(lambda: load(graph_folder, task="question-answering"))

    assert "is a graph for text-classification, not for question-answering" in message


@pytest.mark.parametrize(("content", "sentence"), [(b"", "empty graph"), (b"junk", "not an ONNX")])
def test_a_graph_that_is_junk_is_refused(graph_folder: Path, content: bytes, sentence: str) -> None:
    (graph_folder / "bertcompress.json").unlink()
    (graph_folder / "onnx" / "model.onnx").write_bytes(content)

    assert sentence in refusal(lambda: load(graph_folder))


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "task", "parameters"),
    [
        ("minilm-sst2", "text-classification", 22_713_986),
        ("minilm-conll2003", "token-classification", 22_568_841),
    ],
)
def test_the_real_models_load(shared: Path, name: str, task: str, parameters: int) -> None:
    artifact = checkpoint(shared / "models" / name)

    assert artifact.task == task
    assert artifact.parameters == parameters
    assert {weight.dtype for weight in artifact.model.parameters()} == {torch.float32}
