"""One model being served: texts in, answers out, with the tokens that were read and cut."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
import orjson
from numpy.typing import NDArray

from bertcompress.artifacts.manifest import file_sha256, read_manifest
from bertcompress.examples import Example
from bertcompress.inference.predictor import Predictor, examples_of
from bertcompress.serve.answer_cache import AnswerCache
from bertcompress.serve.dispatcher import Dispatcher
from bertcompress.tasks import Feature, Tokenizer
from bertcompress.tasks.base import Prediction

if TYPE_CHECKING:
    from tokenizers import Encoding
    from tokenizers import Tokenizer as Core

_INLINE_CHARACTERS = 2_000
"""Longer texts are tokenized in a thread: the loop has other clients to serve."""


@dataclass(frozen=True)
class Given:
    """One text that was asked about.

    Attributes:
        text: The text, or the question.
        pair: The second text, or the question's context.
        truncate: Whether a text that is too long is cut; else it is refused.
    """

    text: str
    pair: str | None = None
    truncate: bool = True


@dataclass(frozen=True)
class TextAnswer:
    """What the model says about one text.

    Attributes:
        prediction: The answer.
        body: It as JSON, as `Task.to_json` gives it, with ``tokens`` and ``truncated``.
        tokens: Tokens that were read.
        truncated: Whether the text was longer than the model reads.
    """

    prediction: Prediction
    body: bytes
    tokens: int
    truncated: bool

    @property
    def vector(self) -> NDArray[np.float32]:
        """The vector of an embedding model, float32 ``[size]``."""
        return np.asarray(self.prediction.answer, np.float32)


@dataclass
class Seconds:
    """How long the parts of one request took, and whether its answers were known already.

    Attributes:
        tokenize: Texts to tokens.
        inference: From the queue to the outputs.
        hits: Texts whose answers were in the cache.
        joins: Texts that were being answered for somebody else already.
        texts: All texts.
    """

    tokenize: float = 0.0
    inference: float = 0.0
    hits: int = 0
    joins: int = 0
    texts: int = 0


class TooLongError(Exception):
    """Says that a text is longer than the model reads, and that cutting was not wanted.

    Args:
        tokens: The text's tokens.
        limit: The model's.
    """

    def __init__(self, tokens: int, limit: int) -> None:
        super().__init__(f"the text has {tokens:,} tokens, and the model reads {limit:,}")
        self.tokens, self.limit = tokens, limit


@dataclass(frozen=True)
class Asker:
    """Who asks, and how urgently.

    Attributes:
        key: The key's name; empty without keys.
        bulk: Whether others go first.
        deadline: When nobody waits any more, `time.monotonic` seconds.
        cached: Whether answers that are known may be given again.
    """

    key: str = ""
    bulk: bool = False
    deadline: float = field(default_factory=lambda: time.monotonic() + 30.0)
    cached: bool = True


class ServedModel:
    """A model folder being served.

    Args:
        name: What requests call it.
        predictor: Encodes and decodes; its runtime is never opened.
        dispatcher: Runs the tokens.
        cache: Holds answers that were given.

    Attributes:
        name: What requests call it.
        version: Of the artifact's files, the first digits of their SHA-256.
    """

    def __init__(
        self,
        name: str,
        predictor: Predictor,
        dispatcher: Dispatcher,
        cache: AnswerCache[TextAnswer],
    ) -> None:
        self.name = name
        self.predictor = predictor
        self.dispatcher = dispatcher
        self.cache = cache
        self.version = version_of(predictor.folder)
        self._in_thread = copy.deepcopy(predictor.tokenizer)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="tokenize")

    @property
    def task(self) -> str:
        """The task's name."""
        return self.predictor.task.name

    async def answers(
        self, given: Sequence[Given], asker: Asker, seconds: Seconds
    ) -> list[TextAnswer]:
        """Answers texts, in order.

        Args:
            given: The texts.
            asker: Who asks.
            seconds: Is filled with how long it took.

        Raises:
            TooLongError: A text is too long, and must not be cut.
            QueueFullError: Too much waits already.
            LateError: It could not be done in time.
            RunError: The runtime refused it, or there is no answer.
            UsageError: A question has no context, or a text a pair that the model can't read.
        """
        seconds.texts += len(given)
        if len(given) == 1:  # most requests: without a task of its own
            return [await self._answer(given[0], asker, seconds)]
        return await asyncio.gather(*(self._answer(one, asker, seconds) for one in given))

    async def _answer(self, given: Given, asker: Asker, seconds: Seconds) -> TextAnswer:
        key = (self.cache.scope(asker.key), self.version, given)
        if not asker.cached:
            return await self._computed(given, asker, seconds)
        if (found := self.cache.get(key)) is not None:
            seconds.hits += 1
            return found
        while (running := self.cache.running(key)) is not None:
            try:
                answer = await asyncio.shield(running)
            except asyncio.CancelledError:
                if not running.cancelled():
                    raise  # it is our own asker who has gone
                continue  # whoever asked first has gone
            seconds.joins += 1
            return answer
        with self.cache.run(key) as result:
            answer = await self._computed(given, asker, seconds)
            result.set_result(answer)
        self.cache.put(
            key, answer, len(answer.body) + 4 * (len(given.text) + len(given.pair or ""))
        )
        return answer

    async def _computed(self, given: Given, asker: Asker, seconds: Seconds) -> TextAnswer:
        started = time.perf_counter()
        example, features = await self._encoding(given)
        seconds.tokenize += time.perf_counter() - started
        cut = any(feature.is_cut for feature in features)
        if cut and not given.truncate:
            raise TooLongError(
                len(self.tokens(given.text, given.pair).ids), self.predictor.max_length
            )
        started = time.perf_counter()
        outputs = await self.dispatcher.run(
            features, key=asker.key, bulk=asker.bulk, deadline=asker.deadline
        )
        seconds.inference += time.perf_counter() - started
        answers = self.predictor.decode(outputs, features, [example])
        [prediction] = answers.predictions
        tokens = sum(feature.length for feature in features)
        printed = self.predictor.task.to_json(example, prediction)
        printed.pop("id", None)
        body = orjson.dumps({**printed, "tokens": tokens, "truncated": cut})
        return TextAnswer(prediction, body, tokens, cut)

    async def _encoding(self, given: Given) -> tuple[Example, list[Feature]]:
        if len(given.text) + len(given.pair or "") <= _INLINE_CHARACTERS:
            return self._encoded(self.predictor.tokenizer, given)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._encoded, self._in_thread, given)

    def _encoded(self, tokenizer: Tokenizer, given: Given) -> tuple[Example, list[Feature]]:
        """Encodes with a tokenizer of which no other thread makes use: cutting is its state."""
        task = self.predictor.task
        [example] = examples_of(task.name, [given.text], pair=given.pair)
        task.check([example])
        return example, task.encode(tokenizer, [example], max_length=self.predictor.max_length)

    def tokens(self, text: str, pair: str | None = None) -> Encoding:
        """Returns a text's tokens, none cut away."""
        tokenizer = cast("HoldsTokenizer", self.predictor.tokenizer).backend_tokenizer
        tokenizer.no_truncation()
        return tokenizer.encode(text, pair)

    def close(self) -> None:
        """Ends the thread."""
        self._pool.shutdown(cancel_futures=True)


class HoldsTokenizer(Protocol):
    """A tokenizer of ours or of Transformers."""

    @property
    def backend_tokenizer(self) -> Core:
        """The library's own."""
        ...


def version_of(folder: Path) -> str:
    """Returns the first 12 digits of a SHA-256 over all files that a folder's manifest names.

    Of a folder without a manifest the files themselves are read.
    """
    manifest = read_manifest(folder)
    files = (
        dict(manifest.files)
        if manifest
        else {
            str(path.relative_to(folder)): file_sha256(path)
            for path in folder.rglob("*")
            if path.is_file()
        }
    )
    lines = "\n".join(f"{name} {digest}" for name, digest in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()[:12]
