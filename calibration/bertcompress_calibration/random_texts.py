"""Random texts: words drawn from the vocabulary, for a model whose data is not at hand.

Nobody writes such texts, and activations on them are not those on real ones: ranges found here are
for trying things out. They are never taken unless asked for by name, and the table says so: its
split is ``random``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bertcompress.data.table import QUESTION_TASK, TOKEN_TASK
from bertcompress.examples import Example, QuestionExample, TextExample, TokenExample

if TYPE_CHECKING:
    from bertcompress.artifacts.artifact import Artifact

RANDOM = "random"
"""What the table of such texts calls their split."""
LONGEST = 128
"""Words of the longest text."""


def random_texts(model: Artifact, count: int, *, seed: int) -> tuple[Example, ...]:
    """Returns examples of the model's task, of 1 to 128 words each, without answers.

    Args:
        model: Whose tokens and task it is.
        count: How many.
        seed: Decides which.
    """
    generator = np.random.default_rng(seed)
    special = set(model.tokenizer.all_special_tokens)
    words = sorted({token.strip("#Ġ▁ ") for token in model.tokenizer.get_vocab()} - special - {""})
    examples: list[Example] = []
    for number in range(count):
        drawn = generator.integers(0, len(words), int(generator.integers(1, LONGEST + 1)))
        text = tuple(words[at] for at in drawn)
        examples.append(_example(model.task, f"{RANDOM}:{number}", text))
    return tuple(examples)


def _example(task: str, name: str, words: tuple[str, ...]) -> Example:
    if task == TOKEN_TASK:
        return TokenExample(name, words)
    if task == QUESTION_TASK:
        return QuestionExample(name, " ".join(words[:10]), " ".join(words))
    return TextExample(name, " ".join(words))
