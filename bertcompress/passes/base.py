"""What a pass is: settings in a frozen dataclass, one artifact in, a new one out.

A pass's fields are its settings, and nothing else: what a run gives it (examples, ranges, a place
for its state) comes in a `Context`. ``__post_init__`` rejects settings that can't be meant, `check`
what the context lacks, both before anything is loaded. An author writes `apply`; the base checks
the kind of artifact, takes the time and adds the `Step`. A pass never changes its input, and gives
the same bytes for the same settings, seed and context.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, TypeVar, cast

from bertcompress.artifacts.artifact import Artifact, Kind, library_versions
from bertcompress.artifacts.manifest import Step
from bertcompress.artifacts.trained_rows import with_trained_rows
from bertcompress.codec import to_plain
from bertcompress.errors import PassError
from bertcompress.passes.context import Context
from bertcompress.passes.settings import Need, settings_of

Given = TypeVar("Given", bound=Artifact)
Made = TypeVar("Made", bound=Artifact)


@dataclass(frozen=True)
class NoDetails:
    """What a pass tells that has nothing to tell."""


class Pass(ABC, Generic[Given, Made]):
    """One change of an artifact; subclasses are frozen dataclasses of settings."""

    consumes: ClassVar[Kind]
    """The kind of artifact it takes."""

    produces: ClassVar[Kind]
    """The kind of artifact it gives."""

    trains: ClassVar[bool] = False
    """Whether weights follow from examples, which the artifact then knows as trained on."""

    @property
    def needs(self) -> tuple[Need, ...]:
        """What of the context changes the result, with these settings."""
        return ()

    def check(self, context: Context) -> None:
        """Refuses a context that lacks what these settings need; reads no examples.

        Raises:
            UsageError: What is missing, and what to type.
        """

    def identity(self, context: Context) -> dict[str, str]:
        """Returns what a finished step is known by, beside the settings."""
        return context.identity(self.needs)

    def __call__(self, artifact: Artifact, context: Context | None = None) -> Made:
        """Returns the changed artifact, with one more step of history.

        Raises:
            PassError: If the artifact is of another kind.
            UsageError: If the context lacks what the settings need.
            BertCompressError: As the pass says.
        """
        context = context or Context()
        if artifact.kind != self.consumes:
            raise PassError(_wrong_kind(self, artifact))
        self.check(context)
        started = time.perf_counter()
        result, details = self.apply(cast("Given", artifact), context)
        step = Step(
            name=type(self).__name__,
            settings=settings_of(self),
            seconds=round(time.perf_counter() - started, 3),
            parameters_before=artifact.parameters,
            parameters_after=result.parameters,
            bytes_before=artifact.size_bytes,
            bytes_after=result.size_bytes,
            details=cast("Mapping[str, object]", to_plain(details)),
            versions=library_versions(
                "bertcompress", "torch", "transformers", "onnx", "onnxruntime"
            ),
            data=self.identity(context),
        )
        side_files = self._side_files(result, context) if self.trains else result.side_files
        return replace(result, history=(*artifact.history, step), side_files=side_files)

    def _side_files(self, result: Made, context: Context) -> Mapping[str, bytes]:
        labelled = "labels" in self.needs
        examples = context.train if labelled else context.fitted
        if not examples:
            return result.side_files
        return with_trained_rows(
            result.side_files,
            examples,
            step=type(self).__name__,
            source=context.source,
            split=context.split,
        )

    @abstractmethod
    def apply(self, artifact: Given, context: Context) -> tuple[Made, object]:
        """Returns the changed artifact, and what is told of it: a dataclass of the pass's own."""


AnyPass = Pass[Any, Any]
"""A pass of a chain, whose kinds are compared when the chain is built."""


def _wrong_kind(pass_: Pass[Given, Made], artifact: Artifact) -> str:
    name = type(pass_).__name__
    if pass_.consumes == "checkpoint":
        last = artifact.history[-1].name if artifact.history else "none"
        return (
            f"{name} works on a checkpoint and was given a graph (the last step was {last}); prune "
            "and fine-tune before export"
        )
    given, way_out = "a checkpoint", "export it first"
    if artifact.kind == "engine":
        given, way_out = "an engine", "give the graph that it was made from, its source"
    return f"{name} works on a graph and was given {given}; {way_out}"
