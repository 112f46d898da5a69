"""Makes the task of a model from its name and configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bertcompress.artifacts.artifact_files import read_side_files
from bertcompress.artifacts.model_config import TASK_NAMES, ModelConfig
from bertcompress.errors import UsageError, did_you_mean
from bertcompress.tasks.base import Task
from bertcompress.tasks.question_answering import QuestionAnswering
from bertcompress.tasks.sentence_embedding import SentenceEmbedding
from bertcompress.tasks.text_classification import TextClassification
from bertcompress.tasks.token_classification import TokenClassification


def make_task(
    name: str,
    config: ModelConfig,
    *,
    folder: Path | None = None,
    files: Mapping[str, bytes] | None = None,
) -> Task:
    """Returns the task.

    Args:
        name: The Transformers pipeline name, as `task_of` gives it.
        config: The model's configuration.
        folder: The model's folder, where Sentence Transformers models say more of themselves.
        files: Its side files, where they are read already.

    Raises:
        UsageError: There is no such task.
        LoadError: The configuration does not fit the task.
    """
    if files is None:
        files = read_side_files(folder) if folder is not None else {}
    if name == "text-classification":
        return TextClassification.from_config(config, files)
    if name == "token-classification":
        return TokenClassification.from_config(config)
    if name == "question-answering":
        return QuestionAnswering.from_config(config)
    if name == "feature-extraction":
        return SentenceEmbedding.from_files(files)
    raise UsageError(
        f"task must be one of {', '.join(TASK_NAMES)}, got {name!r}{did_you_mean(name, TASK_NAMES)}"
    )
