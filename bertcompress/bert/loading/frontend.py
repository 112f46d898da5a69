"""What stands before a model's weights: its task, its configuration, its tokenizer.

Who answers texts needs no more than this and a runtime, which reads the weights itself. A graph
that `save` wrote is read without Transformers, so without torch (`plain_config`,
`plain_tokenizer`); everything else by Transformers, as `load` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bertcompress.artifacts.embedding_files import makes_vectors
from bertcompress.artifacts.manifest import Manifest, kind_of, read_manifest, verify
from bertcompress.artifacts.model_config import TASK_NAMES, ModelConfig, task_of, task_of_class
from bertcompress.bert.families import longest_text
from bertcompress.bert.loading.config_file import read_config, read_fields
from bertcompress.bert.loading.locate import locate
from bertcompress.bert.loading.plain_config import plain_config
from bertcompress.bert.loading.plain_tokenizer import PlainTokenizer, plain_tokenizer
from bertcompress.bert.loading.tables import why_no_pairs
from bertcompress.bert.loading.tokenizer import read_tokenizer
from bertcompress.bert.loading.tokenizer_file import TOKENIZER_FILE, read_core
from bertcompress.bert.loading.weights import how_to_fine_tune
from bertcompress.bert.structure import check_known
from bertcompress.errors import LoadError, UsageError, did_you_mean
from bertcompress.progress import Note, logged

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerFast


@dataclass(frozen=True)
class Frontend:
    """A model without its weights.

    Attributes:
        task: A name from `bertcompress.artifacts.model_config.TASK_NAMES`.
        config: What its configuration says of the task.
        tokenizer: Its tokenizer.
        longest: The tokens that it has positions for.
        says_task: Whether its files say the task, so that whatever opens them finds the same.
    """

    task: str
    config: ModelConfig
    tokenizer: PreTrainedTokenizerFast | PlainTokenizer
    longest: int
    says_task: bool = True


def load_frontend(
    folder: Path,
    name: str,
    *,
    task: str | None = None,
    unread: Sequence[str] = (),
    note: Note = logged,
) -> Frontend:
    """Reads what stands before a model's weights, and checks the files against the manifest.

    Args:
        folder: From `bertcompress.bert.loading.locate.locate`.
        name: What the model was called, for messages.
        task: See `bertcompress.bert.loading.load.load`.
        unread: Patterns of files that are not checked: whoever reads them does it, or nobody.
        note: Is told where files contradict each other, and which is followed.

    Raises:
        UsageError: If there is no such task.
        LoadError: If the folder is not a known encoder or is damaged.
    """
    check_task_name(task)
    manifest, kind = verified_manifest(folder, unread=unread), kind_of(folder)
    if manifest is not None and kind != "checkpoint":
        plain = _plain(folder, name, manifest, task, note)
        if plain is not None:
            return plain
    config = read_config(folder, name, note=note)
    if kind == "checkpoint":
        check_known(config)
    wanted = task_here(folder, name, config, manifest, task)
    if kind == "checkpoint":
        check_class(name, config, wanted)
    tokenizer = read_tokenizer(folder, name, config, note=note)
    says_task = task is None or _says_task(folder, name, config, manifest, wanted)
    return Frontend(wanted, config, tokenizer, longest_text(config), says_task)


def _says_task(
    folder: Path, name: str, config: ModelConfig, manifest: Manifest | None, wanted: str
) -> bool:
    try:
        return task_here(folder, name, config, manifest, None) == wanted
    except LoadError:
        return False


def _plain(
    folder: Path, name: str, manifest: Manifest, task: str | None, note: Note
) -> Frontend | None:
    """Reads the frontend of a graph that `save` wrote, None where that takes Transformers."""
    fields = read_fields(folder)
    config = plain_config(fields)
    if config is None or not (folder / TOKENIZER_FILE).is_file():
        return None
    wanted = task_here(folder, name, config, manifest, task)
    core, settings = read_core(folder, name, fields, note=note)
    tokenizer = plain_tokenizer(
        core,
        settings,
        input_names=config.input_names,
        no_pairs=why_no_pairs(name, core, settings, fields),
    )
    return Frontend(wanted, config, tokenizer, config.longest)


def verified_manifest(folder: Path, *, unread: Sequence[str] = ()) -> Manifest | None:
    """Returns a folder's manifest, whose files were checked; None if it has none."""
    manifest = read_manifest(folder)
    if manifest is not None:
        verify(folder, manifest, but=unread)
    return manifest


def check_task_name(task: str | None) -> None:
    """Fails with a UsageError if there is no such task."""
    if task is not None and task not in TASK_NAMES:
        raise UsageError(
            f"there is no task {task!r}; the tasks are {', '.join(TASK_NAMES)}"
            + did_you_mean(task, TASK_NAMES)
        )


def task_here(
    folder: Path, name: str, config: ModelConfig, manifest: Manifest | None, task: str | None
) -> str:
    """Returns the task of a model: of a graph its own, of a checkpoint the one asked for.

    The one asked for is also that of a graph whose files name no class: its outputs are checked
    when it is read. A Sentence Transformers folder says in ``modules.json`` that it makes vectors,
    whatever class its encoder was saved as.

    Raises:
        LoadError: If a graph is for another task, or nothing says which it is.
    """
    stated = "feature-extraction" if makes_vectors(folder) else None
    if kind_of(folder) == "checkpoint":
        return task or stated or task_of(config)
    if task is not None and manifest is None and stated is None and not config.architectures:
        return task
    built_for = manifest.task if manifest is not None else stated or task_of(config)
    if task not in (None, built_for):
        raise LoadError(f"{name} is a graph for {built_for}, not for {task}; leave --task out")
    return built_for


def check_class(name: str, config: ModelConfig, wanted: str) -> None:
    """Fails where the head is of another task: two heads may have the same names and sizes."""
    architectures = config.architectures or []
    tasks = {task_of_class(architecture) for architecture in architectures} - {None}
    if wanted == "feature-extraction" or not tasks or wanted in tasks:
        return
    raise LoadError(
        f"{name} is a {' and '.join(architectures)}, not fine-tuned for {wanted}; "
        + how_to_fine_tune(name, wanted)
    )


def load_config(
    model: str | Path, *, revision: str | None = None, note: Note = logged
) -> PreTrainedConfig:
    """Reads a model's configuration, or says in one sentence why it can't be read.

    Raises:
        LoadError: If there is no such model, or it is not a known encoder.
    """
    return read_config(locate(model, revision=revision), str(model), note=note)
