"""Every family goes the whole way: cut, saved, read again, laid out, re-fitted, exported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import save_file
from transformers import BertConfig, PreTrainedModel, RobertaConfig

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel, save
from bertcompress.artifacts.model_config import CLASS_PREFIXES
from bertcompress.bert.batch_losses import Batch
from bertcompress.bert.families import (
    FAMILIES,
    Family,
    check_model_type,
    input_names,
    longest_text,
    pad_token_of,
)
from bertcompress.bert.loading.load import load, load_encoder
from bertcompress.bert.pruning.importance import from_data
from bertcompress.bert.pruning.refit import refit
from bertcompress.bert.pruning.sweeps import swept
from bertcompress.bert.register import AUTO_CLASSES
from bertcompress.bert.structure import layers_of, shape_of
from bertcompress.bert.surgery import cut
from bertcompress.errors import LoadError
from bertcompress.examples import QuestionExample, TextExample, TokenExample
from bertcompress.passes.context import Context
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.prune.prune_layers import PruneLayers
from bertcompress.passes.prune.relayout import stock_layout
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.runtimes.ort.runtime import run_graph
from bertcompress.runtimes.torch.runtime import TorchRuntime
from bertcompress.runtimes.torch.settings import TorchSettings
from bertcompress.tasks import make_task
from bertcompress.train.finetune import Finetune
from bertcompress.train.losses import distillation_loss
from tests.fixtures.recorder import EagerRecorder

Tiny = Callable[..., Checkpoint]
Answer = Callable[[PreTrainedModel, Mapping[str, torch.Tensor]], torch.Tensor]
Inputs = dict[str, torch.Tensor]
Feed = dict[str, np.ndarray]
TEXTS = tuple(
    TextExample(str(at), text, label=("negative", "positive")[at % 2])
    for at, text in enumerate(("the film is good", "a bad film", "who is in a film", "not bad"))
)
DISTILBERT = check_model_type("distilbert")
ROBERTA = check_model_type("roberta")


def taken(model: PreTrainedModel, inputs: Inputs) -> Inputs:
    """Returns the inputs that the model takes, with its own padding token and small numbers."""
    ids = 5 + inputs["input_ids"] % 30
    ids = ids.masked_fill(inputs["attention_mask"] == 0, int(model.config.pad_token_id or 0))
    return {name: {**inputs, "input_ids": ids}[name] for name in input_names(model.config)}


def batches(model: PreTrainedModel, count: int) -> list[Batch]:
    generator = torch.Generator().manual_seed(0)
    made = []
    for number in range(count):
        ids = torch.randint(5, 40, (4, 9), generator=generator)
        mask = torch.ones_like(ids)
        mask[0, 5:] = 0
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": ids * 0}
        made.append(Batch(taken(model, inputs), {}, held_out=number % 5 == 1))
    return made


def pruned(checkpoint: Checkpoint) -> Checkpoint:
    """Returns it with unequal layers, one without heads and one without neurons."""
    model = cut(checkpoint.model, heads=((), (0, 3)), ffn=(tuple(range(10)), ()))
    return Checkpoint(model, checkpoint.tokenizer, checkpoint.task)


def test_a_pruned_model_is_saved_read_and_laid_out(
    family: Family, task: str, tiny_family: Tiny, inputs: Inputs, answer: Answer, tmp_path: Path
) -> None:
    whole = tiny_family(family, task)
    small = pruned(whole)
    feed = taken(whole.model, inputs)
    real = feed["attention_mask"].bool()

    again = load(save(small, tmp_path / "out"))

    assert isinstance(again, Checkpoint)
    assert (again.task, again.config.model_type) == (task, family.pruned_type)
    assert type(again.model).__name__.startswith(f"Pruned{family.prefix}")
    assert torch.equal(answer(again.model, feed), answer(small.model, feed))
    assert (shape_of(again.model).layer_heads, shape_of(again.model).layer_ffn) == ((0, 2), (10, 0))
    for uniform, width in ((True, 10), (False, 64)):
        stock = stock_layout(small.model, uniform=uniform)
        assert stock.config.model_type == family.model_type
        assert shape_of(stock).layer_ffn == (width, width)
        found, wanted = answer(stock, feed), answer(small.model, feed)
        if found.shape[:2] == real.shape:  # padding is no one's answer
            found, wanted = found[real], wanted[real]
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)


def test_dead_units_cost_nothing(
    family: Family, task: str, tiny_family: Tiny, inputs: Inputs, answer: Answer
) -> None:
    model = tiny_family(family, task).model
    feed = taken(model, inputs)
    with torch.no_grad():
        for layer in layers_of(model):
            assert layer.attention_output is not None
            assert layer.ffn_output is not None
            layer.attention_output.weight[:, 8:24] = 0.0
            layer.ffn_output.weight[:, 5:40] = 0.0
    expected = answer(model, feed)

    smaller = cut(model, heads=((0, 3), (0, 3)), ffn=((*range(5), *range(40, 64)),) * 2)

    torch.testing.assert_close(answer(smaller, feed), expected, rtol=0, atol=1e-5)
    assert shape_of(smaller).layer_heads == (2, 2)


def test_refitting_never_raises_the_error_on_texts_held_out(
    family: Family, tiny_family: Tiny
) -> None:
    model = tiny_family(family).model
    probes = batches(model, 15)
    small = cut(model, heads=((0, 2), ()), ffn=(tuple(range(0, 64, 2)), ()))

    found = swept(model, probes, heads=True, ffn=True)
    done = refit(model, small, probes, weights=found.weights)

    assert len(found.sweeps["heads", 0].order) == 4
    assert [(one.unit, one.layer) for one in done] == [
        (unit, layer) for layer in range(2) for unit in ("heads", "ffn")
    ]
    assert all(one.error_after <= one.error_before for one in done)
    assert any(one.accepted for one in done)
    loss = distillation_loss(model, small, dict(probes[0].inputs))
    assert torch.isfinite(loss)
    assert all(len(one) for one in from_data(model, probes[:2]).heads)


def test_a_layer_is_removed(family: Family, tiny_family: Tiny) -> None:
    made = PruneLayers(1, batch_size=2)(tiny_family(family), Context(TEXTS))

    assert shape_of(made.model).layers == 1
    assert made.config.model_type == family.model_type


def test_the_graph_answers_as_torch_does(family: Family, tiny_family: Tiny, tmp_path: Path) -> None:
    task = "question-answering" if family is DISTILBERT else "text-classification"
    small = pruned(tiny_family(family, task))

    graph = ExportOnnx(tolerance=1e-5)(small)  # an error outside of it
    quantized = QuantizeDynamic()(graph)

    names = tuple(value.name for value in graph.graph.graph.input)
    assert names == input_names(small.config)
    assert graph.config.model_type == family.model_type
    again = load(save(quantized, tmp_path / "graph"))
    assert isinstance(again, OnnxModel)
    assert again.task == task
    last = (
        "classifier.out_proj" if family.model_type not in ("bert", "distilbert") else "classifier"
    )
    left = "qa_outputs" if family is DISTILBERT else last
    assert quantized.history[-1].details["left_in_float"] == left
    tables = [one.name for one in quantized.graph.graph.initializer if one.name.endswith(".q")]
    assert any("word_embeddings" in name for name in tables)
    assert any("position_embeddings" in name for name in tables)


def test_a_new_head_learns(family: Family, tiny_family_folder: Callable[..., Path]) -> None:
    folder = tiny_family_folder(family, "token-classification")

    made = load_encoder(folder, task="text-classification", labels=("negative", "positive"), seed=1)

    again = load_encoder(
        folder, task="text-classification", labels=("negative", "positive"), seed=1
    )
    heads = {name: one for name, one in made.model.state_dict().items() if "classifier" in name}
    assert heads
    assert all(torch.equal(one, again.model.state_dict()[name]) for name, one in heads.items())
    assert all(bool((one == 0).all()) for name, one in heads.items() if name.endswith(".bias"))
    trained = Finetune(epochs=1, batch_size=2)(made, Context(train=TEXTS))
    before, after = (dict(one.model.named_parameters()) for one in (made, trained))
    assert any(not torch.equal(one, after[name]) for name, one in before.items())


def test_a_new_head_for_questions_has_two_ends(
    family: Family, tiny_family_folder: Callable[..., Path], inputs: Inputs, answer: Answer
) -> None:
    folder = tiny_family_folder(family, "token-classification")  # with three labels

    made = load_encoder(folder, task="question-answering")

    assert answer(made.model, taken(made.model, inputs)).shape == (2, 3, 9)


def test_words_and_questions_are_encoded_for_the_model(family: Family, tiny_family: Tiny) -> None:
    tagger = tiny_family(family, "token-classification")
    words = TokenExample("0", ("the", "film", "is", "in", "berlin"))

    [row] = make_task(tagger.task, tagger.config).encode(tagger.tokenizer, [words], max_length=16)

    assert row.word_ids is not None
    assert sorted(set(row.word_ids.tolist())) == [-1, 0, 1, 2, 3, 4]
    tokens = tagger.tokenizer.convert_ids_to_tokens(row.inputs["input_ids"].tolist())
    assert any("film" in token for token in tokens)  # found whole, as after a space
    reader = tiny_family(family, "question-answering")
    asked = QuestionExample("0", "who lives in berlin", "anna lives in berlin")
    task = make_task(reader.task, reader.config)
    [window] = task.encode(reader.tokenizer, [asked], max_length=48)
    assert window.offsets is not None
    start, end = (window.offsets[:, 0] == 13).argmax() or (window.offsets[:, 0] == 14).argmax(), 0
    end = start + int((window.offsets[start:, 1] == 20).argmax())
    outputs = {
        name: np.where(np.arange(window.length) == at, 9.0, 0.0).astype(np.float32)
        for name, at in (("start_logits", start), ("end_logits", end))
    }
    assert task.predict([outputs], [window], [asked])[0].answer == "berlin"


@pytest.mark.slow
@pytest.mark.parametrize("trusted", [False, True], ids=["registered", "trusted"])
def test_a_fresh_process_gives_the_same_answers(
    trusted: bool, tiny_family: Tiny, inputs: Inputs, tmp_path: Path
) -> None:
    """One process reads all families, with bertcompress or with nothing but the folders."""
    expected, rows = {}, []
    tasks = ("text-classification", "feature-extraction")
    for family in FAMILIES:
        for task in tasks:
            small = pruned(tiny_family(family, task))
            name = f"{family.model_type}-{task}"
            folder = save(small, tmp_path / name)
            feed = taken(small.model, inputs)
            save_file(feed, folder / "inputs.safetensors")
            with torch.no_grad():
                expected[name] = small.model(**feed)[0].numpy()
            ending = "Model" if task == "feature-extraction" else "ForSequenceClassification"
            rows.append([AUTO_CLASSES[ending], str(folder)])
            assert (folder / f"{family.modeling}.py").is_file()
            assert "bertcompress." not in (folder / f"{family.modeling}.py").read_text()
    how = 'sys.modules["bertcompress"] = None' if trusted else "import bertcompress"
    code = READ.format(
        path=sys.path,
        how=how,
        more={"trust_remote_code": True} if trusted else {},
        rows=json.dumps(rows),
        threads=torch.get_num_threads(),
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HF_HOME": str(tmp_path / "home"), "BERTCOMPRESS_LAZY": "0"},
    )

    assert done.returncode == 0, done.stderr
    for name, wanted in expected.items():
        found = np.load(tmp_path / name / "answer.npy")
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)


READ = """
import sys
sys.path[:0] = {path!r}
{how}
import json
from pathlib import Path
import numpy as np
import torch
import transformers
from safetensors.torch import load_file
torch.set_num_threads({threads})
for name, folder in json.loads({rows!r}):
    model = getattr(transformers, name).from_pretrained(folder, **{more!r}).eval()
    assert type(model).__name__.startswith("Pruned"), type(model)
    inputs = load_file(folder + "/inputs.safetensors")
    with torch.no_grad():
        np.save(Path(folder) / "answer.npy", model(**inputs)[0].numpy())
    assert transformers.AutoTokenizer.from_pretrained(folder, **{more!r})("good film").input_ids
