"""Examples: what a data set holds once it is read, whatever file it came from.

An example is one input with its gold answer, if there is one. Three shapes cover the tasks:
texts (classification, regression, pairs, embeddings), words with tags (named entities) and
questions about a context (extractive question answering).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class TextExample:
    """A text or a pair of texts.

    Attributes:
        id: Where it came from, unique in its data set (``"test.tsv:17"``).
        text: The text.
        text_pair: The second text of a pair.
        label: A class name, several class names (multi-label), a number (regression or the
            similarity of a pair), or nothing.
    """

    id: str
    text: str
    text_pair: str | None = None
    label: str | tuple[str, ...] | float | None = None


@dataclass(frozen=True)
class TokenExample:
    """Words and, where known, a tag for each, in the scheme that the data has."""

    id: str
    words: tuple[str, ...]
    tags: tuple[str, ...] | None = None


@dataclass(frozen=True)
class UnsplitExample(TokenExample):
    """A text to tag that the tokenizer splits; `words` are its parts between blanks."""

    text: str = ""


@dataclass(frozen=True)
class Answer:
    """A span of the context: its text and its first character's position."""

    text: str
    start: int


@dataclass(frozen=True)
class QuestionExample:
    """A question about a context, with all accepted answers (none: unanswerable or unlabelled)."""

    id: str
    question: str
    context: str
    answers: tuple[Answer, ...] = ()


Example = TextExample | TokenExample | QuestionExample


@dataclass(frozen=True)
class Dataset:
    """Examples with the name of their source.

    Attributes:
        examples: In the source's order, also where a limit was asked.
        source: What the user typed, a file name or a hub name.
        split: ``train``, ``validation``, ``test`` or ``all``.
        notes: What was guessed or converted on the way in, a sentence each, for the report.
    """

    examples: tuple[Example, ...]
    source: str
    split: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.examples)

    def __iter__(self) -> Iterator[Example]:
        return iter(self.examples)

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of all examples' content, in order, as 16 hexadecimal digits."""
        return fingerprint_of(self.examples)


def fingerprint_of(examples: Sequence[Example]) -> str:
    """Returns the SHA-256 of the examples' content, in order, as 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for example in examples:
        content = {key: value for key, value in asdict(example).items() if key != "id"}
        text = json.dumps(content, sort_keys=True, ensure_ascii=False)
        digest.update(text.encode("utf-8", "surrogatepass"))  # JSON files may hold half emoji
    return digest.hexdigest()[:16]
