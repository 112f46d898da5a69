"""What the verbs that make one artifact share: run the steps, print the folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bertcompress.artifacts.artifact import Artifact, artifact_bytes
from bertcompress.errors import AccuracyGateError, SpeedGateError
from bertcompress.recipes.apply_steps import check_steps, make_artifact
from bertcompress.recipes.recipe import Recipe, StepSpec
from bertcompress_cli.output import note, result
from bertcompress_cli.place import Place
from bertcompress_cli.progress import progress_on_stderr


def run_verb(
    verb: str,
    place: Place,
    steps: Sequence[StepSpec],
    *,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
    remark: str | None = None,
) -> None:
    """Runs the steps on the place's model, saves the artifact and prints where it is.

    Args:
        verb: The subcommand.
        place: What it works on.
        steps: What it does.
        out: Where the artifact goes; None means the workspace's next.
        overwrite: Whether an artifact that is there may be replaced.
        as_json: Whether the result is printed as JSON.
        remark: What the user should know, said once the settings are found to be right.
    """
    target = place.out_folder(verb, out, overwrite=overwrite)
    recipe = Recipe(
        name=verb,
        model=place.model,
        task=place.task,
        data=place.data,
        seed=place.seed,
        variants={verb: tuple(steps)},
        output=target,
    )
    check_steps(recipe, steps)
    if remark is not None:
        note(remark)
    with progress_on_stderr() as progress:
        made = make_artifact(recipe, target, overwrite=overwrite, progress=progress)
    size = artifact_bytes(target)
    facts = {
        "folder": str(target),
        "kind": made.kind,
        "task": made.task,
        "size_bytes": size,
        "parameters": made.parameters,
        "steps": [step.name for step in made.history],
    }
    result(target, facts, as_json=as_json)
    refuse_rejected(made, target)


def refuse_rejected(made: Artifact, folder: Path) -> None:
    """Fails if an artifact does not keep what was asked of it; the folder stays.

    Raises:
        AccuracyGateError: It lost more than allowed.
        SpeedGateError: It is slower than asked.
    """
    for step in made.history:
        if step.rejected is not None:
            kind = SpeedGateError if step.rejected_for == "speed" else AccuracyGateError
            raise kind(f"{step.rejected}; the attempt is kept in {folder}, marked rejected")


def typed(**values: object) -> dict[str, object]:
    """Returns the settings that were typed: the others keep their step's own defaults."""
    return {name: value for name, value in values.items() if value is not None}
