"""A chain of passes: checked when it is built, resumed where it stopped.

Every finished step can be kept in a `StepStore`. A step is found again by what made it, not by its
name or date: the hash of the step before it, the pass's class and settings (examples by their
content), and the version of bertcompress. Change a setting, and that step and all after it run
anew; the steps before it do not.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bertcompress.artifacts.artifact import Artifact, Checkpoint, library_versions, save
from bertcompress.bert.loading.load import load
from bertcompress.errors import BertCompressError, LoadError, UnexpectedPassError, UsageError
from bertcompress.graph.fingerprint import weights_fingerprint
from bertcompress.passes.base import AnyPass
from bertcompress.passes.context import Context
from bertcompress.passes.settings import settings_of

WORK = "work-"
"""How the folders begin in which a step that takes long keeps what it needs to go on."""
_KINDS = {"checkpoint": "a checkpoint", "onnx": "a graph", "engine": "an engine"}
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class PlannedStep:
    """One step of a pipeline, not run yet.

    Attributes:
        name: The pass's class.
        settings: Its settings as JSON values.
        finished: Whether the store has its result.
    """

    name: str
    settings: dict[str, object]
    finished: bool


class StepStore:
    """Finished steps in a folder, one artifact folder each, called by the hash of what made it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def has(self, key: str) -> bool:
        """Says whether the step is there."""
        return (self._folder / key).is_dir()

    def get(self, key: str) -> Artifact | None:
        """Returns a finished step; one that is damaged is removed and counts as not there."""
        if not self.has(key):
            return None
        try:
            return load(self._folder / key)
        except LoadError as error:
            _LOGGER.info("finished step %s is damaged and runs again: %s", key, error)
            shutil.rmtree(self._folder / key)
            return None

    def put(self, key: str, artifact: Artifact) -> None:
        """Keeps a finished step."""
        save(artifact, self._folder / key, overwrite=True)


class Pipeline:
    """Passes in order.

    Args:
        passes: At least one.

    Raises:
        UsageError: If a pass can't take what the one before it gives.
    """

    def __init__(self, passes: Sequence[AnyPass]) -> None:
        self.passes = tuple(passes)
        if not self.passes:
            raise UsageError("a pipeline needs at least one pass")
        for number, (first, second) in enumerate(zip(self.passes, self.passes[1:], strict=False)):
            if first.produces != second.consumes:
                raise UsageError(
                    f"{_name(second)} (step {number + 2}) works on {_KINDS[second.consumes]}, but "
                    f"{_name(first)} (step {number + 1}) gives {_KINDS[first.produces]}; "
                    + _way_out(first, second)
                )

    def __call__(self, artifact: Artifact, context: Context | None = None) -> Artifact:
        """Runs all passes and returns the last one's artifact."""
        return self.run(artifact, context)

    def run(
        self,
        artifact: Artifact,
        context: Context | None = None,
        *,
        store: StepStore | None = None,
    ) -> Artifact:
        """Runs the passes that are not finished yet.

        Args:
            artifact: What the first pass takes.
            context: What the passes are given. Each gets a state folder of its own in the
                context's, and the artifact as the original if the context knows no other.
            store: Where finished steps are kept and looked for.

        Raises:
            UsageError: If the first pass can't take the artifact.
            UnexpectedPassError: If an error that nobody foresaw comes out of a pass.
        """
        self._check_start(artifact)
        context = context or Context()
        if isinstance(artifact, Checkpoint) and not context.knows_original:
            context = context.changed(original=partial(_same, artifact))
        keys = self._keys(artifact, context)
        start = 0
        if store is not None:
            for number in range(len(keys), 0, -1):
                finished = store.get(keys[number - 1])
                if finished is not None:
                    artifact, start = finished, number
                    break
        for number, pass_ in enumerate(self.passes[start:], start):
            try:
                artifact = pass_(artifact, _place_of_its_own(context, keys[number]))
            except BertCompressError:
                raise
            except Exception as error:  # whatever it is, its place in the chain belongs to it
                raise UnexpectedPassError(self._place(number), error) from error
            if store is not None:
                store.put(keys[number], artifact)
        return artifact

    def plan(
        self, artifact: Artifact, context: Context | None = None, *, store: StepStore | None = None
    ) -> tuple[PlannedStep, ...]:
        """Returns the steps without running them, and which are finished in the store."""
        keys = self._keys(artifact, context or Context())
        return tuple(
            PlannedStep(_name(pass_), settings_of(pass_), store is not None and store.has(key))
            for key, pass_ in zip(keys, self.passes, strict=True)
        )

    def _check_start(self, artifact: Artifact) -> None:
        first = self.passes[0]
        if artifact.kind != first.consumes:
            raise UsageError(
                f"{_name(first)} works on {_KINDS[first.consumes]} and was given "
                f"{_KINDS[artifact.kind]}"
                + ("; put ExportOnnx before it" if first.consumes == "onnx" else "")
            )

    def _place(self, number: int) -> str:
        """Names a pass, its place, and those before it, finished in this run or an earlier one."""
        before = ", ".join(map(_name, self.passes[:number]))
        after = f", after {before}" if before else ""
        return f"{_name(self.passes[number])} (step {number + 1} of {len(self.passes)}{after})"

    def _keys(self, artifact: Artifact, context: Context) -> list[str]:
        keys = []
        key = content_hash(artifact)
        for pass_ in self.passes:
            what = [key, _name(pass_), settings_of(pass_), pass_.identity(context)]
            text = json.dumps([*what, library_versions("bertcompress")], sort_keys=True)
            key = hashlib.sha256(text.encode()).hexdigest()[:20]
            keys.append(key)
        return keys


def content_hash(artifact: Artifact) -> str:
    """Returns a hash of the weights, the configuration, the tokenizer and the side files."""
    digest = hashlib.sha256()
    if isinstance(artifact, Checkpoint):
        for name, tensor in sorted(artifact.model.state_dict().items()):
            digest.update(f"{name} {tuple(tensor.shape)}".encode())
            digest.update(tensor.contiguous().numpy().tobytes())
    else:
        digest.update(weights_fingerprint(artifact.graph).encode())
    settings = artifact.config.to_dict()
    for passing in ("_name_or_path", "transformers_version", "dtype", "torch_dtype"):
        settings.pop(passing, None)
    digest.update(json.dumps(settings, sort_keys=True, default=str).encode())
    tokenizer = json.loads(artifact.tokenizer.backend_tokenizer.to_str())
    for last_call in ("truncation", "padding"):
        tokenizer.pop(last_call, None)
    digest.update(json.dumps(tokenizer, sort_keys=True).encode())
    for name, content in sorted(artifact.side_files.items()):
        digest.update(name.encode() + content)
    return digest.hexdigest()[:20]


def _same(checkpoint: Checkpoint) -> Checkpoint:
    return checkpoint


def _place_of_its_own(context: Context, key: str) -> Context:
    if context.state is None:
        return context
    return context.changed(state=context.state / f"{WORK}{key[:12]}")


def _name(pass_: AnyPass) -> str:
    return type(pass_).__name__


def _way_out(first: AnyPass, second: AnyPass) -> str:
    if first.produces == "engine":
        return f"put {_name(first)} last"
    if second.consumes == "onnx":
        return f"put ExportOnnx between {_name(first)} and {_name(second)}"
    return f"put {_name(second)} before the export"
