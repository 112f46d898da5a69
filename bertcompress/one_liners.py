"""What the command does, for those who write Python: the same passes in one line.

    small = bc.prune("my-bert", heads=0.3, ffn=0.3, data="reviews/")
    tiny = bc.quantize(small, data="reviews/", out="my-bert-int8")

`prune_model` and `quantize_model` are short names of the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from bertcompress.artifacts.artifact import Artifact, Checkpoint, Engine, OnnxModel, save
from bertcompress.bert.loading.load import load
from bertcompress.data.partition import hold_out
from bertcompress.errors import UsageError, did_you_mean
from bertcompress.examples import Dataset, Example
from bertcompress.passes.base import AnyPass
from bertcompress.pipeline import Pipeline
from bertcompress.progress import Progress, silent, unsaid
from bertcompress.recipes.apply_steps import make_artifact, refuse_rejected
from bertcompress.recipes.data_source import DataSource
from bertcompress.recipes.prune_recipe import PruneOptions, prune_passes
from bertcompress.recipes.quantize_recipe import QuantizeOptions, quantize_pass
from bertcompress.recipes.recipe import Recipe, or_default, with_exports
from bertcompress.recipes.resources import RecipeContext, splits_for

Model = Artifact | str | Path
"""An artifact, its folder, or a hub name."""
Data = Dataset | Sequence[Example] | DataSource | str | Path
"""Examples, or where they are read from."""
Target = Literal["head", "ffn"]
TARGETS: tuple[Target, ...] = ("head", "ffn")
ANY_PRUNING, ANY_QUANTIZING = PruneOptions(), QuantizeOptions()


def prune(
    model: Model,
    *,
    heads: float | None = None,
    ffn: float | None = None,
    layers: int | None = None,
    target_speedup: float | None = None,
    target_latency: float | None = None,
    more: PruneOptions = ANY_PRUNING,
    data: Data = (),
    task: str | None = None,
    seed: int = 0,
    out: Path | str | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Checkpoint:
    """Removes heads, feed-forward neurons and layers, as ``bertcompress prune`` does.

    With data, what the others make up for best is removed and the rest re-fitted; without, the
    size of the weights decides.

    Args:
        model: A checkpoint, its folder, or a hub name; it is left as it was.
        heads: Of all heads, the part to remove, [0, 1).
        ffn: Of all feed-forward neurons, the part to remove, [0, 1).
        layers: How many layers to remove.
        target_speedup: How many times as fast one sentence must be here; it is measured.
        target_latency: Seconds that one sentence may take here.
        more: What else is asked: all that the command has.
        data: Examples, or where they are read from.
        task: The task, if the model does not say it.
        seed: For everything drawn.
        out: The artifact's folder; None saves nothing.
        overwrite: Whether an artifact that is there may be replaced.
        progress: Progress callback.

    Raises:
        BertCompressError: As the command does; nothing is written then.
    """
    asked = replace(
        more,
        heads=or_default(heads, more.heads),
        ffn=or_default(ffn, more.ffn),
        layers=or_default(layers, more.layers),
        target_speedup=or_default(target_speedup, more.target_speedup),
        target_latency=or_default(target_latency, more.target_latency),
    )
    asking = _Asking("prune", model, data, task, seed, overwrite, progress)
    passes = prune_passes(asked, has_data=asking.has_data, seed=seed)
    artifact = asking.run(passes, out)
    assert isinstance(artifact, Checkpoint)  # what each of these passes gives
    return artifact


def quantize(
    model: Model,
    *,
    bits: int = 8,
    method: str | None = None,
    max_drop: float | None = None,
    target_latency: float | None = None,
    target_size: int | None = None,
    more: QuantizeOptions = ANY_QUANTIZING,
    data: Data = (),
    task: str | None = None,
    seed: int = 0,
    out: Path | str | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> OnnxModel:
    """Quantizes a model, exporting it first if it is a checkpoint, as ``bertcompress quantize``.

    Args:
        model: A checkpoint or a graph, its folder, or a hub name; it is left as it was.
        bits: 8, or 4 for weights only.
        method: With 8 bits: ``best``, the fastest that holds its accuracy here, ``static``, both
            with data, or ``dynamic``, without; None for ``best``.
        max_drop: What the metric may lose on held-out texts, 0..1.
        target_latency: Seconds a text that must be kept.
        target_size: Bytes that the graph's file may have at most.
        more: What else is asked: all that the command has.
        data: Examples, or where they are read from.
        task: The task, if the model does not say it.
        seed: For everything drawn.
        out: The artifact's folder; None saves nothing.
        overwrite: Whether an artifact that is there may be replaced.
        progress: Progress callback.

    Returns:
        The graph. If it does not keep what was asked, its last step says so, `Step.rejected`; with
        `out` that is an error, as in the command, and the folder stays.

    Raises:
        BertCompressError: As the command does; nothing is written then.
    """
    asked = replace(
        more,
        bits=bits,
        method=or_default(method, more.method),
        max_drop=or_default(max_drop, more.max_drop),
        target_latency=or_default(target_latency, more.target_latency),
        target_size=or_default(target_size, more.target_size),
    )
    asking = _Asking("quantize", model, data, task, seed, overwrite, progress)
    artifact = asking.run((quantize_pass(asked, seed=seed),), out)
    assert isinstance(artifact, OnnxModel)  # what each of these passes gives
    return artifact


def prune_model(
    model: Model,
    *,
    target: Target = "head",
    threshold: float,
    data: Data = (),
    progress: Progress = silent,
) -> Checkpoint:
    """Removes heads or feed-forward neurons: a short name of `prune`.

    Args:
        model: As in `prune`.
        target: ``head`` or ``ffn``.
        threshold: The fraction of them to remove, [0, 1).
        data: What everything is measured on; without any, the weights' size decides.
        progress: Progress callback.

    Returns:
        The smaller checkpoint; the given one is left as it was.

    Raises:
        UsageError: If the target or the threshold can't be meant, or the model is a graph.
    """
    if target not in TARGETS:
        raise UsageError(
            f"target must be one of {', '.join(TARGETS)}, got {target!r}"
            + did_you_mean(target, TARGETS)
        )
    if target == "head":
        return prune(model, heads=threshold, data=data, progress=progress)
    return prune(model, ffn=threshold, data=data, progress=progress)


def quantize_model(
    model: Model, *, num_bits: int = 8, data: Data = (), progress: Progress = silent
) -> OnnxModel:
    """Quantizes a model, exporting it first if it is a checkpoint: a short name of `quantize`.

    Args:
        model: As in `quantize`.
        num_bits: 8 or 4.
        data: With 8 bits, the fastest INT8 that holds its accuracy is found on it; without any,
            ranges are found at run time, which needs none.
        progress: Progress callback.

    Raises:
        UsageError: If the bits can't be meant, or the graph is quantized already.
    """
    if num_bits not in (4, 8):
        raise UsageError(f"num_bits must be 8 or 4, got {num_bits}")
    asking = _Asking("quantize", model, data)
    method = "dynamic" if num_bits == 8 and not asking.has_data else None
    return quantize(model, bits=num_bits, method=method, data=data, progress=progress)


@dataclass(frozen=True)
class _Asking:
    """What was asked for, whatever is done."""

    verb: str
    model: Model
    data: Data
    task: str | None = None
    seed: int = 0
    overwrite: bool = False
    progress: Progress = silent

    @property
    def source(self) -> DataSource | None:
        """Where examples are read from; None where they are given themselves, or none are."""
        if isinstance(self.data, str | Path):
            return DataSource(source=str(self.data))
        return self.data if isinstance(self.data, DataSource) else None

    @property
    def examples(self) -> Dataset | Sequence[Example]:
        """The examples that are given themselves."""
        return () if isinstance(self.data, DataSource | str | Path) else self.data

    @property
    def has_data(self) -> bool:
        """Whether there will be examples."""
        return self.source is not None or len(self.examples) > 0

    def run(self, passes: tuple[AnyPass, ...], out: Path | str | None) -> Artifact:
        """Runs the passes, and saves what they make if a folder is given."""
        folder = None if out is None else Path(out)
        if isinstance(self.model, str | Path) and not self.examples:
            artifact = self._named(str(self.model), passes, folder)
        else:
            artifact = self._in_memory(passes)
            if folder is not None:
                save(artifact, folder, overwrite=self.overwrite)
        if folder is not None:
            refuse_rejected(artifact, folder)
        return artifact

    def _named(self, model: str, passes: tuple[AnyPass, ...], out: Path | None) -> Artifact:
        """Runs the recipe that the command would run, which the folder then carries."""
        recipe = Recipe(
            name=self.verb,
            model=model,
            task=self.task,
            data=self.source,
            seed=self.seed,
            variants={self.verb: passes},
            output=out or Path(self.verb),
        )
        return make_artifact(recipe, out, overwrite=self.overwrite, progress=self.progress)

    def _in_memory(self, passes: tuple[AnyPass, ...]) -> Artifact:
        """Runs the passes on an artifact or on examples that no recipe can name."""
        artifact = self.model
        if isinstance(artifact, str | Path):
            artifact = load(artifact, task=self.task)
        if isinstance(artifact, Engine):
            artifact = artifact.source
        splits = splits_for(artifact, self.source, seed=self.seed, note=unsaid)
        context = RecipeContext(splits, progress=self.progress)
        if self.examples:
            fitted, held_out = hold_out(tuple(self.examples))
            given = self.examples if isinstance(self.examples, Dataset) else None
            context = RecipeContext(
                fitted if given is None else replace(given, examples=fitted),
                held_out=held_out,
                progress=self.progress,
            )
        chain = with_exports(
            passes,
            is_graph=artifact.kind != "checkpoint",
            graph_wanted=False,
            seed=self.seed,
        )
        return Pipeline(chain).run(artifact, context)
