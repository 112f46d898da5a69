"""How alike two models answer the same texts, without labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bertcompress.bert.batch_losses import Batch

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


def agreement(original: PreTrainedModel, other: PreTrainedModel, batches: Sequence[Batch]) -> float:
    """Returns how alike the answers are, 1.0 where they are the same.

    That is the share of equal answers, where an answer is a class, a tag of a token, whether one of
    several labels holds, or one end of a span. Embeddings count by their cosine, a single number by
    one less its relative difference.

    Args:
        original: In evaluation mode.
        other: The same task and the same tokens.
        batches: Texts; targets are not looked at.
    """
    import torch

    alike = []
    with torch.inference_mode():
        for batch in batches:
            first, second = original(**batch.inputs), other(**batch.inputs)
            real = batch.inputs["attention_mask"].bool()
            problem = original.config.problem_type
            alike.append(alike_answers(first, second, real, problem))
    found = torch.cat(alike) if alike else torch.ones(1)
    return float(found.mean())


def alike_answers(
    first: Mapping[str, torch.Tensor],
    second: Mapping[str, torch.Tensor],
    real: torch.Tensor,
    problem: str | None,
) -> torch.Tensor:
    """Returns how alike each answer of a batch is, float32, 0 to 1 (embeddings -1 to 1).

    Args:
        first: A model's outputs by name: ``logits`` ``[batch, labels]`` or ``[batch, sequence,
            labels]``, ``start_logits`` and ``end_logits`` ``[batch, sequence]``, or
            ``last_hidden_state`` ``[batch, sequence, hidden]``.
        second: The other's.
        real: Which positions are no padding, bool ``[batch, sequence]``.
        problem: The configuration's ``problem_type``.
    """
    import torch
    from torch.nn import functional

    if "start_logits" in first:
        ends = [
            first[name].masked_fill(~real, -1e9).argmax(dim=-1)
            == second[name].masked_fill(~real, -1e9).argmax(dim=-1)
            for name in ("start_logits", "end_logits")
        ]
        return torch.cat(ends).float()
    if "logits" not in first:
        mask = real[:, :, None]
        sums = [(one["last_hidden_state"] * mask).sum(dim=1) for one in (first, second)]
        return functional.cosine_similarity(sums[0], sums[1], dim=-1)
    one, two = first["logits"], second["logits"]
    if one.dim() == 3:
        one, two = one[real], two[real]
    if one.shape[-1] == 1:
        return 1.0 - ((one - two).abs() / one.abs().clamp_min(1e-6)).clamp_max(1.0).flatten()
    if problem == "multi_label_classification":
        return ((one > 0) == (two > 0)).float().flatten()
    return (one.argmax(dim=-1) == two.argmax(dim=-1)).float()
