"""``bertcompress show``: what a model folder is and how it was made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bertcompress_cli.options import DataOptions, JsonOption, ModelArgument

if TYPE_CHECKING:
    from bertcompress.artifacts.manifest import Step
    from bertcompress.passes.prune.removed import Explanation


def show(model: ModelArgument = None, *, as_json: JsonOption = False) -> None:
    """Print what a model is and how it was made."""
    from dataclasses import asdict

    from bertcompress.artifacts.artifact import artifact_bytes, kind_of, read_manifest, verify
    from bertcompress.bert.loading.frontend import load_config
    from bertcompress.bert.loading.locate import locate
    from bertcompress.formatting import bytes_text
    from bertcompress.passes.prune.removed import explanation_of
    from bertcompress.tasks import labels_of, task_of
    from bertcompress_cli.output import result, table
    from bertcompress_cli.place import place_of

    place = place_of("show", model, DataOptions())
    folder = locate(place.model)
    manifest, config = read_manifest(folder), load_config(folder)
    if manifest is not None:
        verify(folder, manifest)
    steps = manifest.history if manifest is not None else ()
    facts = {
        "model": place.model,
        "kind": kind_of(folder),
        "task": manifest.task if manifest is not None else task_of(config),
        "labels": list(labels_of(config)),
        "size_bytes": artifact_bytes(folder),
        "steps": [asdict(step) for step in steps],
    }
    if as_json:
        result("", facts, as_json=True)
        return
    labels = [str(label) for label in labels_of(config)]
    shown = ", ".join(labels[:20]) + (", …" if len(labels) > 20 else "")
    rows = [
        ("kind", str(facts["kind"])),
        ("task", str(facts["task"])),
        ("labels", shown),
        ("size", bytes_text(artifact_bytes(folder))),
        *(("rejected", step.rejected) for step in steps if step.rejected is not None),
    ]
    table((place.model, ""), rows)
    if facts["kind"] == "engine":
        _print_engine(folder)
    if steps:
        lines = [
            (
                step.name,
                _text(step.settings),
                bytes_text(step.bytes_before),
                bytes_text(step.bytes_after),
            )
            for step in steps
        ]
        table(("step", "settings", "before", "after"), lines)
    for step in steps:
        _print_ways(step)
    explanation = explanation_of(steps)
    if explanation is not None:
        _print_cuts(explanation)


def _print_engine(folder: Path) -> None:
    """Prints what an engine was built for, and in which precision its layers compute."""
    from dataclasses import asdict

    from bertcompress.artifacts.engine_file import read_engine
    from bertcompress_cli.output import table

    _, record = read_engine(folder)
    shapes = [f"{list(one.least)} {list(one.opt)} {list(one.most)}" for one in record.profiles]
    rows = [(name.replace("_", " "), str(value)) for name, value in asdict(record.platform).items()]
    table(("engine", record.key), [*rows, *(("profile (least, opt, most)", one) for one in shapes)])
    columns = ("layer", "type", "precision", "output")
    table(columns, [tuple(layer.values()) for layer in record.layers])


def _print_ways(step: Step) -> None:
    """Prints every way of quantizing that was timed and judged."""
    from bertcompress.report.lineage import title_of
    from bertcompress_cli.output import table

    ways = step.details.get("ways_tried")
    if isinstance(ways, list) and ways:
        rows = [tuple(map(_cell, way.values())) for way in ways]
        table(tuple(map(title_of, ways[0])), rows)


def _cell(value: object) -> str:
    return {True: "yes", False: ""}[value] if isinstance(value, bool) else str(value)


def _print_cuts(explanation: Explanation) -> None:
    """Prints what pruning removed: the map, and what each piece cost."""
    from bertcompress.report.tables.pruning import LEGEND, how_to_read, pieces_table, text_map
    from bertcompress_cli.output import print_table, result

    lines = [f"  {line}" for line in text_map(explanation)]
    result("\n".join([*lines, "", f"  {LEGEND}"]), {}, as_json=False)
    if explanation.pieces:
        print_table(pieces_table("pruned", explanation))
        result(f"  {how_to_read(explanation)}", {}, as_json=False)


def _text(settings: Mapping[str, object]) -> str:
    shown = {key: value for key, value in settings.items() if value not in (None, "", [])}
    return ", ".join(f"{key} {value}" for key, value in shown.items())
