"""What a verb works on: what was typed, or else the workspace in the current folder."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bertcompress.errors import UsageError
from bertcompress.recipes.data_source import DataSource, source_from_plain
from bertcompress.recipes.demo import model_named
from bertcompress.workspace import FILE_NAME, Workspace, find_workspace
from bertcompress_cli.options import DataOptions, label_map_of

if TYPE_CHECKING:
    from bertcompress.passes.base import AnyPass
    from bertcompress.recipes.recipe import Recipe


@dataclass(frozen=True)
class Place:
    """Where a verb takes its model and data from.

    Attributes:
        model: A folder or a hub name.
        data: The data, if any is known.
        task: The task that was asked for.
        seed: For everything drawn.
        workspace: The workspace of the current folder, if it is one.
    """

    model: str
    data: DataSource | None
    task: str | None
    seed: int
    workspace: Workspace | None

    def out_folder(self, verb: str, out: Path | None, *, overwrite: bool = False) -> Path:
        """Returns where the verb's artifact goes; fails before any work if it can't go there."""
        from bertcompress.artifacts.artifact import check_writable

        if out is None and self.workspace is None:
            raise UsageError(
                f"{verb} must know where to write; type: {_typed()} -o OUT, or make a workspace "
                f"with: bertcompress init --model {self.model} --data DATA"
            )
        target = out
        if target is None and self.workspace is not None:
            target = self.workspace.next_artifact(verb)
        assert target is not None
        check_writable(target, overwrite=overwrite)
        return target

    def report_folder(self, out: Path | None) -> Path:
        """Returns where a report goes."""
        if out is not None:
            return out
        if self.workspace is not None:
            return self.workspace.next_report()
        raise UsageError(f"bench must know where to write; type: {_typed()} -o REPORT")

    def recipe(self, verb: str, passes: Sequence[AnyPass] = (), out: Path = Path()) -> Recipe:
        """Returns the recipe of one verb's passes."""
        from bertcompress.recipes.recipe import Recipe

        return Recipe(
            name=verb,
            model=self.model,
            task=self.task,
            data=self.data,
            seed=self.seed,
            variants={verb: tuple(passes)},
            output=out,
        )

    def required_data(self, verb: str) -> DataSource:
        """Returns the data, or fails with the sentence that says what to type."""
        if self.data is None:
            raise UsageError(f"{verb} needs data; type: {_typed()} --data DATA")
        return self.data


def place_of(
    verb: str, model: str | None, options: DataOptions, *, wants_checkpoint: bool = False
) -> Place:
    """Finds what a verb works on, in the current folder; see `place_in`."""
    workspace = find_workspace(Path())
    return place_in(workspace, verb, model, options, wants_checkpoint=wants_checkpoint)


def place_in(
    workspace: Workspace | None,
    verb: str,
    model: str | None,
    options: DataOptions,
    *,
    wants_checkpoint: bool = False,
) -> Place:
    """Finds what a verb works on.

    Args:
        workspace: That of the current folder, if it is one.
        verb: The subcommand, for messages.
        model: What was typed.
        options: What was typed about the data.
        wants_checkpoint: Whether a graph is of no use to this verb.

    Raises:
        UsageError: No model was typed and there is no workspace, or its newest artifact is a
            graph where a checkpoint is needed.
    """
    if model is None:
        if workspace is None:
            raise UsageError(
                f"{verb} needs a model: none was typed and there is no {FILE_NAME} here; type: "
                f"bertcompress {verb} MODEL{_options_typed()}, or first: "
                "bertcompress init --model MODEL --data DATA"
            )
        model = workspace.newest()
        if wants_checkpoint:
            _check_checkpoint(verb, model, workspace)
    else:
        model = model_named(model)
    default = None
    if workspace is not None and workspace.data is not None:
        default = source_from_plain(workspace.data, workspace.folder, f"{FILE_NAME}: data")
    seed = workspace.seed if workspace is not None else 0
    return Place(
        model=model,
        data=source_from_options(options, default),
        task=options.task or (workspace.task if workspace is not None else None),
        seed=options.seed if options.seed is not None else seed,
        workspace=workspace,
    )


def source_from_options(options: DataOptions, default: DataSource | None) -> DataSource | None:
    """Returns the data that was typed, or the workspace's with what was typed about it."""
    typed = DataSource(
        source=options.data,
        split=options.split,
        limit=options.limit,
        text=options.text_column,
        text_pair=options.pair_column,
        label=options.label_column,
        question=options.question_column,
        context=options.context_column,
        answers=options.answers_column,
        label_separator=options.label_separator,
        label_kind=options.label_kind,
        header=not options.no_header,
        label_map=label_map_of(options.label_map),
    )
    return typed.over(default)


def command_line() -> str:
    """Returns the line that was typed."""
    return shlex.join(["bertcompress", *sys.argv[1:]])


def _check_checkpoint(verb: str, model: str, workspace: Workspace) -> None:
    from bertcompress.artifacts.artifact import kind_of

    if not Path(model).is_dir() or kind_of(Path(model)) == "checkpoint":
        return
    raise UsageError(
        f"{verb} works on a checkpoint, and the newest artifact, {model}, is a graph; give the "
        f"checkpoint: bertcompress {verb} {shlex.quote(workspace.newest_checkpoint())}"
        f"{_options_typed()}"
    )


def _typed() -> str:
    return command_line() if len(sys.argv) > 1 else "bertcompress VERB MODEL"


def _options_typed() -> str:
    """Returns what was typed after the verb, with a space before it."""
    rest = shlex.join(sys.argv[2:])
    return f" {rest}" if rest else ""
