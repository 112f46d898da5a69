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

from bertcompress.bert.answers import TEMPERATURE, answer_loss, relative_error

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

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
    outputs = student(**inputs, output_hidden_states=True)
    real = batch["attention_mask"].bool()
    problem = teacher.config.problem_type
    loss = answer_loss(wanted, outputs, real, temperature=temperature, problem=problem)
    if hidden:
        loss = loss + hidden * hidden_loss(wanted.hidden_states, outputs.hidden_states, real)
    return loss


def hidden_loss(
    wanted: tuple[torch.Tensor, ...], got: tuple[torch.Tensor, ...], real: torch.Tensor
) -> torch.Tensor:
    """Returns the mean over layers of the hidden states' relative squared error."""
    import torch

    pairs = zip(wanted[1:], got[1:], strict=True)  # the embeddings are the same
    return torch.stack([relative_error(goal[real], state[real]) for goal, state in pairs]).mean()
