"""Sweeps all sub-layers of a model, one Hessian in memory at a time, and goes on after a stop.

What is finished can be kept in a folder: what errors cost (`curvature.py`) in one file, and each
sub-layer's sweep (`brain_surgeon.py`) in one. Every file is a safetensors file, written whole or
not at all. It carries the fingerprint of what it depends on, model, texts and settings, so that
files of something else, and damaged ones, are passed over and replaced.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bertcompress.bert.batch_losses import Batch
from bertcompress.bert.pruning.brain_surgeon import DAMPING, Sweep, sweep
from bertcompress.bert.pruning.curvature import PLAIN, ErrorCosts, error_costs, hessians
from bertcompress.bert.pruning.refit import TokenWeights
from bertcompress.bert.pruning.sublayers import UNITS, Key, Unit, projections_of, sublayers_of
from bertcompress.errors import PassError
from bertcompress.files import write_whole
from bertcompress.progress import Progress, silent

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

_FINGERPRINT = "fingerprint"
_METHOD = 4
"""Rises when the same inputs would give other sweeps, so that none of before are taken."""


@dataclass(frozen=True)
class Swept:
    """What is known of a model's sub-layers before units are chosen.

    Attributes:
        sweeps: The removal of all units of each sub-layer that was asked for and has units.
        weights: What an error at each position costs, of all sub-layers; for
            `bertcompress.bert.pruning.refit.refit`.
    """

    sweeps: dict[Key, Sweep]
    weights: TokenWeights


def swept(
    model: PreTrainedModel,
    batches: Sequence[Batch],
    *,
    heads: bool,
    ffn: bool,
    seed: int = 0,
    state: Path | None = None,
    progress: Progress = silent,
) -> Swept:
    """Measures what errors cost, and sweeps the sub-layers; an output's error counts as it costs.

    Beside the model there are in memory: the hidden states of all batches, one Hessian, and what
    its sweep needs, another three matrices of its size.

    Args:
        model: In evaluation mode; left as it was.
        batches: Real texts; targets are not looked at.
        heads: Whether attention is swept.
        ffn: Whether FFNs are swept.
        seed: Draws the targets of the curvature.
        state: Where finished sub-layers are kept and found again; None keeps nothing.
        progress: Progress callback: the samples done, then the sub-layers done.

    Raises:
        PassError: If there are no samples, or activations or gradients are not finite, or a file
            can't be written.
    """
    parts = FinishedParts(state, lambda: _fingerprint(model, batches, seed))
    costs = _read_costs(parts, model, batches)
    if costs is None:
        costs = error_costs(model, batches, seed=seed, progress=progress)
        parts.write("costs", _tensors_of(costs))
    units: list[Unit] = [unit for unit, asked in zip(UNITS, (heads, ffn), strict=True) if asked]
    wanted = projections_of(model, units)
    sweeps = {key: kept for key in wanted if (kept := _read_sweep(parts, key)) is not None}
    missing = {key for key in wanted if key not in sweeps}
    progress("sweep", len(sweeps), len(wanted))
    for key, hessian in hessians(model, batches, costs, missing):
        dense, width = wanted[key]
        sweeps[key] = sweep(costs[key].weighed(dense.weight), hessian, width=width)
        parts.write(_name(key), _tensors_of_sweep(sweeps[key]))
        progress("sweep", len(sweeps), len(wanted))
    return Swept(
        {key: sweeps[key] for key in wanted}, {key: cost.tokens for key, cost in costs.items()}
    )


class FinishedParts:
    """The parts of one run.

    Args:
        folder: Where they are, made if needed; None keeps nothing and finds nothing.
        fingerprint: Gives the fingerprint of all that the parts depend on; is asked at most once,
            and never without a folder.
    """

    def __init__(self, folder: Path | None, fingerprint: Callable[[], str]) -> None:
        self._folder = folder
        self._ask = fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        return self._ask()

    def read(self, name: str) -> dict[str, torch.Tensor] | None:
        """Returns a finished part's tensors, or None."""
        from safetensors import SafetensorError, safe_open

        if self._folder is None:
            return None
        path = self._folder / f"{name}.safetensors"
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                if (file.metadata() or {}).get(_FINGERPRINT) != self._fingerprint:
                    return None
                return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no dict
        except (SafetensorError, OSError):
            return None

    def write(self, name: str, tensors: Mapping[str, torch.Tensor]) -> None:
        """Keeps a part.

        Raises:
            PassError: If it can't be written; nothing is left behind then.
        """
        from safetensors.torch import save

        if self._folder is None:
            return
        path = self._folder / f"{name}.safetensors"
        try:
            write_whole(path, save(dict(tensors), {_FINGERPRINT: self._fingerprint}))
        except OSError as error:
            raise PassError(
                f"could not keep {path}: {error.strerror or error}; what was kept before is "
                "still there"
            ) from error


