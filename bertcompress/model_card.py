"""The model card of an artifact folder: what it is, how it was made, what runs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bertcompress.artifact import Artifact, Engine, OnnxModel

_TAGS = {
    "checkpoint": "[bertcompress]",
    "onnx": "[bertcompress, onnx]",
    "engine": "[bertcompress, onnx, tensorrt]",
}


def model_card(artifact: Artifact) -> str:
    """Returns the README.md of an artifact folder: what it is and how it was made."""
    lines = [
        "---",
        f"pipeline_tag: {artifact.task}",
        "library_name: transformers",
        f"tags: {_TAGS[artifact.kind]}",
        "---",
        f"# {artifact.task}, made by bertcompress",
        "",
        "| step | settings | size before | size after |",
        "|---|---|---:|---:|",
    ]
    lines += [
        f"| {step.name} | {_settings_text(step.settings)} | {step.bytes_before / 1e6:.1f} MB "
        f"| {step.bytes_after / 1e6:.1f} MB |"
        for step in artifact.history
    ]
    limits = (
        "Figures belong in the report that `bertcompress bench` writes: measure on your own "
        "hardware and data before you rely on this model."
    )
    return "\n".join([*lines, "", _how(artifact), "", limits, ""])


def _how(artifact: Artifact) -> str:
    """Returns what runs it."""
    if artifact.kind == "checkpoint":
        return (
            "Loads with `transformers`; if `config.json` has an `auto_map`, either "
            "`import bertcompress` first or pass `trust_remote_code=True`."
        )
    graph = (
        f"`onnx/model.onnx` runs in stock ONNX Runtime; inputs {_inputs_text(artifact)}, "
        "int64 [batch, sequence]."
    )
    if artifact.kind == "onnx":
        return graph
    built = artifact.record.platform
    return (
        f"The engine in `engines/` is for {built.gpu} with TensorRT {built.tensorrt} alone "
        f"(`bertcompress predict --runtime tensorrt`). It was made from a graph that other "
        f"runtimes take: {graph}"
    )


def _inputs_text(model: OnnxModel | Engine) -> str:
    return ", ".join(f"`{value.name}`" for value in model.graph.graph.input)


def _settings_text(settings: Mapping[str, object]) -> str:
    shown = {key: value for key, value in settings.items() if value is not None}
    return ", ".join(f"{key} {value}" for key, value in shown.items()).replace("|", "\\|")
