"""``bertcompress convert-legacy``: Transformers 4's pruned heads, made loadable again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bertcompress.errors import UsageError
from bertcompress_cli.options import JsonOption, OverwriteOption


def convert_legacy(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="The folder, with pruned_heads in config.json.")
    ],
    *,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="OUT", help="Where to write.")],
    task: Annotated[
        str | None, typer.Option(help="The task, if the model does not say it.")
    ] = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Convert heads that Transformers 4 pruned: version 5 refuses them or loads random ones."""
    from bertcompress.artifacts.artifact import Checkpoint, artifact_bytes, save
    from bertcompress.bert.loading.config_file import read_fields
    from bertcompress.bert.loading.load import load
    from bertcompress.bert.loading.locate import locate
    from bertcompress.bert.structure import shape_of
    from bertcompress_cli.output import note, result

    config = locate(model) / "config.json"
    facts = read_fields(config.parent) if config.is_file() else {}
    if config.is_file() and not facts.get("pruned_heads"):
        raise UsageError(f"{model} has no pruned_heads in its config.json; it loads as it is")
    artifact = load(model, task=task)
    assert isinstance(artifact, Checkpoint)  # no graph has such a config
    save(artifact, out, overwrite=overwrite)
    heads = list(shape_of(artifact.model).layer_heads)
    note(f"heads of each layer: {', '.join(map(str, heads))}")
    found = {"folder": str(out), "layer_heads": heads, "size_bytes": artifact_bytes(out)}
    result(out, found, as_json=as_json)
