"""Torch in eager mode on the CPU: runs checkpoints, as the reference and the baseline."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from bertcompress.artifact import Checkpoint
from bertcompress.bert.families import input_names
from bertcompress.errors import RunError
from bertcompress.runtimes.base import Arrays

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

OUTPUT_NAMES = ("logits", "start_logits", "end_logits", "last_hidden_state")
"""Outputs that tasks know; what else a model returns is left out."""


class TorchRuntime:
    """Runs a checkpoint, or a model in memory.

    Args:
        model: The checkpoint's folder, or the model itself (in evaluation mode).
        threads: Threads of one run; set for the whole process, as torch has it.
        dtype: Of all weights and activations, by torch's name; outputs are float32 always.
        compiled: Whether ``torch.compile`` makes kernels for it, when it is first run.
    """

    name = "torch-cpu"

    def __init__(
        self,
        model: Path | PreTrainedModel,
        *,
        threads: int,
        dtype: str = "float32",
        compiled: bool = False,
    ) -> None:
        self._source = model
        self._threads = threads
        self._dtype = dtype
        self._compiled = compiled
        self._model: Callable[..., Mapping[str, torch.Tensor]] | None = None
        self._threads_before = 0
        self.inputs: tuple[str, ...] = ()
        self.outputs: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        import torch

        self._threads_before = torch.get_num_threads()
        torch.set_num_threads(self._threads)
        loaded: Any = _loaded(self._source)
        if self._dtype != "float32":
            own = loaded if isinstance(self._source, Path) else copy.deepcopy(loaded)
            loaded = own.to(getattr(torch, self._dtype))
        self._model = torch.compile(loaded, dynamic=True) if self._compiled else loaded
        self.inputs = input_names(loaded.config)
        ids = np.zeros((1, 2), dtype=np.int64)
        feed = {"input_ids": ids, "attention_mask": ids + 1, "token_type_ids": ids}
        self.outputs = tuple(self.run({name: feed[name] for name in self.inputs}))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        import torch

        torch.set_num_threads(self._threads_before)
        self._model = None

    def run(self, feed: Arrays) -> dict[str, NDArray[np.generic]]:
        """Runs one batch; the arrays returned are the caller's own."""
        import torch

        if self._model is None:
            raise RunError("the runtime is not open; use it in a 'with' block")
        tensors = {name: torch.from_numpy(np.asarray(values)) for name, values in feed.items()}
        with torch.inference_mode():
            answer = self._model(**tensors)
        return {name: answer[name].float().numpy() for name in OUTPUT_NAMES if name in answer}


def _loaded(source: Path | PreTrainedModel) -> PreTrainedModel:
    if not isinstance(source, Path):
        return source
    from bertcompress.bert.load import load

    checkpoint = load(source)
    if not isinstance(checkpoint, Checkpoint):
        raise RunError(f"{source} holds a graph, which torch-cpu can't run")
    return checkpoint.model
