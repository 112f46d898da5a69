"""Merges a LoRA adapter into its base model, as PEFT does.

With A ``[r, in]`` and B ``[out, r]`` of a linear layer that the adapter changes:

    W + s B A        s = lora_alpha / r, with rslora lora_alpha / sqrt r

where a layer may have its own r and lora_alpha (``rank_pattern``, ``alpha_pattern``). Whole weights
beside them, of a new head or trained biases, take the base's place. ``fan_in_fan_out`` is for
layers that no encoder here has; PEFT turns it off for linear ones.

PEFT would have to be installed and load its own copy of the base; plain LoRA is one sum. Whatever
else an adapter asks for is refused by name.

Source: PEFT 0.21, ``tuners/lora/layer.py``, ``tuners/lora/model.py``; Hu et al., "LoRA", ICLR 2022;
Kalajdzievski, "A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA", 2023.
"""

from __future__ import annotations

import atexit
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from bertcompress.artifacts.artifact_files import read_side_files
from bertcompress.artifacts.embedding_files import without_pickle
from bertcompress.artifacts.model_config import task_of, task_of_class
from bertcompress.bert.loading.config_file import json_object, read_config
from bertcompress.bert.loading.weights import Fit, check_fit, read_model
from bertcompress.bert.structure import check_known
from bertcompress.errors import LoadError
from bertcompress.quiet import quiet_transformers

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

_SETUP = "adapter_config.json"
_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
_PREFIX = "base_model.model."
_WRAPPERS = re.compile(r"\.(?:modules_to_save|base_layer)\.")
"""Between a module and its weight, where a new head or a trained bias is told."""
_TASKS = {
    "SEQ_CLS": "text-classification",
    "TOKEN_CLS": "token-classification",
    "QUESTION_ANS": "question-answering",
    "FEATURE_EXTRACTION": "feature-extraction",
}
_APPLIED = (
    *("peft_type", "task_type", "auto_mapping", "base_model_name_or_path", "revision", "bias"),
    *("r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "modules_to_save"),
)
_CHANGES_NOTHING = (
    *("peft_version", "inference_mode", "lora_dropout", "fan_in_fan_out", "ensure_weight_tying"),
    *("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern"),
    *("init_lora_weights", "eva_config", "loftq_config", "megatron_config", "megatron_core"),
    *("qalora_group_size", "runtime_config"),
)
"""Which layers are changed, the weights' names say; how they began, no longer matters."""
_BEGINNINGS = (True, False, None, "gaussian", "eva", "orthogonal")
"""Of ``init_lora_weights``; the others change the base too, which only PEFT makes again."""
_TOKENIZER = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.txt", "vocab.json", "merges.txt", "bpe.codes", "*.model"),
)


@dataclass(frozen=True)
class Adapter:
    """A LoRA adapter whose setup is understood.

    Attributes:
        folder: Where it lies.
        name: What was typed, for messages.
        base: The name or folder of the model that it was made for.
        revision: The base's hub revision.
    """

    folder: Path
    name: str
    base: str
    revision: str | None

    def why_no_base(self) -> str:
        """Returns the sentence for a base that can't be found."""
        own = " (its own, if the weights beside it are the base)"
        beside = own if (self.folder / "config.json").is_file() else ""
        return (
            f"{self.name} holds a LoRA adapter for {self.base}, which is no model here; write that "
            f"model's folder into base_model_name_or_path of {self.folder / _SETUP}{beside}"
        )


def is_adapter(folder: Path) -> bool:
    """Whether an adapter lies in a folder, alone or beside weights, which then are not all."""
    return any((folder / file).is_file() for file in (_SETUP, *_WEIGHTS))


def read_adapter(folder: Path, name: str) -> Adapter:
    """Reads what an adapter is for.

    Raises:
        LoadError: It is no LoRA, asks for more than LoRA, or a part is missing.
    """
    fields = _setup(folder, name)
    base = fields.get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise LoadError(
            f"{folder / _SETUP} names no base model; write its folder into base_model_name_or_path"
        )
    revision = fields.get("revision")
    return Adapter(folder, name, base, revision if isinstance(revision, str) else None)


def merged(adapter: Adapter, base: Path) -> Path:
    """Returns a folder with the base's weights and the adapter's in one; it goes with the process.

    Tokenizer, labels and the files of Sentence Transformers are the adapter's own where it has
    them.

    Args:
        adapter: From `read_adapter`.
        base: The folder of the model that it was made for.

    Raises:
        LoadError: The two do not fit, or one can't be read.
    """
    files = [*adapter.folder.iterdir(), *base.iterdir()]
    read = tuple((str(file), file.stat().st_mtime_ns) for file in files if file.is_file())
    return _merged(adapter, base, read)


@cache
def _merged(adapter: Adapter, base: Path, read: tuple[tuple[str, int], ...]) -> Path:
    """Merges once for all that open the folder; `read` tells files that were written since."""
    folder, name = adapter.folder, adapter.name
    fields = _setup(folder, name)
    own = folder if (folder / "config.json").is_file() else base
    config = read_config(own, name)
    check_known(config)
    task = _task_of(fields) or task_of(config)
    room = Path(mkdtemp(prefix="bertcompress-adapter-"))
    atexit.register(shutil.rmtree, room, ignore_errors=True)
    model, fit = read_model(_without_adapter(base, room), name, config, task)
    found = _add(model, _tensors(folder, name), fields, name)
    check_fit(name, task, Fit(tuple({*fit.missing} - found), fit.dropped, fit.resized))
    target = room / "merged"
    with quiet_transformers():
        model.save_pretrained(target)
    with_tokenizer = folder if _tokenizer_files(folder) else base
    for file in _tokenizer_files(with_tokenizer):
        shutil.copyfile(file, target / file.name)
    for path, content in read_side_files(folder).items():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_bytes(content)
    return target