def _name(key: Key) -> str:
    return f"{key[0]}-{key[1]:02d}"


def _tensors_of(costs: Mapping[Key, ErrorCosts]) -> dict[str, torch.Tensor]:
    import torch

    tensors: dict[str, torch.Tensor] = {}
    for key, cost in costs.items():
        tensors[f"{_name(key)}.tokens"] = torch.cat([each.flatten() for each in cost.tokens])
        tensors[f"{_name(key)}.scale"] = torch.tensor([cost.scale], dtype=torch.float64)
        tensors[f"{_name(key)}.rows"] = cost.rows
    return tensors


def _read_costs(
    parts: FinishedParts, model: PreTrainedModel, batches: Sequence[Batch]
) -> dict[Key, ErrorCosts] | None:
    import torch

    kept = parts.read("costs")
    if kept is None:
        return None
    shapes = [batch.inputs["attention_mask"].shape for batch in batches]
    costs: dict[Key, ErrorCosts] = {}
    for key in sublayers_of(model):
        flat = torch.split(kept[f"{_name(key)}.tokens"], [shape.numel() for shape in shapes])
        costs[key] = ErrorCosts(
            [torch.reshape(tokens, shape) for tokens, shape in zip(flat, shapes, strict=True)],
            float(kept[f"{_name(key)}.scale"]),
            kept[f"{_name(key)}.rows"],
        )
    return costs


def _tensors_of_sweep(done: Sweep) -> dict[str, torch.Tensor]:
    import torch

    return {
        "order": torch.tensor(done.order),
        "errors": torch.from_numpy(done.errors),
        "alone": torch.from_numpy(done.unit_errors),
    }


def _read_sweep(parts: FinishedParts, key: Key) -> Sweep | None:
    kept = parts.read(_name(key))
    if kept is None:
        return None
    order = tuple(kept["order"].tolist())
    return Sweep(order, kept["errors"].numpy(), kept["alone"].numpy())


def _deciding(batch: Batch, hidden: int) -> dict[str, torch.Tensor]:
    """Returns a batch's inputs, and what its pooling makes of some values."""
    import torch

    if batch.pool is None:
        return dict(batch.inputs)
    size = batch.inputs["input_ids"].shape
    ramp = torch.arange(math.prod(size) * hidden, dtype=torch.float32)
    return {**batch.inputs, "pooled": batch.pool(ramp.sin().reshape(*size, hidden))}


def _fingerprint(model: PreTrainedModel, batches: Sequence[Batch], seed: int) -> str:
    """Returns the SHA-256 of all that a sweep depends on."""
    import torch

    config = model.config.to_dict()
    for name in ("_name_or_path", "transformers_version"):  # where from, not what
        config.pop(name, None)
    settings = [_METHOD, torch.__version__, type(model).__name__, config, seed, DAMPING, PLAIN]
    settings.append([batch.held_out for batch in batches])
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for tensors in (
        model.state_dict(),
        *(_deciding(batch, model.config.hidden_size) for batch in batches),
    ):
        for name, tensor in sorted(tensors.items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
