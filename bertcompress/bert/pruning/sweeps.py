"""Sweeps all sub-layers of a model, one Hessian in memory at a time, and goes on after a stop.

What is finished can be kept in a folder: what errors cost (`bert/curvature.py`) in one file, and
each sub-layer's sweep (`bert/obs.py`) in one. Every file carries the fingerprint of what it depends
on, model, texts and settings, so that files of something else are passed over and replaced.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bertcompress.bert.batch_losses import Batch
from bertcompress.bert.pruning.curvature import PLAIN, ErrorCosts, error_costs, hessians
from bertcompress.bert.pruning.finished_parts import FinishedParts
from bertcompress.bert.pruning.obs import DAMPING, Sweep, sweep
from bertcompress.bert.pruning.refit import TokenWeights
from bertcompress.bert.pruning.sublayers import UNITS, Key, Unit, projections_of, sublayers_of
from bertcompress.progress import Progress, silent

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

_METHOD = 3
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
        progress: Is told the samples done, then the sub-layers done.

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
    sweeps = {key: one for key in wanted if (one := _read_sweep(parts, key)) is not None}
    missing = {key for key in wanted if key not in sweeps}
    progress("sweep", len(sweeps), len(wanted))
    for key, hessian in hessians(model, batches, costs, missing):
        dense, width = wanted[key]
        sweeps[key] = sweep(costs[key].weighed(dense.weight), hessian, width=width)
        parts.write(_name(key), _tensors_of_sweep(sweeps[key]))
        progress("sweep", len(sweeps), len(wanted))
    return Swept(
        {key: sweeps[key] for key in wanted}, {key: one.tokens for key, one in costs.items()}
    )


def _name(key: Key) -> str:
    return f"{key[0]}-{key[1]:02d}"


def _tensors_of(costs: Mapping[Key, ErrorCosts]) -> dict[str, torch.Tensor]:
    import torch

    found: dict[str, torch.Tensor] = {}
    for key, one in costs.items():
        found[f"{_name(key)}.tokens"] = torch.cat([each.flatten() for each in one.tokens])
        found[f"{_name(key)}.scale"] = torch.tensor([one.scale], dtype=torch.float64)
        found[f"{_name(key)}.rows"] = one.rows
    return found


def _read_costs(
    parts: FinishedParts, model: PreTrainedModel, batches: Sequence[Batch]
) -> dict[Key, ErrorCosts] | None:
    import torch

    found = parts.read("costs")
    if found is None:
        return None
    shapes = [batch.inputs["attention_mask"].shape for batch in batches]
    costs: dict[Key, ErrorCosts] = {}
    for key in sublayers_of(model):
        flat = torch.split(found[f"{_name(key)}.tokens"], [shape.numel() for shape in shapes])
        costs[key] = ErrorCosts(
            [torch.reshape(one, shape) for one, shape in zip(flat, shapes, strict=True)],
            float(found[f"{_name(key)}.scale"]),
            found[f"{_name(key)}.rows"],
        )
    return costs


def _tensors_of_sweep(one: Sweep) -> dict[str, torch.Tensor]:
    import torch

    return {
        "order": torch.tensor(one.order),
        "errors": torch.from_numpy(one.errors),
        "alone": torch.from_numpy(one.unit_errors),
    }


def _read_sweep(parts: FinishedParts, key: Key) -> Sweep | None:
    found = parts.read(_name(key))
    if found is None:
        return None
    order = tuple(found["order"].tolist())
    return Sweep(order, found["errors"].numpy(), found["alone"].numpy())


def _fingerprint(model: PreTrainedModel, batches: Sequence[Batch], seed: int) -> str:
    """Returns the SHA-256 of all that a sweep depends on."""
    import torch

    config = model.config.to_dict()
    for name in ("_name_or_path", "transformers_version"):  # where from, not what
        config.pop(name, None)
    settings = [_METHOD, torch.__version__, type(model).__name__, config, seed, DAMPING, PLAIN]
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for tensors in (model.state_dict(), *(batch.inputs for batch in batches)):
        for name, tensor in sorted(tensors.items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
