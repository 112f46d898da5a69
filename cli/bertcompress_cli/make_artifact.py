"""What the verbs that make one artifact share: run the passes, print the folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bertcompress.artifacts.artifact import artifact_bytes
from bertcompress.passes.base import AnyPass
from bertcompress.recipes.apply_steps import make_artifact, refuse_rejected
from bertcompress_cli.output import note, result
from bertcompress_cli.place import Place
from bertcompress_cli.progress import progress_on_stderr


def run_verb(
    verb: str,
    place: Place,
    passes: Sequence[AnyPass],
    *,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
    remark: str | None = None,
) -> None:
    """Runs the passes on the place's model, saves the artifact and prints where it is.

    Args:
        verb: The subcommand.
        place: What it works on.
        passes: What it does.
        out: Where the artifact goes; None means the workspace's next.
        overwrite: Whether an artifact that is there may be replaced.
        as_json: Whether the result is printed as JSON.
        remark: What the user should know, said once the settings are found to be right.
    """
    target = place.out_folder(verb, out, overwrite=overwrite)
    recipe = place.recipe(verb, passes, target)
    with progress_on_stderr() as progress:
        artifact = make_artifact(
            recipe, target, overwrite=overwrite, remark=remark, note=note, progress=progress
        )
    facts = {
        "folder": str(target),
        "kind": artifact.kind,
        "task": artifact.task,
        "size_bytes": artifact_bytes(target),
        "parameters": artifact.parameters,
        "steps": [step.name for step in artifact.history],
    }
    result(target, facts, as_json=as_json)
    refuse_rejected(artifact, target)