def _without_adapter(base: Path, room: Path) -> Path:
    """Returns the base, linked where an adapter lies beside it: Transformers would add it too."""
    if not is_adapter(base):
        return base
    linked = room / "base"
    linked.mkdir()
    for file in base.iterdir():
        if file.name not in (_SETUP, *_WEIGHTS):
            (linked / file.name).symlink_to(file.resolve())
    return linked


def _add(
    model: PreTrainedModel,
    tensors: Mapping[str, torch.Tensor],
    fields: Mapping[str, object],
    name: str,
) -> set[str]:
    """Adds an adapter's weights to a model in place; returns the names of those it replaced."""
    import torch

    weights, replaced = model.state_dict(), set()
    for key, tensor in tensors.items():
        layer, is_down, _ = key.partition(".lora_A.weight")
        if key.endswith(".lora_B.weight") and key.replace("lora_B", "lora_A") in tensors:
            continue
        if layer.startswith("pooler.") and fields.get("task_type") == "FEATURE_EXTRACTION":
            continue  # vectors are made of the tokens' states, which are before it
        place = f"{layer}.weight" if is_down else key
        if place not in weights:
            raise LoadError(
                f"the adapter of {name} holds {key}, which its base has no place for; merge it "
                "with PEFT (merge_and_unload), and give the folder that this saves"
            )
        added = tensor.float()
        if is_down:
            up = tensors.get(f"{layer}.lora_B.weight", torch.empty(0, 0)).float()
            rank, alpha = _of_layer(fields, "r", layer), _of_layer(fields, "lora_alpha", layer)
            if added.shape[0] != rank or up.shape[-1] != rank:
                raise LoadError(
                    f"the adapter of {name} should have rank {rank:g} in {layer}, found "
                    f"{added.shape[0]} and {up.shape[-1]}; copy its two files again"
                )
            added = up @ added * (alpha / (rank**0.5 if fields.get("use_rslora") else rank))
        if added.shape != weights[place].shape:
            raise LoadError(
                f"the adapter of {name} has {list(added.shape)} for {place}, where its base has "
                f"{list(weights[place].shape)}; lay a config.json with the adapter's labels beside "
                "it, or name another base"
            )
        if is_down:
            weights[place] += added
        else:
            weights[place].copy_(added)
            replaced.add(place)
    return replaced


def _of_layer(fields: Mapping[str, object], setting: str, layer: str) -> float:
    """Returns a layer's rank or alpha: of the first pattern that its name ends with, or of all."""
    patterns = fields.get("rank_pattern" if setting == "r" else "alpha_pattern")
    own = [
        value
        for pattern, value in (patterns.items() if isinstance(patterns, Mapping) else ())
        if re.match(rf"(.*\.)?({pattern})$", layer)
    ]
    value = own[0] if own else fields.get(setting, 8)
    if not isinstance(value, int | float) or value <= 0:
        raise LoadError(f"{setting} in {_SETUP} must be a number above 0, found {value!r}")
    return value


def _task_of(fields: Mapping[str, object]) -> str | None:
    mapping = fields.get("auto_mapping")
    if isinstance(mapping, Mapping):
        return task_of_class(str(mapping.get("base_model_class")))
    return _TASKS.get(str(fields.get("task_type")))


def _setup(folder: Path, name: str) -> dict[str, object]:
    """Returns an adapter's setup, all of which is understood."""
    setup = folder / _SETUP
    if not setup.is_file():
        raise LoadError(f"{name} holds an adapter's weights and no {_SETUP}; copy it there too")
    fields = json_object(setup)
    known = (*_APPLIED, *_CHANGES_NOTHING)
    strange = [key for key, value in fields.items() if value and key not in known]
    if fields.get("peft_type") != "LORA":
        strange = [f"peft_type {fields.get('peft_type')}"]
    elif fields.get("init_lora_weights") not in _BEGINNINGS:
        strange.append(f"init_lora_weights {fields['init_lora_weights']}")
    if strange:
        raise LoadError(
            f"{name} holds an adapter with {', '.join(strange)}, and plain LoRA is read here; "
            "merge it with PEFT (merge_and_unload), and give the folder that this saves"
        )
    return fields


def _tensors(folder: Path, name: str) -> dict[str, torch.Tensor]:
    """Returns an adapter's tensors by the names that its model has for them."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    path = next((folder / file for file in _WEIGHTS if (folder / file).is_file()), None)
    if path is None:
        raise LoadError(f"{name} has {_SETUP} and no {_WEIGHTS[0]}; copy it there too")
    try:
        tensors = load(path.read_bytes() if path.suffix != ".bin" else without_pickle(path))
    except SafetensorError as error:
        raise LoadError(f"{path} is damaged or cut off ({error}); copy it again") from error
    return {
        _WRAPPERS.sub(".", key.removeprefix(_PREFIX)): tensor
        for key, tensor in tensors.items()
        if ".original_module." not in key
    }


def _tokenizer_files(folder: Path) -> list[Path]:
    return [file for pattern in _TOKENIZER for file in folder.glob(pattern)]
