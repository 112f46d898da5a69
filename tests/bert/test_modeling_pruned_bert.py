"""Pruned models come back in a fresh process, with bertcompress and without it."""

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
from safetensors.torch import save_file
from transformers import PreTrainedModel

from bertcompress.artifacts.artifact import Checkpoint, save
from bertcompress.bert.loading.load import load
from bertcompress.bert.modeling_pruned_bert import PrunedBertConfig, PrunedBertModel
from bertcompress.bert.surgery import cut

Answer = Callable[[PreTrainedModel, Mapping[str, torch.Tensor]], torch.Tensor]
Inputs = dict[str, torch.Tensor]
CLASSES = {
    "text-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "question-answering": "AutoModelForQuestionAnswering",
    "feature-extraction": "AutoModel",
}
WITH = "import bertcompress\nmore = {}"
WITHOUT = (
    'sys.modules["bertcompress"] = None  # importing it fails\nmore = {"trust_remote_code": True}'
)
ASK = """
import sys
sys.path[:0] = {path!r}
{how}
import json
from pathlib import Path
import numpy as np
import torch
import transformers
from safetensors.torch import load_file
torch.set_num_threads({threads})  # sums are rounded as they are split
for name, folder in json.loads({folders!r}):
    model = getattr(transformers, name).from_pretrained(folder, **more).eval()
    inputs = load_file({inputs!r})
    with torch.no_grad():
        found = model(**inputs)
    first = "start_logits" if "start_logits" in found else 0
    np.save(Path(folder) / "answer.npy", found[first].numpy())
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **more)
    print(type(model).__name__, *tokenizer("good film").input_ids)
"""


def pruned(artifact: Checkpoint) -> Checkpoint:
    """Returns it with unequal layers, one of them without heads."""
    return Checkpoint(
        cut(artifact.model, heads=((), (0, 3)), ffn=(tuple(range(10)), tuple(range(50)))),
        artifact.tokenizer,
        artifact.task,
    )


@pytest.mark.parametrize("how", [WITH, WITHOUT], ids=["registered", "trusted"])
def test_a_fresh_process_gives_the_same_answers(
    how: str, tiny_checkpoint: Callable[..., Checkpoint], inputs: Inputs, tmp_path: Path
) -> None:
    expected = {}
    for task in CLASSES:
        artifact = pruned(tiny_checkpoint(task=task))
        save(artifact, tmp_path / task)
        with torch.no_grad():
            found = artifact.model(**inputs)
        first = "start_logits" if "start_logits" in found else 0
        expected[task] = found[first].numpy()
    save_file(inputs, tmp_path / "inputs.safetensors")
    code = ASK.format(
        path=sys.path,
        how=how,
        folders=json.dumps([[name, str(tmp_path / task)] for task, name in CLASSES.items()]),
        inputs=str(tmp_path / "inputs.safetensors"),
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
    ids = " ".join(map(str, tiny_checkpoint().tokenizer("good film")["input_ids"]))
    assert done.stdout.splitlines() == [
        f"PrunedBertForSequenceClassification {ids}",
        f"PrunedBertForTokenClassification {ids}",
        f"PrunedBertForQuestionAnswering {ids}",
        f"PrunedBertModel {ids}",
    ]
    for task in CLASSES:
        found = np.load(tmp_path / task / "answer.npy")
        assert np.array_equal(found, expected[task]), abs(found - expected[task]).max()


def test_save_and_load_give_the_same_answers(
    task: str,
    tiny_checkpoint: Callable[..., Checkpoint],
    inputs: Inputs,
    answer: Answer,
    tmp_path: Path,
) -> None:
    artifact = pruned(tiny_checkpoint(task=task))

    again = load(save(artifact, tmp_path / "out"))

    assert isinstance(again, Checkpoint)
    assert again.task == task
    assert type(again.model) is type(artifact.model)
    assert torch.equal(answer(again.model, inputs), answer(artifact.model, inputs))


def test_the_folder_carries_its_own_code(
    tiny_checkpoint: Callable[..., Checkpoint], tmp_path: Path
) -> None:
    folder = save(pruned(tiny_checkpoint()), tmp_path / "out")

    raw = json.loads((folder / "config.json").read_text())
    assert raw["auto_map"] == {
        "AutoConfig": "modeling_pruned_bert.PrunedBertConfig",
        "AutoModelForSequenceClassification": (
            "modeling_pruned_bert.PrunedBertForSequenceClassification"
        ),
    }
    assert "bertcompress." not in (folder / "modeling_pruned_bert.py").read_text()
    stock = save(tiny_checkpoint(), tmp_path / "stock")
    assert not (stock / "modeling_pruned_bert.py").exists()
    assert "auto_map" not in json.loads((stock / "config.json").read_text())


def test_widths_that_are_a_defaults_own_are_written(tmp_path: Path) -> None:
    """A large model cut to 12 layers of 12 heads has a stock base model's numbers."""
    made = PrunedBertConfig(
        num_hidden_layers=12,
        num_attention_heads=16,
        hidden_size=1024,
        intermediate_size=4096,
        layer_heads=[12] * 12,
        layer_ffn=[3072] * 12,
        head_size=64,
    )
    made.save_pretrained(tmp_path)

    again = PrunedBertConfig.from_pretrained(tmp_path)

    assert again.layer_heads == [12] * 12
    assert again.layer_ffn == [3072] * 12
    assert again.head_size == 64


def test_without_widths_it_is_a_whole_bert(inputs: Inputs) -> None:
    config = PrunedBertConfig(
        vocab_size=100, hidden_size=32, num_hidden_layers=3, num_attention_heads=4
    )

    assert config.layer_heads == [4, 4, 4]
    assert config.layer_ffn == [3072] * 3
    assert config.head_size == 8
    assert PrunedBertModel(config)(**inputs).last_hidden_state.shape == (3, 9, 32)


def test_widths_for_other_layers_are_refused() -> None:
    with pytest.raises(ValueError, match="each of the 2 layers, got 3 and 2"):
        PrunedBertConfig(num_hidden_layers=2, layer_heads=[1, 2, 3], layer_ffn=[5, 6])


def test_a_pruned_model_learns(tiny_checkpoint: Callable[..., Checkpoint], inputs: Inputs) -> None:
    model = pruned(tiny_checkpoint()).model.train()

    model(**inputs, labels=torch.tensor([0, 1, 1])).loss.backward()

    without = [name for name, weight in model.named_parameters() if weight.grad is None]
    assert without == []
