"""Exact match and F1 of answers, as the official SQuAD script computes them.

Both sides are put in lower case, without punctuation, articles and repeated spaces. F1 is that of
the words, counted with repetition: "the cat sat" against "cat sat down" shares 2 of 2 and of 3
words, so P = 1, R = 2/3, F1 = 0.8.

    >>> token_f1("the cat sat", ["cat sat down"])
    0.8

Source: ``evaluate-v2.0.py``, functions normalize_answer, compute_exact, compute_f1 and
get_raw_scores, at https://rajpurkar.github.io/SQuAD-explorer/.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def exact_match(answer: str, accepted: Sequence[str]) -> float:
    """Returns 1.0 if the answer equals an accepted one (none accepted: if it is empty), else 0."""
    words = normal_words(answer)
    return float(any(words == normal_words(right) for right in _accepted(accepted)))


def token_f1(answer: str, accepted: Sequence[str]) -> float:
    """Returns the best F1 of the answer's words against an accepted answer, 0..1."""
    return max(_f1(normal_words(answer), normal_words(right)) for right in _accepted(accepted))


def normal_words(text: str) -> list[str]:
    """Returns the words in lower case, without punctuation and articles."""
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def _accepted(accepted: Sequence[str]) -> Sequence[str]:
    """Leaves out answers of which nothing remains; none means that the right answer is none."""
    return [right for right in accepted if normal_words(right)] or [""]


def _f1(answer: list[str], right: list[str]) -> float:
    if not answer or not right:
        return float(answer == right)
    shared = sum((Counter(answer) & Counter(right)).values())
    if not shared:
        return 0.0
    precision, recall = shared / len(answer), shared / len(right)
    return 2 * precision * recall / (precision + recall)