"""


def test_what_a_model_is_fed_and_for_how_long() -> None:
    roberta = RobertaConfig(max_position_embeddings=514, pad_token_id=1, type_vocab_size=1)
    two = RobertaConfig(type_vocab_size=2)

    assert longest_text(roberta) == 512
    assert longest_text({"model_type": "bert", "max_position_embeddings": 512}) == 512
    assert longest_text({"model_type": "other", "max_position_embeddings": 514}) == 514
    assert input_names(roberta) == ("input_ids", "attention_mask")
    assert input_names(two) == ("input_ids", "attention_mask", "token_type_ids")


def test_a_model_without_a_padding_token_is_padded_with_zeros() -> None:
    assert pad_token_of(RobertaConfig(pad_token_id=7)) == 7
    assert pad_token_of(BertConfig(pad_token_id=None)) == 0


def test_the_families_are_named_alike_everywhere() -> None:
    assert tuple(one.prefix for one in FAMILIES) == CLASS_PREFIXES
    assert len({one.pruned_type for one in FAMILIES}) == len(FAMILIES)
    assert check_model_type("pruned_xlm_roberta") is check_model_type("xlm-roberta")


@pytest.mark.parametrize(
    ("model_type", "sentence"),
    [
        ("modernbert", "this is a 'modernbert' model, whose joined query, key and value and gated"),
        (
            "gpt2",
            "this is a 'gpt2' model; bertcompress reads BERT, RoBERTa, XLM-RoBERTa, CamemBERT",
        ),
        (None, "this is a model without a model_type; bertcompress reads BERT"),
    ],
)
def test_other_models_are_refused(model_type: object, sentence: str) -> None:
    with pytest.raises(LoadError, match=sentence):
        check_model_type(model_type)


def test_heads_that_transformers_4_pruned_are_read_in_all_families(
    tiny_family: Tiny, tmp_path: Path
) -> None:
    for family in (ROBERTA, DISTILBERT):
        small = cut(tiny_family(family).model, heads=((0, 2), (0, 1, 2, 3)))
        folder = save(
            Checkpoint(small, tiny_family(family).tokenizer, "text-classification"),
            tmp_path / family.model_type,
        )
        (folder / "bertcompress.json").unlink()
        raw = json.loads((folder / "config.json").read_text())
        for name in ("layer_heads", "layer_ffn", "head_size", "auto_map"):
            raw.pop(name)
        raw |= {"model_type": family.model_type, "pruned_heads": {"0": [1, 3]}}
        (folder / "config.json").write_text(json.dumps(raw))

        again = load(folder, task="text-classification")

        assert isinstance(again, Checkpoint)
        assert shape_of(again.model).layer_heads == (2, 4)


@pytest.mark.parametrize("is_pruned", [False, True])
def test_packed_and_recorded_it_answers_the_same(
    tiny_family: Tiny, family: Family, is_pruned: bool
) -> None:
    checkpoint = tiny_family(family, "token-classification")
    model = (pruned(checkpoint) if is_pruned else checkpoint).model
    (batch,) = batches(model, 1)
    feed = {name: values.numpy() for name, values in batch.inputs.items()}
    real = feed["attention_mask"].astype(bool)
    with TorchRuntime(model, threads=1) as plain:
        expected = plain.run(feed)["logits"][real]
    for settings in (TorchSettings(packed=True), TorchSettings(graphs=True)):
        with TorchRuntime(model, threads=1, settings=settings, recorder=EagerRecorder) as other:
            np.testing.assert_allclose(other.run(feed)["logits"][real], expected, atol=1e-5)


@pytest.mark.skipif(
    int(transformers.__version__.split(".")[0]) < 5,
    reason="Transformers 4 exports masks of numbers, which graphs for TensorRT do not take",
)
@pytest.mark.parametrize("is_pruned", [False, True])
def test_its_graph_answers_the_same_without_padding(
    family: Family, tiny_family: Tiny, packed_answers: Callable[..., Feed], is_pruned: bool
) -> None:
    task = "token-classification" if is_pruned else "text-classification"
    checkpoint = tiny_family(family, task)
    graph = ExportOnnx()(pruned(checkpoint) if is_pruned else checkpoint).graph
    (batch,) = batches(checkpoint.model, 1)
    feed = {name: values.numpy() for name, values in batch.inputs.items()}
    real = feed["attention_mask"] == 1 if is_pruned else slice(None)

    [expected] = run_graph(graph, [feed])
    got = packed_answers(graph, feed)["logits"]
    np.testing.assert_allclose(got[real], expected["logits"][real], atol=1e-5)
