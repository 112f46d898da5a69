"""How a Sentence Transformers folder feeds its Transformer: length, case, prompt.

The settings stand in ``sentence_bert_config.json`` and ``config_sentence_transformers.json``. Each
is applied as Sentence Transformers applies it, or refused by its name: a setting that is passed
over would give other vectors without a word.

Source: Sentence Transformers 6.2, ``base/modules/transformer.py``, ``base/model.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bertcompress.artifacts.embedding_files import (
    MODEL_NAME,
    MODULES_NAME,
    TRANSFORMER_NAME,
    json_fields,
)
from bertcompress.errors import LoadError

_OUTPUTS = {
    "feature-extraction": ("last_hidden_state", "token_embeddings"),
    "sequence-classification": ("logits", "scores"),
}
"""What a Transformer gives in each of its tasks, and what the next module knows it by."""

_ARGUMENTS = ("model", "processor", "tokenizer", "config")
_NO_EFFECT = ("unpad_inputs",)
"""How attention is computed, on GPUs alone."""


@dataclass(frozen=True)
class TransformerSettings:
    """What is done to texts before they reach the model.

    Attributes:
        max_length: Where longer texts are cut, tokens; None for what tokenizer and model take.
        lower_case: Whether texts are lowercased before the tokenizer's own rules.
        prompt: Put before every text.
        truncate_dim: The entries of a vector that are kept, from the first on; None for all.
        activation: The path of the class that a cross-encoder's logit goes through, if it is said.
    """

    max_length: int | None = None
    lower_case: bool = False
    prompt: str = ""
    truncate_dim: int | None = None
    activation: str | None = None


def read_transformer(
    files: Mapping[str, bytes], *, task: str, model_type: str
) -> TransformerSettings:
    """Returns the settings of a folder; the usual ones where it has no ``modules.json``.

    Args:
        files: From `bertcompress.artifacts.artifact_files.read_side_files`.
        task: The Transformer's: ``feature-extraction`` or ``sequence-classification``.
        model_type: ``SentenceTransformer`` or ``CrossEncoder``.

    Raises:
        LoadError: A setting can't be applied.
    """
    if MODULES_NAME not in files:
        return TransformerSettings()
    fields = json_fields(files.get(TRANSFORMER_NAME, b"{}"), TRANSFORMER_NAME)
    _check_fields(fields, task)
    model = json_fields(files.get(MODEL_NAME, b"{}"), MODEL_NAME)
    kind = model.get("model_type", "SentenceTransformer")
    if kind != model_type:
        raise LoadError(
            f"{MODEL_NAME} says that this is a {kind}, and only SentenceTransformer (one vector a "
            "text) and CrossEncoder (a number for a pair) are known; choose one of these"
        )
    activation = model.get("activation_fn")
    return TransformerSettings(
        _count(fields, "max_seq_length", TRANSFORMER_NAME),
        bool(fields.get("do_lower_case", False)),
        _prompt(model),
        _count(model, "truncate_dim", MODEL_NAME),
        None if activation is None else str(activation),
    )


def _prompt(model: Mapping[str, object]) -> str:
    """Returns the prompt that every text gets; the classes themselves know two empty ones."""
    name, given = model.get("default_prompt_name"), model.get("prompts", {})
    if name is None:
        return ""
    prompts = {"query": "", "document": "", **given} if isinstance(given, Mapping) else {}
    prompt = prompts.get(name, 0) if isinstance(name, str) else 0
    if not (prompt is None or isinstance(prompt, str)):
        raise LoadError(
            f"{MODEL_NAME} has default_prompt_name {name!r} and prompts "
            f"{', '.join(map(str, prompts)) or 'none'}; correct default_prompt_name"
        )
    return prompt or ""


def _count(fields: Mapping[str, object], key: str, place: str) -> int | None:
    value = fields.get(key)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
        return value
    raise LoadError(f"{place} has {key} {value!r}, which must be a number above 0; correct it")


def _check_fields(fields: Mapping[str, object], task: str) -> None:
    """Fails with a LoadError that names the first setting that can't be applied."""
    output, name = _OUTPUTS[task]
    allowed: dict[str, object] = {
        "transformer_task": task,
        "modality_config": {"text": {"method": "forward", "method_output_name": output}},
        "module_output_name": name,
    }
    for key, value in fields.items():
        stem = key.removesuffix("_args").removesuffix("_kwargs")
        if key in ("max_seq_length", "do_lower_case", *_NO_EFFECT) or value is None:
            continue
        if key in allowed and value == allowed[key]:
            continue
        if stem in _ARGUMENTS and isinstance(value, Mapping):
            refused = [name for name in value if (stem, name) != ("model", "attn_implementation")]
            if not refused:
                continue
            key, value = f"{key}.{refused[0]}", value[refused[0]]
        elif value in ({}, []):
            continue
        raise LoadError(
            f"{TRANSFORMER_NAME} asks for {key} {value!r}, which is not applied here; choose a "
            "model without it"
        )
