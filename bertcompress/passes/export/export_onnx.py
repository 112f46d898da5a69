"""Exports a checkpoint to an ONNX graph, and proves that the graph answers as the checkpoint does.

**Which exporter.** ``dynamo`` (``torch.export``, opset 23) writes scaled dot-product attention as
the standard operator ``Attention``, which ONNX Runtime runs as one kernel; it is right for layers
with unequal numbers of heads, where the older graph patterns stamp one number on all. See
``docs/adr/0003-export-path.md`` for the measurement. ``optimum`` is there for those who need the
very graph that Optimum writes.

**The mask.** Transformers would export a subgraph that builds the attention mask; given a boolean
mask ``[batch, 1, query, key]``, it passes it on, and the graph has a ``Cast`` and an ``Expand``
instead. (The standard lets the query axis be broadcast; ONNX Runtime's CPU kernel does not.)
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from bertcompress.artifacts.artifact import Checkpoint, Kind, OnnxModel
from bertcompress.bert.families import family_of, input_names
from bertcompress.bert.masks import mask_for
from bertcompress.bert.surgery import stock_config
from bertcompress.errors import ExportError, MissingDependencyError, UsageError
from bertcompress.graph.kernels import count_kernels
from bertcompress.graph.tidy import tidy
from bertcompress.inference.deployed import task_for
from bertcompress.parity.outputs import ParityFigures, check_parity
from bertcompress.passes.base import Pass
from bertcompress.passes.context import Context
from bertcompress.passes.export.embedding_model import OUTPUT, embedding_model
from bertcompress.passes.settings import check_choice
from bertcompress.runtimes.ort.runtime import import_onnxruntime, optimized_graph
from bertcompress.tasks import SentenceEmbedding

if TYPE_CHECKING:
    import onnx
    from transformers import PreTrainedModel

Exporter = Literal["dynamo", "optimum"]
EXPORTERS: tuple[Exporter, ...] = ("dynamo", "optimum")
OPSETS = {"dynamo": (18, 23), "optimum": (14, 18)}
"""Lowest and highest opset of each exporter; the highest is the default."""

_ROOT = "model."


@dataclass(frozen=True)
class ExportDetails:
    """What an export tells.

    Attributes:
        opset: The ONNX operator set that was written.
        parity: How far the graph's answers are from the checkpoint's.
        kernels: What ONNX Runtime runs, by name.
    """

    opset: int
    parity: ParityFigures
    kernels: Mapping[str, int]


@dataclass(frozen=True)
class ExportOnnx(Pass[Checkpoint, OnnxModel]):
    """Exports to ONNX with dynamic batch and sequence, and checks parity.

    Attributes:
        exporter: ``dynamo`` or ``optimum``.
        opset: The ONNX operator set; None takes the exporter's best.
        tolerance: The largest difference to torch that is allowed, relative to the largest output
            (at least 1); float32 sums in another order differ by about 1e-6.
        seed: Draws the inputs of the parity check.
        pooled: Whether an embedding's pooling and what follows it are in the graph, which then
            gives ``sentence_embedding`` and not ``last_hidden_state``.
    """

    exporter: Exporter = "dynamo"
    opset: int | None = None
    tolerance: float = 1e-4
    seed: int = 0
    pooled: bool = False

    consumes: ClassVar[Kind] = "checkpoint"
    produces: ClassVar[Kind] = "onnx"

    def __post_init__(self) -> None:
        check_choice("exporter", self.exporter, EXPORTERS)
        lowest, highest = OPSETS[self.exporter]
        if self.opset is not None and not lowest <= self.opset <= highest:
            raise UsageError(
                f"opset must be {lowest} to {highest} for the exporter {self.exporter}, "
                f"got {self.opset}"
            )
        if self.pooled and self.exporter != "dynamo":
            raise UsageError("pooled is for the exporter dynamo; leave one of the two out")
        if self.tolerance <= 0:
            raise UsageError(f"tolerance must be above 0, got {self.tolerance:g}")

    def apply(self, checkpoint: Checkpoint, context: Context) -> tuple[OnnxModel, ExportDetails]:
        """Returns the graph.

        Raises:
            ExportError: If the exporter fails.
            ParityError: If the graph answers differently from the checkpoint.
            MissingDependencyError: If ONNX Runtime or the exporter is not installed.
        """
        import_onnxruntime("checking an exported graph")
        progress = context.progress
        opset = self.opset or OPSETS[self.exporter][1]
        progress("export", 0, 3)
        model: PreTrainedModel = _pooled(checkpoint) if self.pooled else checkpoint.model
        if self.exporter == "optimum":
            graph = _export_optimum(checkpoint, opset)
        elif self.pooled:
            graph = _export_dynamo(model, (OUTPUT,), opset, root=_ROOT * 2)
        else:
            graph = _export_dynamo(model, task_for(checkpoint).output_names, opset)
        progress("export", 1, 3)
        parity = check_parity(model, graph, tolerance=self.tolerance, seed=self.seed)
        progress("export", 2, 3)
        kernels = count_kernels(optimized_graph(graph))
        result = OnnxModel(
            graph=graph,
            config=stock_config(checkpoint.model),
            tokenizer=checkpoint.tokenizer,
            task=checkpoint.task,
            side_files=checkpoint.side_files,
        )
        progress("export", 3, 3)
        return result, ExportDetails(opset, parity.figures, kernels.counts)


def _pooled(checkpoint: Checkpoint) -> Any:
    """Returns the model with all that follows it.

    Raises:
        UsageError: It is no embedding, or leaves its prompt out.
    """
    task = task_for(checkpoint)
    if not isinstance(task, SentenceEmbedding):
        raise UsageError(f"--pooled is for feature-extraction, not for {task.name}; leave it out")
    return embedding_model(checkpoint.model, task, mask_for(checkpoint.model))


def _export_dynamo(
    model: PreTrainedModel, names: tuple[str, ...], opset: int, *, root: str = _ROOT
) -> onnx.ModelProto:
    import torch

    taken = input_names(model.config)
    wrapper = _wrap(model, names)
    # Tensors of their own: the exporter takes one object given twice for one input.
    ids = torch.arange(32).reshape(2, 16) % model.config.vocab_size
    mask, segments = torch.ones(2, 16, dtype=torch.long), torch.zeros(2, 16, dtype=torch.long)
    batch, sequence = torch.export.Dim("batch"), torch.export.Dim("sequence")
    axes = {0: batch, 1: sequence}
    has_segments = "token_type_ids" in taken
    try:
        with _quiet_exporter(), torch.no_grad():
            program = torch.onnx.export(
                wrapper,
                (ids, mask, segments if has_segments else None),
                dynamo=True,
                opset_version=opset,
                input_names=list(taken),
                output_names=list(names),
                dynamic_shapes=(axes, axes, axes if has_segments else None),
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise ExportError(f"torch.onnx can't export this model: {_first_line(error)}") from error
    if program is None:
        raise ExportError("torch.onnx returned no graph")
    return tidy(program.model_proto, root=root)


def _wrap(model: PreTrainedModel, output_names: tuple[str, ...]) -> Any:
    """Makes a module of positional inputs and a tuple of outputs around the model."""
    import torch
    from torch import Tensor, nn

    # What pools needs the plain mask, and widens it itself.
    expanded = mask_for(model) if OUTPUT not in output_names else lambda mask: mask
    family = family_of(model.config)
    one_segment = family.has_token_types and "token_type_ids" not in input_names(model.config)

    class Traced(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(
            self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None
        ) -> tuple[Tensor, ...]:
            inputs = {"input_ids": input_ids, "attention_mask": expanded(attention_mask)}
            if token_type_ids is not None:
                inputs["token_type_ids"] = token_type_ids
            elif one_segment:  # one row for all tokens, which the exporter folds
                inputs["token_type_ids"] = torch.zeros(1, 1, dtype=torch.long)
            outputs = self.model(**inputs)
            return tuple(outputs[name] for name in output_names)

    return Traced().eval()


@contextlib.contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Keeps the exporter's notes about torchvision and its own deprecations off the screen."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _export_optimum(checkpoint: Checkpoint, opset: int) -> onnx.ModelProto:
    try:
        from optimum.exporters.onnx import main_export
    except ImportError as error:
        raise MissingDependencyError("optimum-onnx", "optimum", "the exporter 'optimum'") from error
    import onnx

    if checkpoint.config.model_type != family_of(checkpoint.config).model_type:
        raise ExportError(
            "Optimum can't export a model with unequal layers; leave --exporter out to use dynamo"
        )
    with tempfile.TemporaryDirectory() as folder, _quiet_exporter():
        source, target = Path(folder) / "source", Path(folder) / "target"
        checkpoint.model.save_pretrained(source)
        checkpoint.tokenizer.save_pretrained(source)
        try:
            main_export(str(source), target, task=checkpoint.task, opset=opset, do_validation=False)
        except (RuntimeError, ValueError, KeyError) as error:
            raise ExportError(f"Optimum can't export this model: {_first_line(error)}") from error
        graph = onnx.load_model(str(target / "model.onnx"))
    return tidy(graph)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
