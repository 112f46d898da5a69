"""Makes the task of a model from its name and configuration."""

from __future__ import annotations

from pathlib import Path

from bertcompress.artifacts.model_config import TASK_NAMES, ModelConfig
from bertcompress.errors import UsageError, did_you_mean
from bertcompress.tasks.base import Task
from bertcompress.tasks.question_answering import QuestionAnswering
from bertcompress.tasks.sentence_embedding import SentenceEmbedding
from bertcompress.tasks.text_classification import TextClassification
from bertcompress.tasks.token_classification import TokenClassification


def make_task(name: str, config: ModelConfig, *, folder: Path | None = None) -> Task:
    """Returns the task.

    Args:
        name: The Transformers pipeline name, as `task_of` gives it.
        config: The model's configuration.
        folder: The model's folder, where embeddings say how they are pooled; mean without it.

    Raises:
        UsageError: There is no such task.
        LoadError: The configuration does not fit the task.
    """
    if name == "text-classification":
        return TextClassification.from_config(config)
    if name == "token-classification":
        return TokenClassification.from_config(config)
    if name == "question-answering":
        return QuestionAnswering.from_config(config)
    if name == "feature-extraction":
        if folder is None:
            return SentenceEmbedding.from_config(config)
        return SentenceEmbedding.from_folder(folder)
    raise UsageError(
        f"task must be one of {', '.join(TASK_NAMES)}, got {name!r}{did_you_mean(name, TASK_NAMES)}"
    )
