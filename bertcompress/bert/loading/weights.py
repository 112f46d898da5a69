"""Reads weights into a model class, and tells what did not fit.

Transformers fills gaps with random numbers and drops what it does not know, both with no more than
a line in the log. Here sizes that differ, weights that are missing and layers that would be
dropped are errors, and pickled files are read as tensors only, never as code.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from bertcompress.bert.families import family_of
from bertcompress.bert.loading.sizes import check_sizes
from bertcompress.errors import FREE_MEMORY, LoadError, causes, is_out_of_memory
from bertcompress.numerics.finite import first_not_finite
from bertcompress.quiet import quiet_transformers

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

AUTO_CLASS_OF_TASK = {
    "text-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "question-answering": "AutoModelForQuestionAnswering",
    "feature-extraction": "AutoModel",
}
HEAD_MODULES = ("classifier", "pre_classifier", "qa_outputs")
"""What is on top of an encoder; a classifier may be a module of two layers."""


@dataclass(frozen=True)
class Fit:
    """How a file's weights and a model's fit.

    Attributes:
        missing: Weights of the model that the file lacks, sorted.
        dropped: Weights of encoder layers in the file that the model has no place for, sorted.
        resized: Weights that have another size in the file than in the model, sorted.
    """

    missing: tuple[str, ...]
    dropped: tuple[str, ...]
    resized: tuple[str, ...]


def read_model(
    folder: Path, name: str, config: PreTrainedConfig, task: str
) -> tuple[PreTrainedModel, Fit]:
    """Reads the folder's weights, in float32, into the task's model class.

    Args:
        folder: Where the weights are.
        name: What the user typed, for error messages.
        config: The configuration.
        task: A key of `AUTO_CLASS_OF_TASK`.

    Raises:
        LoadError: If the weights can't be read, or one is not a finite number.
    """
    import torch
    import transformers
    from safetensors import SafetensorError

    check_sizes(folder, name, config)
    auto = getattr(transformers, AUTO_CLASS_OF_TASK[task])
    family, bare = family_of(config), task == "feature-extraction"
    try:
        with quiet_transformers():
            model, info = auto.from_pretrained(
                str(folder),
                config=config,
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # reported below, by name and size
                trust_remote_code=False,
                **({"add_pooling_layer": False} if bare and family.has_pooler else {}),
            )
    except (
        *(OSError, EOFError, ValueError, KeyError, IndexError, TypeError, AttributeError),
        *(ArithmeticError, MemoryError, RuntimeError, SafetensorError, pickle.UnpicklingError),
    ) as error:
        raise LoadError(_why_not(name, error)) from error
    bad = first_not_finite(model.state_dict().items())
    if bad is not None:
        raise LoadError(
            f"the weights of {name} hold NaN or infinity in {bad}, so its answers mean nothing; "
            "copy or download them again, or train again with a lower learning rate"
        )
    model.config.architectures = [type(model).__name__]
    return cast("PreTrainedModel", model.eval()), _fit(info, f"{family.encoder}.layer.")


def check_fit(name: str, task: str, fit: Fit, *, but: Iterable[str] = ()) -> None:
    """Fails with a LoadError unless all weights found their place.

    Args:
        name: What the user typed.
        task: The task asked for.
        fit: What `read_model` found.
        but: Modules whose weights may be missing or of another size.
    """
    free = tuple(but)
    resized = [weight for weight in fit.resized if not _is_of(weight, free)]
    missing = [weight for weight in fit.missing if not _is_of(weight, free)]
    if resized:
        raise LoadError(
            f"the weights of {name} do not fit its config.json: {len(resized)} have another size, "
            f"the first is {resized[0]}; restore config.json or the weights"
        )
    if fit.dropped:
        raise LoadError(
            f"the weights of {name} do not fit its config.json, which has no place for "
            f"{len(fit.dropped)} of them, the first is {fit.dropped[0]}; restore config.json"
        )
    if missing:
        raise LoadError(
            f"{name} lacks {len(missing)} weights that {task} needs, the first is {missing[0]}; "
            f"if it was not fine-tuned for this task, {how_to_fine_tune(name, task)}"
        )


def how_to_fine_tune(name: str, task: str) -> str:
    """Returns what to type for a head that is not there."""
    return f"type: bertcompress finetune {name} --task {task} --data …"


def renew_head(model: PreTrainedModel) -> None:
    """Gives the task's own layers new random weights, in place; from torch's own generator."""
    from torch import nn

    config = cast("Any", model.config)
    for name, module in model.named_modules():
        if name.split(".")[0] in HEAD_MODULES and isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=config.initializer_range)
            nn.init.zeros_(module.bias)


def _is_of(weight: str, modules: Iterable[str]) -> bool:
    return any(f".{module}." in f".{weight}" for module in modules)


def _fit(info: Mapping[str, Any], layers: str) -> Fit:
    # Transformers 5 gives rows of name and two sizes, 4.57 names
    resized = {row if isinstance(row, str) else row[0] for row in info["mismatched_keys"]}
    dropped = [key for key in info["unexpected_keys"] if layers in key]
    missing = set(info["missing_keys"]) - resized
    return Fit(tuple(sorted(missing)), tuple(sorted(dropped)), tuple(sorted(resized)))


def _why_not(name: str, error: BaseException) -> str:
    from safetensors import SafetensorError

    if is_out_of_memory(error):
        return f"there is not enough memory to load {name}; {FREE_MEMORY}"
    for cause in causes(error):
        if isinstance(cause, pickle.UnpicklingError):
            return (
                f"the pickled weights of {name} hold more than tensors, or are damaged; reading "
                "them could run code, so ask for a model.safetensors"
            )
        if isinstance(cause, (SafetensorError, EOFError, RuntimeError)):
            return (
                f"the weights of {name} are damaged or cut off ({sentence(cause)}); "
                "copy or download them again"
            )
    return f"can't load {name}: {sentence(error)}"


def sentence(error: BaseException) -> str:
    """Returns the first sentence of an error's text, on one line."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    text = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    return " ".join(text.split()).split(". ")[0].rstrip(".:")
