"""How alike two models answer the same texts, without labels: by their outputs.

| what | of | unit |
|---|---|---|
| `agreement`, `alike_answers` | answers | share that stay the same; cosines, relative numbers |
| `answer_loss` | logits | nats (Kullback-Leibler, softened); single numbers: squared error |
| `relative_error` | hidden states, embeddings | squared error over the wanted values' squares |
| `outputs_agreement`, `outputs_divergence` | one text's outputs as arrays | as the two above |
| `bertcompress.bench.paired.logit_divergence` | logits of two runs, NumPy | nats, not softened |
| `bertcompress.parity.outputs.Parity.sqnr_db` | any outputs, NumPy | decibels |
| `bertcompress.tasks.same_answers` | decoded answers | same or not: 0.1 std, cosine 0.99 |

`agreement` counts answers that stay the same, `answer_loss` tells how far outputs are from each
other, which training can follow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bertcompress.bert.batch_losses import Batch

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

OutputArrays = Mapping[str, NDArray[np.generic]]

TEMPERATURE = 2.0
_NEVER = -1e9


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
            first, second = batch.answers(original), batch.answers(other)
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
            ``last_hidden_state`` ``[batch, sequence, hidden]``, or ``sentence_embedding``
            ``[batch, size]``.
        second: The other's.
        real: Which positions are no padding, bool ``[batch, sequence]``.
        problem: The configuration's ``problem_type``.
    """
    import torch
    from torch.nn import functional

    if "start_logits" in first:
        ends = [
            first[name].masked_fill(~real, _NEVER).argmax(dim=-1)
            == second[name].masked_fill(~real, _NEVER).argmax(dim=-1)
            for name in ("start_logits", "end_logits")
        ]
        return torch.cat(ends).float()
    if "sentence_embedding" in first:
        vectors = [one["sentence_embedding"] for one in (first, second)]
        return functional.cosine_similarity(vectors[0], vectors[1], dim=-1)
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


def answer_loss(
    wanted: Mapping[str, torch.Tensor],
    found: Mapping[str, torch.Tensor],
    real: torch.Tensor,
    *,
    temperature: float = TEMPERATURE,
    problem: str | None = None,
) -> torch.Tensor:
    """Returns the loss of the answers.

    Args:
        wanted: The teacher's outputs.
        found: The student's.
        real: Which positions are real tokens, bool ``[batch, sequence]``.
        temperature: Softens the distributions.
        problem: The configuration's ``problem_type``; several labels that each may hold are told
            by nothing else.
    """
    if "start_logits" in wanted:
        ends = [
            _divergence(
                wanted[name].masked_fill(~real, _NEVER),
                found[name].masked_fill(~real, _NEVER),
                temperature,
            )
            for name in ("start_logits", "end_logits")
        ]
        return (ends[0] + ends[1]) / 2
    if "sentence_embedding" in wanted:
        return relative_error(wanted["sentence_embedding"], found["sentence_embedding"])
    if "logits" not in wanted:
        return relative_error(wanted["last_hidden_state"][real], found["last_hidden_state"][real])
    goal, own = wanted["logits"], found["logits"]
    if goal.dim() == 3:
        goal, own = goal[real], own[real]
    if goal.shape[-1] == 1:
        return (goal - own).square().mean()
    if problem == "multi_label_classification":
        return _yes_or_no(goal, own, temperature)
    return _divergence(goal, own, temperature)


def outputs_agreement(
    first: OutputArrays, second: OutputArrays, *, problem: str | None
) -> torch.Tensor:
    """Returns `alike_answers` of one text's outputs, without batch axis and without padding."""
    one, other = _batch_of_one(first), _batch_of_one(second)
    return alike_answers(one, other, _all_real(one), problem)


def outputs_divergence(wanted: OutputArrays, found: OutputArrays, *, problem: str | None) -> float:
    """Returns `answer_loss` of one text's outputs, not softened."""
    one, other = _batch_of_one(wanted), _batch_of_one(found)
    return float(answer_loss(one, other, _all_real(one), temperature=1.0, problem=problem))


def _batch_of_one(outputs: OutputArrays) -> dict[str, torch.Tensor]:
    import torch

    return {name: torch.from_numpy(np.asarray(values))[None] for name, values in outputs.items()}


def _all_real(outputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Returns that no position is padding, bool ``[1, sequence]``."""
    import torch

    return torch.ones(next(iter(outputs.values())).shape[:2], dtype=torch.bool)


def _divergence(goal: torch.Tensor, own: torch.Tensor, temperature: float) -> torch.Tensor:
    from torch.nn import functional

    return temperature**2 * functional.kl_div(
        functional.log_softmax(own / temperature, dim=-1),
        functional.log_softmax(goal / temperature, dim=-1),
        reduction="batchmean",
        log_target=True,
    )


def _yes_or_no(goal: torch.Tensor, own: torch.Tensor, temperature: float) -> torch.Tensor:
    """Returns the divergence of labels that hold or not, each for itself, summed over labels."""
    import torch

    pairs = [torch.stack([one, torch.zeros_like(one)], dim=-1).flatten(0, 1) for one in (goal, own)]
    return _divergence(pairs[0], pairs[1], temperature) * goal.shape[-1]


def relative_error(goal: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """Returns the squared error relative to the goal's own mean square, a scalar."""
    return (goal - own).square().mean() / goal.square().mean().clamp_min(1e-12)
