"""Torch: runs checkpoints, on the CPU as the reference and the baseline, or on an NVIDIA GPU.

On the CPU the model runs in eager mode, as everybody runs it. On a GPU, `TorchSettings` say what is
made of it: half precision, CUDA graphs for small batches, no padding, 8 bits. A float32 product on
a GPU is float32: TF32, which rounds its factors to 10 bits, is off.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bert.families import input_names, longest_text, pad_token_of
from bertcompress.bert.masks import mask_for
from bertcompress.errors import MissingHardwareError, RunError, UsageError
from bertcompress.machine.gpus import require_gpu
from bertcompress.runtimes.base import Arrays, CheckedRuntime, token_inputs
from bertcompress.runtimes.buckets import bucket_of, cut, padded, shape_of
from bertcompress.runtimes.torch.graphs import CudaRecorder, RecordedRuns, Recorder
from bertcompress.runtimes.torch.settings import TORCH_RUNTIMES, TorchSettings

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

OUTPUT_NAMES = ("logits", "start_logits", "end_logits", "last_hidden_state")
"""Outputs that tasks know; what else a model returns is left out."""

_CPU = TorchSettings()

Tensors = Mapping[str, "torch.Tensor"]


class TorchRuntime(CheckedRuntime):
    """Runs a checkpoint, or a model in memory.

    Args:
        model: The checkpoint's folder, or the model itself (in evaluation mode).
        threads: Threads of one run; set for the whole process, as torch has it.
        settings: The device, and what is made of the model.
        recorder: Makes what records CUDA graphs; another one on devices without them.
        task: What a folder is loaded for, where it does not say it itself.

    Raises:
        UsageError: If CUDA graphs are asked for on a CPU.
    """

    library, runs = "torch", "the model"
    casts_integers = one_shape = True

    def __init__(
        self,
        model: Path | PreTrainedModel,
        *,
        threads: int,
        settings: TorchSettings = _CPU,
        recorder: Callable[[], Recorder] = CudaRecorder,
        task: str | None = None,
    ) -> None:
        if settings.graphs and settings.device == "cpu" and recorder is CudaRecorder:
            raise UsageError("CUDA graphs need the device cuda")
        super().__init__()
        self.needs_padding = not settings.packed
        self.name = _name_of(settings)
        self._source = model
        self._task = task
        self._threads = threads
        self._settings = settings
        self._recorder = recorder
        self._forward: Callable[[Tensors], Tensors] | None = None
        self._recorded: RecordedRuns | None = None
        self._packed: Any = None
        self._padding = 0
        self._before = contextlib.ExitStack()

    def __enter__(self) -> Self:
        import torch

        settings = self._settings
        if settings.device == "cuda":
            check_cuda(self.name, settings)
        with contextlib.ExitStack() as before:
            before.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_num_threads(self._threads)
            if settings.device == "cuda":
                before.callback(torch.cuda.empty_cache)
                rounding = torch.get_float32_matmul_precision()
                before.callback(torch.set_float32_matmul_precision, rounding)
                torch.set_float32_matmul_precision("highest")
            self._open()
            self._before = before.pop_all()
        return self

    def _open(self) -> None:
        settings, model = self._settings, self._made()
        self.longest = longest_text(model.config)
        self._padding = pad_token_of(model.config)
        self._forward = _forward_of(model, settings)
        if settings.graphs:
            self._recorded = RecordedRuns(self._forward, self._recorder())
        inputs = token_inputs(input_names(model.config))
        ids = np.zeros((1, 2), dtype=np.int64)
        feed = {"input_ids": ids, "attention_mask": ids + 1, "token_type_ids": ids}
        outputs = self._run({spec.name: feed[spec.name] for spec in inputs})
        self._open_for(inputs, outputs)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()
        self._forward, self._recorded, self._packed = None, None, None
        self._before.close()

    def _run(self, feed: Arrays) -> dict[str, NDArray[np.generic]]:
        import torch

        assert self._forward is not None
        assert self.longest is not None
        given = shape_of(feed)
        bucket = None
        if self._recorded is not None:
            bucket = bucket_of(*given, longest=self.longest, least_tokens=self._least_tokens)
        taken = feed if bucket is None else padded(feed, bucket, pad_token_id=self._padding)
        tensors = {name: torch.from_numpy(np.asarray(values)) for name, values in taken.items()}
        if self._packed is not None:
            from bertcompress.runtimes.torch.packed import packing_of

            self._packed.packing = packing_of(feed["attention_mask"], self._settings.device)
        with torch.inference_mode():
            if bucket is not None and self._recorded is not None:
                return cut(_arrays(self._recorded(tensors)), given, bucket)
            device = self._settings.device
            return _arrays(self._forward({name: one.to(device) for name, one in tensors.items()}))

    @property
    def _least_tokens(self) -> int:
        from bertcompress.runtimes.torch.eight_bits import LEAST_TOKENS

        return LEAST_TOKENS if self._settings.eight_bits else 1

    def _made(self) -> PreTrainedModel:
        """Returns the model as the settings want it; one in memory stays as it was."""
        import torch

        settings = self._settings
        own: Any = _loaded(self._source, self.name, self._task)
        if settings in (_CPU, TorchSettings(compiled=True)):
            return cast("PreTrainedModel", own)
        if not isinstance(self._source, Path):
            own = copy.deepcopy(own)
        own = own.to(device=settings.device, dtype=getattr(torch, settings.dtype))
        if settings.eight_bits is not None:
            from bertcompress.runtimes.torch.eight_bits import quantize_layers

            on_gpu = settings.device == "cuda"
            capability = torch.cuda.get_device_capability() if on_gpu else None
            quantize_layers(own, settings.eight_bits, capability=capability)
        if settings.packed:
            from bertcompress.runtimes.torch.packed import (
                attend_each,
                pack_encoder,
                varlen_attention,
            )

            attend = varlen_attention() if settings.device == "cuda" else attend_each
            self._packed = pack_encoder(own, attend)
        return cast("PreTrainedModel", own)


def check_cuda(runtime: str, settings: TorchSettings) -> None:
    """Fails if torch can't run on a GPU as the settings ask.

    Args:
        runtime: The runtime's name, for messages.
        settings: With the device ``cuda``.

    Raises:
        MissingHardwareError: If there is no GPU, torch can't use it, or it has no such products.
        MissingDependencyError: If torchao is needed and not installed.
    """
    gpu = require_gpu(runtime)
    import torch

    if torch.version.cuda is None:
        raise MissingHardwareError(
            f"{runtime} needs a torch made for CUDA, this one ({torch.__version__}) is not; type: "
            "pip install --force-reinstall torch --index-url https://download.pytorch.org/whl/cu130"
        )
    if not torch.cuda.is_available():
        raise MissingHardwareError(
            f"{runtime} can't use the {gpu.name}: torch is made for CUDA {torch.version.cuda}, the "
            f"driver runs up to {gpu.driver_cuda[0]}.{gpu.driver_cuda[1]}; update the driver"
        )
    if settings.eight_bits is not None:
        from bertcompress.runtimes.torch.eight_bits import check_capability, import_torchao

        check_capability(settings.eight_bits, gpu.capability)
        import_torchao(settings.eight_bits)


def _name_of(settings: TorchSettings) -> str:
    named = {one: name for name, one in TORCH_RUNTIMES.items()}
    return named.get(settings, f"torch-{settings.device}")


def _forward_of(model: PreTrainedModel, settings: TorchSettings) -> Callable[[Tensors], Tensors]:
    """Returns the model as a function of tensors; recorded ones get masks nobody looks into."""
    import torch

    called: Any = torch.compile(model, dynamic=True) if settings.compiled else model
    widened = mask_for(model) if settings.graphs or settings.packed else None

    def forward(tensors: Tensors) -> Tensors:
        given = dict(tensors)
        if widened is not None:
            given["attention_mask"] = widened(given["attention_mask"])
        answer = called(**given)
        return {name: answer[name] for name in OUTPUT_NAMES if name in answer}

    return forward


def _arrays(tensors: Tensors) -> dict[str, NDArray[np.generic]]:
    """Returns the outputs as float32 arrays on the CPU; waits for the GPU."""
    return {name: np.array(values.float().cpu().numpy()) for name, values in tensors.items()}


def _loaded(source: Path | PreTrainedModel, runtime: str, task: str | None) -> PreTrainedModel:
    if not isinstance(source, Path):
        return source
    from bertcompress.bert.loading.load import load

    checkpoint = load(source, task=task)
    if not isinstance(checkpoint, Checkpoint):
        raise RunError(f"{source} holds a graph, which {runtime} can't run")
    return checkpoint.model
