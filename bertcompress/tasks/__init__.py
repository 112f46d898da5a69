"""Tasks: columns to features, outputs to answers, answers to scores."""

from bertcompress.artifacts.model_config import (
    INPUT_NAMES,
    TASK_NAMES,
    ModelConfig,
    labels_of,
    task_of,
)
from bertcompress.tasks.base import (
    ClassScore,
    Feature,
    Prediction,
    Score,
    Task,
    Tokenizer,
    pad,
    pad_targets,
)
from bertcompress.tasks.make_task import make_task
from bertcompress.tasks.question_answering import QuestionAnswering
from bertcompress.tasks.sentence_embedding import SentenceEmbedding
from bertcompress.tasks.text_classification import TextClassification
from bertcompress.tasks.token_classification import TokenClassification

__all__ = [
    "INPUT_NAMES",
    "TASK_NAMES",
    "ClassScore",
    "Feature",
    "ModelConfig",
    "Prediction",
    "QuestionAnswering",
    "Score",
    "SentenceEmbedding",
    "Task",
    "TextClassification",
    "TokenClassification",
    "Tokenizer",
    "labels_of",
    "make_task",
    "pad",
    "pad_targets",
    "task_of",
]
