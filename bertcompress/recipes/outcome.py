"""What a verb that made an artifact ends with: before and after, and what to type next.

Both models are judged on labelled texts that nothing is trained on or fitted to, `JUDGED` of them
at most: enough to see what broke within seconds. What was measured is what ``bench`` says.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, fields
from pathlib import Path

from bertcompress.artifacts.artifact import Artifact, artifact_bytes
from bertcompress.artifacts.manifest import read_manifest
from bertcompress.bench.paired import Scored
from bertcompress.bert.loading.locate import locate
from bertcompress.data.partition import sample
from bertcompress.errors import BertCompressError, DataError
from bertcompress.examples import Example
from bertcompress.formatting import (
    bytes_text,
    count_text,
    duration_text,
    metric_interval,
    metric_name,
    metric_text,
)
from bertcompress.inference.predictor import Predictor
from bertcompress.progress import Progress, silent
from bertcompress.recipes.data_source import DataSource
from bertcompress.recipes.recipe import Recipe
from bertcompress.recipes.resources import Splits
from bertcompress.report.assemble import accuracy_of
from bertcompress.report.lineage import parameters_of
from bertcompress.report.schema import Accuracy
from bertcompress.report.tables.blocks import Table, text_table

JUDGED = 200
"""Texts that a new artifact is judged on at most."""
_UNKNOWN = "—"
_ONE_ROLE = ("train", "validation", "test", "split", "limit", "header")


@dataclass(frozen=True)
class VerbOutcome:
    """What changed.

    Attributes:
        steps: What was done, by the names of the passes.
        sizes: Bytes of the files that a runtime loads, before and after.
        parameters: Weights before and after, where they are known.
        quality: What each answers, None where it was not judged.
        seconds: How long all of it took.
        following: What to type next.
    """

    steps: tuple[str, ...]
    sizes: tuple[int, int]
    parameters: tuple[int | None, int | None]
    quality: tuple[Accuracy | None, Accuracy | None]
    seconds: float
    following: str

    @property
    def table(self) -> Table:
        """What people read."""
        rows = [
            ("made by", "", ", ".join(self.steps)),
            ("size", *map(bytes_text, self.sizes)),
            ("parameters", *(_UNKNOWN if n is None else count_text(n) for n in self.parameters)),
            (self._judged_by, *map(_quality, self.quality)),
            ("time", "", duration_text(self.seconds)),
        ]
        return text_table("Outcome", ("", "before", "after"), rows, kind="words")

    @property
    def quality_facts(self) -> dict[str, object] | None:
        """The quality after, with its interval, as JSON."""
        made = self.quality[1]
        if made is None:
            return None
        span = made.interval and (made.interval.low, made.interval.high)
        return {
            "metric": made.metric,
            "value": made.value,
            "interval": span,
            "examples": made.count,
        }

    @property
    def _judged_by(self) -> str:
        """Names what the answers were judged by."""
        made = self.quality[1]
        if made is None:
            return "quality"
        return f"{metric_name(made.metric)}, {made.count} texts held out"


def outcome_of(
    recipe: Recipe,
    artifact: Artifact,
    out: Path,
    *,
    seconds: float,
    in_workspace: bool = False,
    progress: Progress = silent,
) -> VerbOutcome:
    """Looks at what a recipe's one variant made of its model.

    Args:
        recipe: What was done.
        artifact: What it made.
        out: Its folder.
        seconds: How long it took.
        in_workspace: Whether the next verb knows model, data and where to write.
        progress: Progress callback.

    Raises:
        LoadError: The model before can't be found any more.
    """
    before = locate(recipe.model)
    known = read_manifest(before)
    earlier = len(known.history) if known is not None else 0
    return VerbOutcome(
        steps=tuple(step.name for step in artifact.history[earlier:]),
        sizes=(artifact_bytes(before), artifact_bytes(out)),
        parameters=(parameters_of(before, known), parameters_of(out, read_manifest(out))),
        quality=(
            judged(recipe.model, recipe, progress=progress),
            judged(out, recipe, progress=progress),
        ),
        seconds=seconds,
        following=_following(recipe, artifact, out, in_workspace=in_workspace),
    )


def judged(model: str | Path, recipe: Recipe, *, progress: Progress = silent) -> Accuracy | None:
    """Judges a model on a recipe's held-out labelled texts; None where that can't be done."""
    if recipe.data is None:
        return None
    try:
        with Predictor.open(model, task=recipe.task) as opened:
            examples = _held_out(recipe.data, opened, seed=recipe.seed)
            if not examples:
                return None
            answers = opened.predict(examples, progress=progress)
            score = opened.task.score(answers.predictions, examples)
        return accuracy_of(Scored(answers, score), examples)
    except BertCompressError:  # no labels, a head for others, or no such device here
        return None


def _held_out(data: DataSource, model: Predictor, *, seed: int) -> tuple[Example, ...]:
    """Returns labelled texts that nothing is fitted to.

    Raises:
        DataError: There are none, or they are not the model's.
    """
    task = model.task
    if task.name == "feature-extraction":
        raise DataError("vectors are judged by bench")
    splits = Splits(data, task=task.name, label_kind=task.label_kind, seed=seed, fits=task.check)
    examples = splits.validation
    task.check(examples)
    return sample(examples, min(JUDGED, len(examples)), seed=seed)


def _quality(accuracy: Accuracy | None) -> str:
    if accuracy is None:
        return "not judged"
    value = metric_text(accuracy.metric, accuracy.value)
    if accuracy.interval is None:
        return value
    return f"{value} ({metric_interval(accuracy.metric, accuracy.interval)})"


def _following(recipe: Recipe, artifact: Artifact, out: Path, *, in_workspace: bool) -> str:
    """Returns the command that goes on: quantizing a checkpoint, measuring a graph."""
    verb = "quantize" if artifact.kind == "checkpoint" else "bench"
    if in_workspace:
        return f"bertcompress {verb}"
    models = [str(out)] if verb == "quantize" else [recipe.model, str(out)]
    target = f"{out}-int8" if verb == "quantize" else f"{out}-report"
    words = ["bertcompress", verb, *models, *_data_words(recipe.data), "-o", target]
    return shlex.join(words)


def _data_words(data: DataSource | None) -> list[str]:
    """Returns the options that name the same data and its columns; DATA where there is none."""
    if data is None:
        return ["--data", "DATA"]
    words = ["--data", str(data.source or data.train)]
    for setting in fields(data):
        value = getattr(data, setting.name)
        if setting.name in ("source", *_ONE_ROLE) or not value:
            continue
        if setting.name == "label_map":
            value = ",".join(f"{old}={new}" for old, new in value.items())
        words += [f"--{setting.name.replace('_', '-')}", str(value)]
    return words if data.header else [*words, "--no-header"]
