"""Answers at the settings that were found best for an artifact on this machine.

What `bertcompress.bench.tune` saved is used if it holds here; else one runtime gets all
threads. A single batch is answered by one runtime at the best number of threads for single texts:
streams have nothing to share there, and would only load the weights more often.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from bertcompress.artifacts.manifest import read_manifest
from bertcompress.errors import MissingError, UsageError
from bertcompress.examples import Example
from bertcompress.inference.answers import Answers, predict_all
from bertcompress.inference.best_settings import (
    TOKEN_BUDGET,
    RuntimeSettings,
    runtime_choice_of,
    runtime_settings_of,
    usable,
)
from bertcompress.inference.streams import open_streams
from bertcompress.machine.environment import available_threads, cpu_model
from bertcompress.progress import Progress, silent
from bertcompress.runtimes import runtime_for
from bertcompress.tasks.base import Feature, Task

PLAIN_BATCH = 32


def runtime_here(
    folder: Path, runtime: str = "auto", *, note: Callable[[str], None] = lambda sentence: None
) -> str:
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
    found, why = usable(choice, cpu_model=cpu_model(), cpus=available_threads())
    if why:
        note(why)
    if found is None:
        return runtime_for(folder)
    try:
        return runtime_for(folder, found.many)
    except MissingError as error:
        note(f"{found.many} was found fastest for {folder} here and is not taken: {error}")
        return runtime_for(folder)


def answer_tuned(
    folder: Path,
    task: Task,
    features: Sequence[Feature],
    examples: Sequence[Example],
    *,
    runtime: str = "auto",
    threads: int | None = None,
    pad_token_id: int = 0,
    note: Callable[[str], None] = lambda sentence: None,
    progress: Progress = silent,
) -> Answers:
    """Answers all examples through the runtime that deploys the artifact.

    Args:
        folder: The artifact.
        task: Turns outputs into answers.
        features: From `task.encode(tokenizer, examples)`.
        examples: What they were made from.
        runtime: One of `bertcompress.runtimes.RUNTIME_NAMES`, or ``auto``.
        threads: Threads of one runtime, in place of the settings that were found best.
        pad_token_id: The tokenizer's padding token.
        note: Is told why settings that were found best are not used, if so.
        progress: Is told how many features are done.

    Raises:
        UsageError: If threads is below 1.
        RunError: If the runtime can't run what the folder holds.
        MissingDependencyError: If its library is not installed.
    """
    if threads is not None and threads < 1:
        raise UsageError(f"threads must be 1 or more, got {threads}")
    name, cpus = runtime_for(folder, runtime), available_threads()
    found, why = None, ""
    if threads is None:
        saved = runtime_settings_of(read_manifest(folder), name)
        found, why = usable(saved, cpu_model=cpu_model(), cpus=cpus)
    if why:
        note(why)
    streams, each = _layout(found, len(features), threads or cpus)
    with open_streams(folder, name, streams=streams, threads=each) as opened:
        return predict_all(
            opened,
            task,
            features,
            examples,
            batch_size=found.batch_size if found else PLAIN_BATCH,
            sort_by_length=found.sort_by_length if found else True,
            token_budget=found.token_budget if found else TOKEN_BUDGET,
            pad_token_id=pad_token_id,
            progress=progress,
        )


def _layout(found: RuntimeSettings | None, features: int, threads: int) -> tuple[int, int]:
    """Returns the streams, no more than there are batches, and the threads of each."""
    if found is None:
        return 1, threads
    batches = -(-features // found.batch_size)
    if batches <= 1:
        return 1, found.latency_threads
    return min(found.streams, batches), found.threads
