"""The text of an artifact folder's model card: what it is, how it was made, what runs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bertcompress.artifacts.engine_record import Platform
from bertcompress.artifacts.manifest import Kind, Step
from bertcompress.sinks import for_markdown, for_terminal

_TAGS = {
    "checkpoint": "[bertcompress]",
    "onnx": "[bertcompress, onnx]",
    "engine": "[bertcompress, onnx, tensorrt]",
}
_LIMITS = (
    "Figures belong in the report that `bertcompress bench` writes: measure on your own "
    "hardware and data before you rely on this model."
)


def card_text(
    kind: Kind,
    task: str,
    history: Sequence[Step],
    *,
    inputs: Sequence[str] = (),
    platform: Platform | None = None,
) -> str:
    """Returns the README.md of an artifact folder.

    Args:
        kind: What it is.
        task: Its task.
        history: The steps that made it.
        inputs: The names of its graph's inputs, where it has a graph.
        platform: What its engine was built for, where it has one.
    """
    lines = [
        "---",
        f"pipeline_tag: {task}",
        "library_name: transformers",
        f"tags: {_TAGS[kind]}",
        "---",
        f"# {task}, made by bertcompress",
        "",
        "| step | settings | size before | size after |",
        "|---|---|---:|---:|",
    ]
    lines += [
        f"| {for_markdown(step.name)} | {_settings_text(step.settings)} "
        f"| {step.bytes_before / 1e6:.1f} MB | {step.bytes_after / 1e6:.1f} MB |"
        for step in history
    ]
    return "\n".join([*lines, "", _how(inputs, platform), "", _LIMITS, ""])


def _how(inputs: Sequence[str], platform: Platform | None) -> str:
    """Returns what runs it."""
    if not inputs:
        return (
            "Loads with `transformers`; if `config.json` has an `auto_map`, either "
            "`import bertcompress` first or pass `trust_remote_code=True`."
        )
    graph = (
        f"`onnx/model.onnx` runs in stock ONNX Runtime; inputs "
        f"{', '.join(map(_code, inputs))}, int64 [batch, sequence]."
    )
    if platform is None:
        return graph
    return (
        f"The engine in `engines/` is for {for_markdown(platform.gpu)} with TensorRT "
        f"{platform.tensorrt}, and nothing else loads it. The graph that it was made from "
        f"runs elsewhere: {graph}"
    )


def _code(name: str) -> str:
    """Returns a name as code in a line."""
    return f"`{for_terminal(name).replace('`', chr(39))}`"


def _settings_text(settings: Mapping[str, object]) -> str:
    shown = {key: value for key, value in settings.items() if value is not None}
    return for_markdown(", ".join(f"{key} {value}" for key, value in shown.items()))
