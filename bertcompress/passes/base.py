"""What a pass is: settings in a frozen dataclass, one artifact in, a new one out.

A pass never changes its input, adds one `Step` to the history, and gives the same bytes for the
same settings and seed. Its fields are its settings; ``__post_init__`` rejects bad ones. It says
which kind of artifact it takes and gives, so that a wrong order fails when the pipeline is built.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import ClassVar, Protocol, runtime_checkable

from bertcompress.artifacts.artifact import Artifact, Checkpoint, Engine, Kind, OnnxModel
from bertcompress.errors import PassError
from bertcompress.examples import Example, fingerprint_of
from bertcompress.progress import Progress, silent

NOT_A_SETTING: Mapping[str, bool] = {"setting": False}
"""Metadata of a dataclass field that changes nothing about the result."""


@runtime_checkable
class Pass(Protocol):
    """One change of an artifact."""

    consumes: ClassVar[Kind]
    """The kind of artifact it takes."""

    produces: ClassVar[Kind]
    """The kind of artifact it gives."""

    def __call__(self, artifact: Artifact, *, progress: Progress = silent) -> Artifact:
        """Returns the changed artifact, with one more step of history."""
        ...


def settings_of(pass_: object) -> dict[str, object]:
    """Returns a pass's fields as JSON values; examples as their number and fingerprint.

    Two passes with equal settings do the same to the same artifact, so this is also what a
    finished step is recognised by. A field that changes nothing about the result is declared with
    `NOT_A_SETTING` as its metadata and left out.
    """
    if not is_dataclass(pass_):
        raise TypeError(f"a pass is a dataclass, got {type(pass_).__name__}")
    return {
        one.name: _as_json(getattr(pass_, one.name))
        for one in fields(pass_)
        if one.metadata != NOT_A_SETTING
    }


def _as_json(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {"name": type(value).__name__, **settings_of(value)}
    if isinstance(value, tuple) and value and isinstance(value[0], Example):
        return f"{len(value)} examples {fingerprint_of(value)}"
    if isinstance(value, Mapping):
        return {str(key): _as_json(one) for key, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_as_json(one) for one in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def checkpoint_for(pass_: object, artifact: Artifact) -> Checkpoint:
    """Returns the artifact as the checkpoint that the pass needs.

    Raises:
        PassError: If it is something else.
    """
    if isinstance(artifact, Checkpoint):
        return artifact
    raise PassError(
        f"{type(pass_).__name__} works on a checkpoint and was given a graph (the last step was "
        f"{_last_step(artifact)}); prune and fine-tune before export"
    )


def graph_for(pass_: object, artifact: Artifact) -> OnnxModel:
    """Returns the artifact as the graph that the pass needs.

    Raises:
        PassError: If it is something else.
    """
    if isinstance(artifact, OnnxModel):
        return artifact
    given, way_out = "a checkpoint", "export it first"
    if isinstance(artifact, Engine):
        given, way_out = "an engine", "give the graph that it was made from, its source"
    raise PassError(f"{type(pass_).__name__} works on a graph and was given {given}; {way_out}")


def _last_step(artifact: Artifact) -> str:
    return artifact.history[-1].name if artifact.history else "none"
