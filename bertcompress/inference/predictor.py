"""Texts in, answers out: a model folder opened for answering.

    encode:  examples -> features      tokens, not padded
    run:     features -> outputs       through the runtime that deploys the artifact
    decode:  outputs  -> answers       one an example

The three are apart so that whoever serves requests can batch between them; `Predictor.predict` does
all three. The weights are read once, by the runtime, when the first text is run. Settings that
`bertcompress.bench.tune` saved are used if they hold on this machine; else one runtime gets all
threads. A single batch is answered by one runtime at the best number of threads for single texts:
streams have nothing to share there, and would only load the weights more often.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from bertcompress.artifacts.manifest import Kind, read_manifest
from bertcompress.artifacts.model_config import ModelConfig
from bertcompress.bert.families import pad_token_of
from bertcompress.bert.loading.frontend import Frontend, load_frontend
from bertcompress.bert.loading.locate import locate
from bertcompress.errors import MissingError, UsageError
from bertcompress.examples import Example, QuestionExample, TextExample, UnsplitExample
from bertcompress.inference.answers import Answers, decoded, in_parts
from bertcompress.inference.best_settings import (
    TOKEN_BUDGET,
    RuntimeSettings,
    runtime_choice_of,
    runtime_settings_of,
    usable,
)
from bertcompress.inference.deployed import text_length
from bertcompress.inference.foreign_graph import longest_of_graph, which_runs
from bertcompress.inference.streams import Feed, Outputs, Streams, open_entry_streams
from bertcompress.machine.environment import available_threads, cpu_model
from bertcompress.progress import Note, Progress, silent, unsaid
from bertcompress.runtimes import runtime_for
from bertcompress.runtimes.catalog import ENTRIES
from bertcompress.tasks import Feature, Task, Tokenizer, make_task

_PLAIN_BATCH = 32
_UNREAD: dict[Kind, tuple[str, ...]] = {
    "checkpoint": ("*.safetensors", "*.bin"),  # the runtime checks them as it reads them
    "onnx": ("engines/*",),
    "engine": (),
}
"""The files that need no check for a runtime of each kind of artifact."""


class Predictor:
    """A model folder opened for answering, see `open`; a context manager.

    Attributes:
        folder: The folder, also of a model that was named by its hub name.
        task: Its task.
        config: What its configuration says of the task.
        max_length: Where longer texts are cut, tokens.
        runtime: The name of the runtime that answers.
        tokenizer: Its tokenizer.
        pad_token_id: The tokenizer's padding token.
        says_task: Whether the folder says its task, or whoever opened it did.
    """

    def __init__(
        self,
        folder: Path,
        frontend: Frontend,
        *,
        runtime: str,
        threads: int | None,
        max_length: int | None,
        note: Note,
    ) -> None:
        self.folder = folder
        self.task: Task = make_task(frontend.task, frontend.config, folder=folder)
        self.config: ModelConfig = frontend.config
        self.max_length = text_length(self.task, frontend.tokenizer, frontend.longest, max_length)
        self.runtime = runtime
        self.says_task = frontend.says_task
        self._positions = frontend.longest
        self.pad_token_id = pad_token_of(frontend.tokenizer)
        self.tokenizer = cast("Tokenizer", frontend.tokenizer)
        self._threads = threads
        self._note = note
        self._streams: Streams | None = None
        self._opened = ExitStack()

    @classmethod
    def open(
        cls,
        model: str | Path,
        *,
        task: str | None = None,
        runtime: str = "auto",
        threads: int | None = None,
        max_length: int | None = None,
        note: Note = unsaid,
    ) -> Predictor:
        """Reads a model, all but its weights, and finds the runtime that deploys it.

        Args:
            model: A folder, or a hub name.
            task: As in `bertcompress.load`.
            runtime: One of `bertcompress.runtimes.RUNTIME_NAMES`, or ``auto``, see `runtime_here`.
            threads: Threads of one runtime, in place of the settings that were found best.
            max_length: Where longer texts are cut, tokens; what its files say if None.
            note: Is told why what was found best is not used, if so, and where files contradict
                each other.

        Raises:
            UsageError: There is no such task or runtime, or a number is out of range.
            LoadError: The model can't be loaded.
            RunError: The runtime can't run what the folder holds.
            MissingError: The runtime's library or device is not there.
        """
        if threads is not None and threads < 1:
            raise UsageError(f"threads must be 1 or more, got {threads}")
        folder = locate(model)
        chosen = runtime_here(folder, runtime, note=note)
        runs = ENTRIES[chosen].runs
        unread = _UNREAD[runs]
        frontend = load_frontend(folder, str(folder), task=task, unread=unread, note=note)
        if runs == "onnx":
            longest = longest_of_graph(folder) or frontend.longest
            frontend = replace(frontend, longest=min(frontend.longest, longest))
        said = which_runs(folder, chosen, runs)
        if said:
            note(said)
        return cls(
            folder,
            frontend,
            runtime=chosen,
            threads=threads,
            max_length=max_length,
            note=note,
        )

    def encode(self, examples: Sequence[Example]) -> list[Feature]:
        """Returns the examples as tokens."""
        return self.task.encode(self.tokenizer, examples, max_length=self.max_length)

    def tell_cut(self, features: Sequence[Feature]) -> None:
        """Notes how many texts were cut, where, and what longer ones could be asked for."""
        cut = sum(feature.is_cut for feature in features)
        if not cut:
            return
        positions = "which is all that the model has positions for"
        if self.max_length < self._positions:
            positions = f"and the model has positions for {self._positions:,}: see --max-length"
        self._note(
            f"{cut:,} of {len(features):,} texts are longer than {self.max_length:,} tokens and "
            f"were cut there, {positions}"
        )

    def run(
        self, features: Sequence[Feature], *, finished: Callable[[int], None] = lambda count: None
    ) -> list[Outputs]:
        """Returns the outputs for each feature, in order, without batch axis and padding.

        Args:
            features: From `encode`.
            finished: Is told how many features each finished batch had.

        Raises:
            RunError: If the runtime can't load the artifact, or refuses its inputs.
        """
        best = self.best
        rows = self._streams_for(len(features)).run_features(
            features,
            batch_size=best.batch_size if best else _PLAIN_BATCH,
            sort_by_length=best.sort_by_length if best else True,
            token_budget=best.token_budget if best else TOKEN_BUDGET,
            pad_token_id=self.pad_token_id,
            finished=finished,
        )
        return [*rows]

    def run_batch(self, feed: Feed) -> Outputs:
        """Returns the outputs of one padded batch, as the runtime gives them."""
        return self._streams_for(1).run(feed)

    def decode(
        self, outputs: Sequence[Outputs], features: Sequence[Feature], examples: Sequence[Example]
    ) -> Answers:
        """Returns the answers to the examples that the features were made from."""
        return decoded(self.task, outputs, features, examples)

    def predict(
        self, given: Sequence[Example] | Sequence[str], *, progress: Progress = silent
    ) -> Answers:
        """Answers examples, or texts as they are typed (see `examples_of`), in order.

        Args:
            given: The examples or texts.
            progress: Progress callback.

        Raises:
            RunError: As `run`.
            DataError: The examples are not the task's.
        """
        examples = examples_of(self.task.name, given)
        features = self.encode(examples)
        self.tell_cut(features)
        self._streams_for(len(features))  # all features decide how it is opened, not a part
        return in_parts(self.task, features, examples, self.run, progress=progress)

    def close(self) -> None:
        """Gives the runtime's memory back; it is opened again if it is needed again."""
        self._streams = None
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _streams_for(self, features: int) -> Streams:
        """Returns the opened runtime; opened anew only where more streams have work to do."""
        threads = self._threads or available_threads()
        streams, each = _layout(self.best, features, threads)
        if self._streams is None or streams > len(self._streams):
            self.close()
            opening = open_entry_streams(
                ENTRIES[self.runtime],
                self.folder,
                streams=streams,
                threads=each,
                task=self.task.name,
            )
            self._streams = self._opened.enter_context(opening)
        return self._streams

    @cached_property
    def best(self) -> RuntimeSettings | None:
        """The settings that were found best, where they hold and nothing else was asked for."""
        if self._threads is not None:
            return None
        saved = runtime_settings_of(read_manifest(self.folder), self.runtime)
        best, why = usable(saved, cpu_model=cpu_model(), cpus=available_threads())
        if why:
            self._note(why)
        return best


