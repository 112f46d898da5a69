"""Examples and answers as one line of text, for the tables that people read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

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
        spans = entities([str(tag) for tag in answer])
        named = [f"{' '.join(example.words[a:b])} [{kind}]" for a, b, kind in spans]
        return shortened(", ".join(named)) if named else "(none)"
    if isinstance(answer, np.ndarray):
        return f"vector of {answer.shape[-1]}"
    if isinstance(answer, tuple):
        return ", ".join(str(part) for part in answer) if answer else "(none)"
    if isinstance(answer, float):
        return f"{answer:.3f}"
    return shortened(str(answer)) if answer else "(none)"


def entities(tags: Sequence[str], *, strict: bool = False) -> list[tuple[int, int, str]]:
    """Returns the spans of IOB2 tags: first word, end, kind.

    An ``I-X`` that follows no ``X`` begins a span of its own, as conlleval counts it; `strict`
    passes it over, as seqeval's strict IOB2 does.

    >>> entities(["B-ORG", "I-ORG", "O", "I-PER"])
    [(0, 2, 'ORG'), (3, 4, 'PER')]
    >>> entities(["B-ORG", "I-ORG", "O", "I-PER"], strict=True)
    [(0, 2, 'ORG')]
    """
    spans: list[tuple[int, int, str]] = []
    for i, tag in enumerate(tags):
        prefix, _, kind = tag.partition("-")
        if prefix not in ("B", "I"):
            continue
        goes_on = prefix == "I" and spans and spans[-1][1] == i and spans[-1][2] == kind
        if goes_on:
            spans[-1] = (spans[-1][0], i + 1, kind)
        elif prefix == "B" or not strict:
            spans.append((i, i + 1, kind))
    return spans


def shortened(text: str) -> str:
    """Returns the text on one line, cut with an ellipsis where it is too long for a cell."""
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_CHARACTERS else line[: SHOWN_CHARACTERS - 1].rstrip() + "…"
