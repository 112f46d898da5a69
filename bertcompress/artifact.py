"""Artifacts: what passes take and give, and the folders they are kept in.

Two levels of representation, as in any compiler: a `Checkpoint` holds weights that torch can
train, an `OnnxModel` holds the graph that a runtime executes; precision lives in the graph.
Artifacts are values: no pass changes one, each returns a new one with one more `Step`.

A folder written by `save` loads in the tools people already have (``config.json``, tokenizer
files, ``model.safetensors`` or ``onnx/model.onnx``), and its manifest ``bertcompress.json`` says
where it came from and carries the SHA-256 of every file; `verify` checks them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bertcompress.errors import LoadError, PassError, UsageError

if TYPE_CHECKING:
    import onnx
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

FORMAT_VERSION = 1
MANIFEST_NAME = "bertcompress.json"
ONNX_NAME = "onnx/model.onnx"
SIDE_FILES = (
    "modules.json",
    "1_Pooling/config.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
)
"""Files of sentence-transformers that say how to pool; they travel with the model."""

Kind = Literal["checkpoint", "onnx"]


@dataclass(frozen=True)
class Step:
    """One line of an artifact's history.

    Attributes:
        name: The pass, as its class is called.
        settings: The pass's fields, as JSON values.
        seconds: Wall time.
        parameters_before: Number of weights before, or None where the level has no such number.
        parameters_after: Number of weights after.
        bytes_before: Size of the weights or the graph before, bytes.
        bytes_after: Size after, bytes.
        details: What the pass found: per-layer tables, audits, notes. JSON values.
        versions: Versions of the libraries that did the work.
    """

    name: str
    settings: Mapping[str, object]
    seconds: float
    parameters_before: int | None
    parameters_after: int | None
    bytes_before: int
    bytes_after: int
    details: Mapping[str, object] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


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

    kind = "checkpoint"

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
            came from, see `bertcompress.passes.export_onnx`.
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

    kind = "onnx"

    @property
    def parameters(self) -> int | None:
        """None: a quantized graph stores scales and packed weights, not parameters."""
        return None

    @property
    def size_bytes(self) -> int:
        """The bytes of the serialized graph."""
        return int(self.graph.ByteSize())


Artifact = Checkpoint | OnnxModel


@dataclass(frozen=True)
class Manifest:
    """What ``bertcompress.json`` says.

    Attributes:
        kind: ``checkpoint`` or ``onnx``.
        task: A name from `bertcompress.tasks`.
        history: The steps that made the artifact.
        files: SHA-256 of each file in the folder, by relative name.
        runtime: Settings found best for running it (threads, batch), if any were measured.
    """

    kind: Kind
    task: str
    history: tuple[Step, ...]
    files: Mapping[str, str]
    runtime: Mapping[str, object] = field(default_factory=dict)


def library_versions(*names: str) -> dict[str, str]:
    """Returns the installed versions of the named distributions, without importing them."""
    versions = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


class StepTimer:
    """Makes the `Step` for a pass: started before the work, closed with the result."""

    def __init__(self, before: Artifact) -> None:
        self._before = before
        self._started = time.perf_counter()

    def step(
        self,
        name: str,
        settings: Mapping[str, object],
        after: Artifact,
        *,
        details: Mapping[str, object] | None = None,
    ) -> Step:
        """Returns the line of history for the work done since the timer was made."""
        return Step(
            name=name,
            settings=dict(settings),
            seconds=round(time.perf_counter() - self._started, 3),
            parameters_before=self._before.parameters,
            parameters_after=after.parameters,
            bytes_before=self._before.size_bytes,
            bytes_after=after.size_bytes,
            details=dict(details or {}),
            versions=library_versions("bertcompress", "torch", "transformers", "onnx", "onnxruntime"),
        )


def with_step(artifact: Artifact, step: Step) -> Artifact:
    """Returns the artifact with one more line of history."""
    return replace(artifact, history=(*artifact.history, step))


# --- folders ------------------------------------------------------------------------------------


@contextmanager
def new_folder(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Gives a temporary folder beside `target` that takes its place when the block succeeds.

    Args:
        target: The folder to make. Its parents are made if needed.
        overwrite: Whether an artifact folder already there may be replaced.

    Raises:
        UsageError: If `target` is there and is not ours to replace.
        PassError: If the disk is full or the folder can't be written.
    """
    check_writable(target, overwrite=overwrite)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise PassError(f"can't write to {target.parent}: {error.strerror or error}") from error
    try:
        yield staging
        staging.chmod(0o755)
        _replace_folder(staging, target)
    except OSError as error:
        raise PassError(
            f"could not write {target}: {error.strerror or error}; nothing was kept"
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def check_writable(target: Path, *, overwrite: bool) -> None:
    """Fails unless `target` can be made or is an artifact that may be replaced."""
    if not target.exists():
        return
    if not target.is_dir():
        raise UsageError(f"{target} is a file; give a folder with -o")
    if not any(target.iterdir()):
        return
    if not (target / MANIFEST_NAME).is_file():
        raise UsageError(
            f"{target} holds files that bertcompress did not write; give another folder with -o"
        )
    if not overwrite:
        raise UsageError(f"{target} is there already; add --overwrite or give another folder")


def _replace_folder(staging: Path, target: Path) -> None:
    if target.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
        os.replace(target, old / "old")
        os.replace(staging, target)
        shutil.rmtree(old, ignore_errors=True)
        return
    os.replace(staging, target)


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
    target = Path(folder)
    with new_folder(target, overwrite=overwrite) as staging:
        if isinstance(artifact, Checkpoint):
            artifact.model.save_pretrained(staging)
        else:
            artifact.config.save_pretrained(staging)
            _write_graph(artifact.graph, staging / ONNX_NAME)
        artifact.tokenizer.save_pretrained(staging)
        for name, content in artifact.side_files.items():
            (staging / name).parent.mkdir(parents=True, exist_ok=True)
            (staging / name).write_bytes(content)
        (staging / "README.md").write_text(model_card(artifact), encoding="utf-8")
        _write_manifest(artifact, staging)
    return target


def _write_graph(graph: onnx.ModelProto, path: Path) -> None:
    import onnx

    path.parent.mkdir(parents=True)
    onnx.save_model(graph, str(path))


def _write_manifest(artifact: Artifact, folder: Path) -> None:
    manifest = {
        "format": FORMAT_VERSION,
        "kind": artifact.kind,
        "task": artifact.task,
        "history": [asdict(step) for step in artifact.history],
        "files": {
            path.relative_to(folder).as_posix(): _sha256(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        },
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    (folder / MANIFEST_NAME).write_text(text, encoding="utf-8")


def read_manifest(folder: Path) -> Manifest | None:
    """Reads ``bertcompress.json``.

    Returns:
        None if the folder has none (a plain Transformers folder).

    Raises:
        LoadError: If it can't be read or was written by a newer version.
    """
    path = folder / MANIFEST_NAME
    if not path.is_file():
        return None
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw["format"] > FORMAT_VERSION:
            raise LoadError(
                f"{path} has format {raw['format']}, this bertcompress reads up to "
                f"{FORMAT_VERSION}; type: pip install --upgrade bertcompress"
            )
        return Manifest(
            kind=raw["kind"],
            task=raw["task"],
            history=tuple(Step(**step) for step in raw["history"]),
            files=raw["files"],
            runtime=raw.get("runtime", {}),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise LoadError(f"{path} is damaged ({error}); make the artifact again") from error


def verify(folder: Path, manifest: Manifest) -> None:
    """Fails with a LoadError that names the first file whose hash differs from the manifest's."""
    for name, expected in manifest.files.items():
        path = folder / name
        if name == "README.md":
            continue  # people edit their model cards
        if not path.is_file():
            raise LoadError(f"{path} is missing; make the artifact again")
        if _sha256(path) != expected:
            raise LoadError(
                f"{path} is not the file that was written (its SHA-256 differs from "
                f"{MANIFEST_NAME}); copy it again or make the artifact again"
            )


def kind_of(folder: Path) -> Kind:
    """Tells whether a folder holds a checkpoint or a graph, by its manifest or its files."""
    manifest = read_manifest(folder)
    if manifest is not None:
        return manifest.kind
    if (folder / ONNX_NAME).is_file() and not any(folder.glob("*.safetensors")):
        return "onnx"
    return "checkpoint"


def artifact_bytes(folder: Path) -> int:
    """Returns the bytes of what a runtime loads: the graph, or the checkpoint's weights."""
    graph = folder / ONNX_NAME
    if kind_of(folder) == "onnx":
        return graph.stat().st_size
    weights = [*folder.glob("*.safetensors"), *folder.glob("pytorch_model*.bin")]
    return sum(path.stat().st_size for path in weights)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def model_card(artifact: Artifact) -> str:
    """Returns the README.md of an artifact folder: what it is and how it was made."""
    lines = [
        "---",
        f"pipeline_tag: {artifact.task}",
        "library_name: transformers",
        "tags: [bertcompress, onnx]" if artifact.kind == "onnx" else "tags: [bertcompress]",
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
    how = (
        "`onnx/model.onnx` runs in stock ONNX Runtime; inputs `input_ids`, `attention_mask`, "
        "`token_type_ids`, int64 [batch, sequence]."
        if artifact.kind == "onnx"
        else "Loads with `transformers`; if `config.json` has an `auto_map`, either "
        "`import bertcompress` first or pass `trust_remote_code=True`."
    )
    limits = (
        "Figures belong in the report that `bertcompress bench` writes: measure on your own "
        "hardware and data before you rely on this model."
    )
    return "\n".join([*lines, "", how, "", limits, ""])


def _settings_text(settings: Mapping[str, object]) -> str:
    shown = {key: value for key, value in settings.items() if value is not None}
    return ", ".join(f"{key} {value}" for key, value in shown.items())
