"""What a model is deployed as: its task with all that its files say, and the length of its texts.

Whatever is judged goes through here, so that it is what answers later: a pass that searches, a
measurement, a prediction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bertcompress.bert.families import longest_text
from bertcompress.errors import UsageError
from bertcompress.tasks import make_task
from bertcompress.tasks.base import Task

if TYPE_CHECKING:
    from bertcompress.artifacts.artifact import Artifact


class KnowsLength(Protocol):
    """A tokenizer."""

    @property
    def model_max_length(self) -> int:
        """The longest text that it says its model takes, tokens; huge where it does not say."""
        ...


def task_for(model: Artifact) -> Task:
    """Returns an artifact's task, with pooling, activation and limits as its files say.

    Raises:
        LoadError: They ask for what is not known.
    """
    return make_task(model.task, model.config, files=model.side_files)


def length_for(model: Artifact, max_length: int | None = None) -> int:
    """Returns where an artifact's texts are cut, tokens; see `text_length`."""
    return text_length(task_for(model), model.tokenizer, longest_text(model.config), max_length)


def text_length(
    task: Task, tokenizer: KnowsLength, positions: int, max_length: int | None = None
) -> int:
    """Returns where longer texts are cut, tokens.

    Args:
        task: Says where its model's files want it, or its own usual length.
        tokenizer: Decides where the task says nothing.
        positions: How many the model has, which is the most.
        max_length: What is asked for instead.

    Raises:
        UsageError: `max_length` is more than the model has positions for.
    """
    if max_length is not None and max_length > positions:
        raise UsageError(
            f"max_length must be up to {positions}, which the model has positions for, "
            f"got {max_length}"
        )
    return max_length or min(positions, task.max_length or tokenizer.model_max_length)
