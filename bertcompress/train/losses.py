"""What a smaller model still answers differently from the model it was made from, as a loss.

No labels are looked at: the teacher's answers are the targets. Two terms are added,

- the answers: ``T^2 KL(teacher || student)`` of each answer, both softened by the temperature ``T``
  (Hinton, Vinyals and Dean 2015, arXiv:1503.02531); the squared error where a model gives a number
  or embeddings,
- the way there: the squared error of each real token's hidden states after each layer, relative to
  the teacher's own mean square. Pruning keeps the hidden size and the layers, so no map is needed
  (as Kurtic, Frantar and Alistarh 2023, arXiv:2302.04089, section 3.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

TEMPERATURE = 2.0
_NEVER = -1e9
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def distillation_loss(
    teacher: PreTrainedModel,
    student: Any,
    batch: Mapping[str, torch.Tensor],
    *,
    hidden: float = 1.0,
    temperature: float = TEMPERATURE,
) -> torch.Tensor:
    """Returns the loss, a scalar.

    Args:
        teacher: In evaluation mode; gets no gradient.
        student: The same task, hidden size and number of layers.
        batch: Padded inputs; targets in it are not looked at.
        hidden: The weight of the hidden states' term.
        temperature: Softens the answers' distributions.
    """
    import torch

    inputs = {name: batch[name] for name in INPUTS if name in batch}
    with torch.no_grad():
        wanted = teacher(**inputs, output_hidden_states=True)
    found = student(**inputs, output_hidden_states=True)
    real = batch["attention_mask"].bool()
    problem = teacher.config.problem_type
    loss = answer_loss(wanted, found, real, temperature=temperature, problem=problem)
    if hidden:
        loss = loss + hidden * hidden_loss(wanted.hidden_states, found.hidden_states, real)
    return loss


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
    if "logits" not in wanted:
        return _relative_error(wanted["last_hidden_state"][real], found["last_hidden_state"][real])
    goal, own = wanted["logits"], found["logits"]
    if goal.dim() == 3:
        goal, own = goal[real], own[real]
    if goal.shape[-1] == 1:
        return (goal - own).square().mean()
    if problem == "multi_label_classification":
        return _yes_or_no(goal, own, temperature)
    return _divergence(goal, own, temperature)


def hidden_loss(
    wanted: tuple[torch.Tensor, ...], found: tuple[torch.Tensor, ...], real: torch.Tensor
) -> torch.Tensor:
    """Returns the mean over layers of the hidden states' relative squared error."""
    import torch

    pairs = zip(wanted[1:], found[1:], strict=True)  # the embeddings are the same
    return torch.stack([_relative_error(goal[real], own[real]) for goal, own in pairs]).mean()


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


def _relative_error(goal: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    return (goal - own).square().mean() / goal.square().mean().clamp_min(1e-12)
