"""Artifacts: what passes take and give, and the folders they are kept in.

Three levels of representation, as in any compiler: a `Checkpoint` holds weights that torch can
train, an `OnnxModel` holds the graph that a runtime executes, an `Engine` what TensorRT made of a
graph for one GPU; precision lives in the graph. Artifacts are values: no pass changes one, each
returns a new one with one more `Step`.

A folder written by `save` loads in the tools people already have (``config.json``, tokenizer
files, ``model.safetensors`` or ``onnx/model.onnx``), and its manifest ``bertcompress.json`` says
where it came from and carries the SHA-256 of every file; `verify` checks them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from bertcompress.artifacts.engine_file import write_engine
from bertcompress.artifacts.engine_record import EngineRecord
from bertcompress.artifacts.folder import MANIFEST_NAME, check_writable, new_folder
from bertcompress.artifacts.graph_file import ONNX_NAME, write_graph
from bertcompress.artifacts.manifest import (
    FORMAT_VERSION,
    Kind,
    Manifest,
    Step,
    artifact_bytes,
    kind_of,
    read_manifest,
    verify,
    write_manifest,
)
from bertcompress.artifacts.model_card import card_text
from bertcompress.artifacts.tokenizer_files import write_tokenizer
from bertcompress.errors import PassError
from bertcompress.machine.environment import library_versions
from bertcompress.quiet import quiet_transformers

if TYPE_CHECKING:
    import onnx
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

__all__ = [
    "FORMAT_VERSION",
    "MANIFEST_NAME",
    "ONNX_NAME",
    "Artifact",
    "Checkpoint",
    "Engine",
    "Kind",
    "Manifest",
    "OnnxModel",
    "Step",
    "artifact_bytes",
    "check_writable",
    "kind_of",
    "library_versions",
    "model_card",
    "new_folder",
    "read_manifest",
    "save",
    "verify",
]


@dataclass(frozen=True)
class Checkpoint:
    """A fine-tuned encoder in torch, float32, in evaluation mode.

    Attributes:
        model: The Transformers model; owned by the artifact, never changed in place.
        tokenizer: Its fast tokenizer.
        task: A name from `bertcompress.tasks`.
        history: The steps that made it.
        side_files: Small files that belong to the folder, by relative name.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    task: str
    history: tuple[Step, ...] = ()
    side_files: Mapping[str, bytes] = field(default_factory=dict)

    kind: ClassVar[Kind] = "checkpoint"

    @property
    def config(self) -> PreTrainedConfig:
        """The model's configuration."""
        return self.model.config

    @property
    def parameters(self) -> int:
        """The number of weights."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    @property
    def size_bytes(self) -> int:
        """The bytes of all weights in float32."""
        return sum(p.numel() * p.element_size() for p in self.model.parameters())


@dataclass(frozen=True)
class OnnxModel:
    """A graph with its weights, and what is needed to feed it.

    Attributes:
        graph: The ONNX model. Its weight products (MatMul, Gemm) are named after the module they
            came from, see `bertcompress.passes.export.export_onnx`.
        config: A stock configuration (task, labels, maximum length) for tools that read folders.
        tokenizer: The tokenizer.
        task: A name from `bertcompress.tasks`.
        history: The steps that made it.
        side_files: Small files that belong to the folder, by relative name.
    """

    graph: onnx.ModelProto
    config: PreTrainedConfig
    tokenizer: PreTrainedTokenizerFast
    task: str
    history: tuple[Step, ...] = ()
    side_files: Mapping[str, bytes] = field(default_factory=dict)

    kind: ClassVar[Kind] = "onnx"

    @property
    def parameters(self) -> int | None:
        """None: a quantized graph stores scales and packed weights, not parameters."""
        return None

    @property
    def size_bytes(self) -> int:
        """The bytes of the serialized graph."""
        return int(self.graph.ByteSize())


@dataclass(frozen=True)
class Engine:
    """What TensorRT made of a graph for one GPU, with the graph, which runs elsewhere.

    Attributes:
        graph: The ONNX model that it was made from.
        config: A stock configuration, as that of an `OnnxModel`.
        tokenizer: The tokenizer.
        task: A name from `bertcompress.tasks`.
        plan: The serialized engine; never loaded unless `record` carries its SHA-256.
        record: What it is: machine, profiles, layers, see `bertcompress.artifacts.engine_record`.
        history: The steps that made it.
        side_files: Small files that belong to the folder, by relative name.
    """

    graph: onnx.ModelProto
    config: PreTrainedConfig
    tokenizer: PreTrainedTokenizerFast
    task: str
    plan: bytes
    record: EngineRecord
    history: tuple[Step, ...] = ()
    side_files: Mapping[str, bytes] = field(default_factory=dict)

    kind: ClassVar[Kind] = "engine"

    @property
    def parameters(self) -> int | None:
        """None: what an engine stores is TensorRT's own affair."""
        return None

    @property
    def size_bytes(self) -> int:
        """The bytes of the plan."""
        return len(self.plan)

    @property
    def source(self) -> OnnxModel:
        """The graph that it was made from, as the artifact it was."""
        return OnnxModel(
            self.graph,
            self.config,
            self.tokenizer,
            self.task,
            tuple(step for step in self.history if step.name != "BuildEngine"),
            self.side_files,
        )


Artifact = Checkpoint | OnnxModel | Engine


def save(artifact: Artifact, folder: Path | str, *, overwrite: bool = False) -> Path:
    """Writes the artifact folder, whole or not at all.

    Args:
        artifact: What to write.
        folder: Where to; made with its parents.
        overwrite: Whether an artifact folder already there may be replaced.

    Returns:
        The folder.

    Raises:
        UsageError: If the folder is there and holds something else.
        PassError: If it can't be written.
    """
    from safetensors import SafetensorError

    target = Path(folder)
    with new_folder(target, overwrite=overwrite) as staging, quiet_transformers():
        write_tokenizer(artifact.tokenizer, staging)
        if isinstance(artifact, Checkpoint):
            try:
                artifact.model.save_pretrained(staging)
            except SafetensorError as error:  # how safetensors tells of a full disk
                raise PassError(f"could not write {target}: {error}; nothing was kept") from error
        else:
            artifact.config.save_pretrained(staging)
            write_graph(artifact.graph, staging / ONNX_NAME)
        if isinstance(artifact, Engine):
            write_engine(staging, artifact.plan, artifact.record)
        for name, content in artifact.side_files.items():
            (staging / name).parent.mkdir(parents=True, exist_ok=True)
            (staging / name).write_bytes(content)
        (staging / "README.md").write_text(model_card(artifact), encoding="utf-8")
        write_manifest(staging, kind=artifact.kind, task=artifact.task, history=artifact.history)
    return target


def model_card(artifact: Artifact) -> str:
    """Returns the README.md of an artifact folder: what it is and how it was made."""
    inputs = []
    if not isinstance(artifact, Checkpoint):
        inputs = [value.name for value in artifact.graph.graph.input]
    platform = artifact.record.platform if isinstance(artifact, Engine) else None
    return card_text(
        artifact.kind, artifact.task, artifact.history, inputs=inputs, platform=platform
    )