def examples_of(
    task: str, given: Sequence[Example] | Sequence[str], *, pair: str | None = None
) -> tuple[Example, ...]:
    """Returns texts as a task's examples; examples as they are.

    Args:
        task: The task's name. For ``token-classification`` the tokenizer splits the texts.
        given: Texts, questions, or examples.
        pair: The second text of each, or the context of each question.

    Raises:
        UsageError: A question has no context.
    """
    examples: list[Example] = []
    for number, text in enumerate(given, 1):
        if not isinstance(text, str):
            examples.append(text)
        elif task == "token-classification":
            words = tuple(text.split())
            examples.append(UnsplitExample(f"text:{number}", words, text=text))
        elif task != "question-answering":
            examples.append(TextExample(f"text:{number}", text, pair))
        elif pair is None:
            raise UsageError("a question needs a context; type --pair 'the context'")
        else:
            examples.append(QuestionExample(f"text:{number}", text, pair))
    return tuple(examples)


def runtime_here(folder: Path, runtime: str = "auto", *, note: Note = unsaid) -> str:
    """Returns the runtime that deploys an artifact here.

    Args:
        folder: The artifact.
        runtime: A name, which is taken; or ``auto`` for the one that `bertcompress tune` found
            fastest for many texts on this machine, else the usual one.
        note: Is told why what was found fastest is not taken, if so.

    Raises:
        UsageError: If there is no runtime of that name.
        RunError: If the runtime can't run what the folder holds.
        MissingError: If its library or its device is not there.
    """
    if runtime != "auto":
        return runtime_for(folder, runtime)
    choice = runtime_choice_of(read_manifest(folder))
    best, why = usable(choice, cpu_model=cpu_model(), cpus=available_threads())
    if why:
        note(why)
    if best is None:
        return runtime_for(folder)
    try:
        return runtime_for(folder, best.many)
    except MissingError as error:
        note(f"{best.many} was found fastest for {folder} here and is not taken: {error}")
        return runtime_for(folder)


def _layout(best: RuntimeSettings | None, features: int, threads: int) -> tuple[int, int]:
    """Returns the streams, no more than there are batches, and the threads of each."""
    if best is None:
        return 1, threads
    batches = -(-features // best.batch_size)
    if batches <= 1:
        return 1, best.latency_threads
    return min(best.streams, batches), best.threads
