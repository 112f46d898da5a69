"""What the verbs that make one artifact share: run the passes, say what came of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from bertcompress.artifacts.artifact import artifact_bytes
from bertcompress.errors import FinishedInterrupt
from bertcompress.passes.base import AnyPass
from bertcompress.recipes.apply_steps import make_artifact, refuse_rejected
from bertcompress.recipes.outcome import outcome_of
from bertcompress_cli.output import note, print_table, result
from bertcompress_cli.place import Place
from bertcompress_cli.progress import progress_on_stderr
from bertcompress_cli.show_report import show_sentences


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
    began = time.monotonic()
    with progress_on_stderr() as progress:
        artifact = make_artifact(
            recipe, target, overwrite=overwrite, remark=remark, note=note, progress=progress
        )
        try:
            outcome = outcome_of(
                recipe,
                artifact,
                target,
                seconds=time.monotonic() - began,
                in_workspace=out is None,
                progress=progress,
            )
        except KeyboardInterrupt:
            raise FinishedInterrupt(
                f"{target} is complete; only the look at its answers was interrupted"
            ) from None
    facts = {
        "folder": str(target),
        "kind": artifact.kind,
        "task": artifact.task,
        "size_bytes": artifact_bytes(target),
        "parameters": artifact.parameters,
        "steps": [step.name for step in artifact.history],
        "quality": outcome.quality_facts,
        "seconds": round(outcome.seconds, 1),
        "next": outcome.following,
    }
    if not as_json:
        print_table(outcome.table, stderr=True)
        show_sentences([f"next: {outcome.following}"])
    result(target, facts, as_json=as_json)
    refuse_rejected(artifact, target)
