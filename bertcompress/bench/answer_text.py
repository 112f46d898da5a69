"""Examples and answers as one line of text, for the tables that people read."""

from __future__ import annotations

import numpy as np

from bertcompress.data.tag_scheme import OUTSIDE, scheme_of
from bertcompress.examples import Example, QuestionExample, TextExample, TokenExample

SHOWN_CHARACTERS = 400


def example_text(example: Example) -> str:
    """Returns the input, shortened to what fits a table's cell."""
    if isinstance(example, TokenExample):
        return shortened(" ".join(example.words))
    if isinstance(example, QuestionExample):
        return shortened(f"{example.question} — {example.context}")
    pair = f" — {example.text_pair}" if example.text_pair else ""
    return shortened(example.text + pair)


def gold_text(example: Example) -> str:
    """Returns the right answer, or a dash where there is none."""
    if isinstance(example, QuestionExample):
        texts = dict.fromkeys(answer.text for answer in example.answers)
        return " | ".join(texts) if texts else "(no answer)"
    gold = example.label if isinstance(example, TextExample) else example.tags
    return "—" if gold is None else answer_text(example, gold)


def answer_text(example: Example, answer: object) -> str:
    """Returns an answer: entities as ``EU [ORG]``, several labels joined, numbers rounded."""
    if isinstance(example, TokenExample) and isinstance(answer, tuple):
        tags = [str(tag) for tag in answer]
        scheme = scheme_of([*tags, OUTSIDE])
        spans = scheme.entities(tags) if scheme is not None else ()
        named = [f"{' '.join(example.words[at.start : at.end])} [{at.kind}]" for at in spans]
        return shortened(", ".join(named)) if named else "(none)"
    if isinstance(answer, np.ndarray):
        return f"vector of {answer.shape[-1]}"
    if isinstance(answer, tuple):
        return ", ".join(str(part) for part in answer) if answer else "(none)"
    if isinstance(answer, float):
        return f"{answer:.3f}"
    return shortened(str(answer)) if answer else "(none)"


def shortened(text: str) -> str:
    """Returns the text on one line, cut with an ellipsis where it is too long for a cell."""
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_CHARACTERS else line[: SHOWN_CHARACTERS - 1].rstrip() + "…"
