"""An adapter changes what a model answers: it is merged as PEFT merges it, or refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from bertcompress.bert.loading.frontend import load_config
from bertcompress.bert.loading.load import load, load_encoder
from bertcompress.inference.predictor import Predictor
from fixtures.loading import checkpoint, refusal

QUERY = "bert.encoder.layer.0.attention.self.query"
RANK, ALPHA = 2, 6
HEAD = {"classifier.weight": torch.ones(2, 32), "classifier.bias": torch.ones(2)}
TASKS = {
    "text-classification": ("SEQ_CLS", "AutoModelForSequenceClassification"),
    "token-classification": ("TOKEN_CLS", "AutoModelForTokenClassification"),
    "question-answering": ("QUESTION_ANS", "AutoModelForQuestionAnswering"),
    "feature-extraction": ("FEATURE_EXTRACTION", "AutoModel"),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "rslora": {"use_rslora": True, "r": 4},
    "patterns": {
        "rank_pattern": {"layer.1.attention.self.query": 3, "value": 5},
        "alpha_pattern": {r"layer\.\d.attention.self.value": 11},
    },
    "fan in, fan out": {"fan_in_fan_out": True},
    "biases": {"bias": "all"},
    "biases of its layers": {"bias": "lora_only"},
    "one layer": {"layers_to_transform": [1], "layers_pattern": "layer"},
    "pooler too": {"target_modules": ["query", "dense"]},
}


def write_adapter(folder: Path, base: str, **changes: object) -> torch.Tensor:
    """Writes a LoRA adapter of one matrix with its head, as PEFT does; returns what it adds."""
    generator = torch.Generator().manual_seed(5)
    down, up = (torch.randn(size, generator=generator) for size in ((RANK, 32), (32, RANK)))
    setup = {
        **{"peft_type": "LORA", "task_type": "SEQ_CLS", "r": RANK, "lora_alpha": ALPHA},
        **{"base_model_name_or_path": base, "target_modules": ["query"], "bias": "none"},
        **{"layers_to_transform": [0], "inference_mode": True, **changes},
    }
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(setup))
    prefix = f"base_model.model.{QUERY}"
    weights = {f"{prefix}.lora_A.weight": down, f"{prefix}.lora_B.weight": up}
    weights |= {f"base_model.model.{name}": weight for name, weight in HEAD.items()}
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    return up @ down * (ALPHA / RANK)


def check_sum(folder: Path, base: Path, added: torch.Tensor) -> None:
    """Fails unless a folder's weights are the base's with the adapter's."""
    before, after = checkpoint(base).model, checkpoint(folder).model
    right = before.get_submodule(QUERY).weight + added
    torch.testing.assert_close(after.get_submodule(QUERY).weight, right)
    head = after.get_submodule("classifier")
    torch.testing.assert_close(head.weight.data, HEAD["classifier.weight"])


@pytest.mark.filterwarnings("ignore::UserWarning")  # PEFT's, of fan_in_fan_out and biases
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("settings", SETTINGS)
def test_weights_are_those_that_peft_merges(
    task: str, settings: str, tiny_folder: Callable[..., Path], tmp_path: Path
) -> None:
    peft: Any = pytest.importorskip("peft")
    transformers: Any = pytest.importorskip("transformers")
    kind, auto = TASKS[task]
    base = getattr(transformers, auto).from_pretrained(tiny_folder(task=task))
    asked = {"target_modules": ["query", "value"], "r": 2, "lora_alpha": 6, **SETTINGS[settings]}
    tuned = peft.get_peft_model(base, peft.LoraConfig(task_type=kind, **asked))
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in tuned.parameters():
            if parameter.requires_grad:
                parameter.copy_(torch.randn_like(parameter) * 0.1)
    tuned.save_pretrained(tmp_path / "adapter")

    found = checkpoint(tmp_path / "adapter")

    right = tuned.merge_and_unload().state_dict()
    assert found.task == task
    for name, weight in found.model.state_dict().items():
        torch.testing.assert_close(weight, right[name], rtol=0, atol=1e-6, msg=name)


def test_an_adapter_is_merged_in_every_way_of_loading(
    tiny_folder: Callable[..., Path], ok: Callable[..., str], tmp_path: Path
) -> None:
    folder = tmp_path / "adapter"
    added = write_adapter(folder, str(tiny_folder()))

    check_sum(folder, tiny_folder(), added)
    assert load_config(folder).architectures == ["BertForSequenceClassification"]
    encoder = load_encoder(folder, task="token-classification", labels=("a", "b")).model
    right = checkpoint(tiny_folder()).model.get_submodule(QUERY).weight + added
    torch.testing.assert_close(encoder.get_submodule(QUERY).weight, right)
    with Predictor.open(folder) as predictor:
        wanted = predictor.predict(["good film"]).predictions
    ok("export", folder, "-o", tmp_path / "graph")
    answer = json.loads(ok("predict", tmp_path / "graph", "good film"))
    assert answer["score"] == pytest.approx(wanted[0].score, abs=1e-5)


def test_an_adapter_beside_weights_of_another_name_is_refused(
    tiny_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_folder(), tmp_path / "model")
    write_adapter(folder, "some/base")

    message = refusal(lambda: load(folder))

    assert "for some/base, which is no model here" in message
    assert "its own, if the weights beside it are the base" in message


def test_the_offered_name_leads_on(tiny_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folder(), tmp_path / "model")

    added = write_adapter(folder, str(folder))

    check_sum(folder, tiny_folder(), added)


def test_an_adapter_for_an_adapter_is_refused(
    tiny_folder: Callable[..., Path], tmp_path: Path
) -> None:
    write_adapter(tmp_path / "first", str(tmp_path / "second"))
    write_adapter(tmp_path / "second", str(tmp_path / "first"))

    assert "is an adapter itself" in refusal(lambda: load(tmp_path / "first"))


@pytest.mark.parametrize("left", ["adapter_config.json", "adapter_model.safetensors"])
def test_half_an_adapter_is_refused(
    left: str, tiny_folder: Callable[..., Path], tmp_path: Path
) -> None:
    write_adapter(tmp_path / "adapter", str(tiny_folder()))
    (tmp_path / "adapter" / left).unlink()

    assert f"no {left}; copy it there too" in refusal(lambda: load(tmp_path / "adapter"))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"use_dora": True}, "use_dora"),
        ({"peft_type": "IA3"}, "peft_type IA3"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights pissa"),
        ({"trainable_token_indices": [3]}, "trainable_token_indices"),
        ({"something_new": 1}, "something_new"),
        ({"r": 3}, "should have rank 3"),
        ({"base_model_name_or_path": None}, "names no base model"),
    ],
)
def test_what_is_not_plain_lora_is_refused_by_name(
    changes: dict[str, object],
    told: str,
    tiny_folder: Callable[..., Path],
    tmp_path: Path,
) -> None:
    write_adapter(tmp_path / "adapter", str(tiny_folder()), **changes)

    assert told in refusal(lambda: load(tmp_path / "adapter"))


def test_the_way_out_by_peft_gives_the_sum_of_both(
    tiny_folder: Callable[..., Path], tmp_path: Path
) -> None:
    peft: Any = pytest.importorskip("peft")
    added = write_adapter(tmp_path / "adapter", str(tiny_folder()))

    merged = peft.AutoPeftModelForSequenceClassification.from_pretrained(tmp_path / "adapter")
    merged.merge_and_unload().save_pretrained(tmp_path / "merged")
    for file in tiny_folder().glob("tokenizer*"):
        shutil.copy(file, tmp_path / "merged")

    check_sum(tmp_path / "merged", tiny_folder(), added)
