"""``bertcompress run``: a whole recipe, resumable."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bertcompress_cli.options import JsonOption

if TYPE_CHECKING:
    from bertcompress.recipes.recipe import Recipe


def run(
    source: Annotated[
        Path, typer.Argument(metavar="RECIPE", help="A recipe.yaml, or the folder that has one.")
    ],
    *,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="OUT", help="The folder for everything."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and do nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make and compare all variants of a recipe, resumable."""
    from bertcompress.recipes.recipe_file import read_recipe
    from bertcompress.recipes.run_recipe import with_output

    recipe = with_output(read_recipe(source), out)
    if dry_run:
        show_plan(recipe, as_json=as_json)
        return
    run_and_show(recipe, as_json=as_json)


def run_and_show(recipe: Recipe, *, as_json: bool) -> None:
    """Runs a recipe, prints the comparison and keeps its gate."""
    from bertcompress.recipes.recipe_file import variant_folder
    from bertcompress.recipes.run_recipe import REPORT, run_recipe
    from bertcompress_cli.output import note, result
    from bertcompress_cli.place import command_line
    from bertcompress_cli.progress import progress_on_stderr
    from bertcompress_cli.show_report import check, show_report

    with progress_on_stderr() as progress:
        report = run_recipe(recipe, command=command_line(), note=note, progress=progress)
    if report is None:
        folders = {name: str(recipe.output / variant_folder(name)) for name in recipe.variants}
        result("\n".join(folders.values()), {"variants": folders}, as_json=as_json)
        return
    show_report(report, recipe.output / REPORT, as_json=as_json)
    if recipe.gate is not None:
        check(report, recipe.gate)


def show_plan(recipe: Recipe, *, as_json: bool) -> None:
    """Prints the steps of each variant and which are finished."""
    from dataclasses import asdict

    from bertcompress.recipes.run_recipe import plan
    from bertcompress_cli.output import result, table

    planned = plan(recipe)
    if as_json:
        facts = {name: [asdict(step) for step in steps] for name, steps in planned.items()}
        result("", {"output": str(recipe.output), "variants": facts}, as_json=True)
        return
    rows = []
    for name, steps in planned.items():
        rows += [
            (name if at == 0 else "", step.name, "finished" if step.finished else "to do")
            for at, step in enumerate(steps)
        ] or [(name, "the model as it is", "finished")]
    table(("variant", "step", "state"), rows)
