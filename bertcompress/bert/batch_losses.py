"""One loss a sample, alike for gold answers and for answers drawn from the model itself.

Each is the negative log likelihood of the whole answer: the sum over a sentence's tags, the mean of
a span's two ends. Nothing is averaged over the batch and padding has no part in it, so a sample's
loss does not depend on what it is batched with; Transformers' own ``loss`` is a mean over a batch's
tokens and would weigh a sample by its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

_IGNORED = -100
_NEVER = -1e9


@dataclass(frozen=True)
class Batch:
    """One padded batch in torch.

    Attributes:
        inputs: int64 ``[batch, sequence]`` each, with an ``attention_mask``.
        targets: Gold targets as the model takes them; empty if the data has none.
        pool: Makes a text's vector of its token vectors, as the model's files say; None has no
            say in it.
        held_out: Whether it only checks what other batches fit.
    """

    inputs: Mapping[str, torch.Tensor]
    targets: Mapping[str, torch.Tensor]
    pool: Callable[[torch.Tensor], torch.Tensor] | None = None
    held_out: bool = False

    @property
    def size(self) -> int:
        """The number of samples."""
        return int(self.inputs["attention_mask"].shape[0])

    def answers(self, model: PreTrainedModel) -> Mapping[str, torch.Tensor]:
        """Returns a model's outputs by name; ``sentence_embedding`` where a text has a vector."""
        outputs: Mapping[str, torch.Tensor] = model(**self.inputs)
        if self.pool is None:
            return outputs
        return {"sentence_embedding": self.pool(outputs["last_hidden_state"])}


def sample_losses(model: PreTrainedModel, batch: Batch, generator: torch.Generator) -> torch.Tensor:
    """Returns each sample's loss, ``[batch]``: of its gold targets, or of drawn ones.

    Args:
        model: In evaluation mode.
        batch: What to run.
        generator: Draws a target for each sample where the batch has none.
    """
    outputs = batch.answers(model)
    mask = batch.inputs["attention_mask"]
    if "start_logits" in outputs:
        return _span_losses(outputs, batch, generator)
    if "sentence_embedding" in outputs:
        return _vector_losses(outputs["sentence_embedding"], None, generator)
    if "logits" not in outputs:
        return _vector_losses(_mean_pooled(outputs["last_hidden_state"], mask), None, generator)
    logits = outputs["logits"]
    labels = batch.targets.get("labels")
    if logits.dim() == 3:  # [batch, sequence, labels]
        drawn = labels if labels is not None else _draw(logits, generator)
        return _cross_entropy(logits, drawn.masked_fill(mask == 0, _IGNORED)).sum(dim=1)
    problem = _problem_of(model, logits, labels)
    if problem == "regression":
        return _vector_losses(logits, labels, generator)
    if problem == "multi_label_classification":
        return _multi_label_losses(logits, labels, generator)
    return _cross_entropy(logits, labels if labels is not None else _draw(logits, generator))


def _problem_of(model: PreTrainedModel, logits: torch.Tensor, labels: torch.Tensor | None) -> str:
    """Returns the kind of classification, by the rules of Transformers."""
    if model.config.problem_type:
        return str(model.config.problem_type)
    if logits.shape[-1] == 1:
        return "regression"
    if labels is not None and labels.is_floating_point():
        return "multi_label_classification"
    return "single_label_classification"


def _span_losses(
    outputs: Mapping[str, torch.Tensor], batch: Batch, generator: torch.Generator
) -> torch.Tensor:
    padding = batch.inputs["attention_mask"] == 0
    losses = []
    for end in ("start", "end"):
        logits = outputs[f"{end}_logits"].masked_fill(padding, _NEVER)
        gold = batch.targets.get(f"{end}_positions")
        losses.append(_cross_entropy(logits, _draw(logits, generator) if gold is None else gold))
    return (losses[0] + losses[1]) / 2


def _vector_losses(
    vectors: torch.Tensor, gold: torch.Tensor | None, generator: torch.Generator
) -> torch.Tensor:
    """Squared error, a Gaussian's likelihood; drawn from it, the gradient is noise times J."""
    import torch

    if gold is not None:
        return (vectors - gold.reshape(vectors.shape)).square().mean(dim=-1)
    noise = torch.randn(vectors.shape, generator=generator)
    return (vectors * noise).sum(dim=-1)


def _multi_label_losses(
    logits: torch.Tensor, gold: torch.Tensor | None, generator: torch.Generator
) -> torch.Tensor:
    import torch
    from torch.nn import functional

    if gold is None:
        gold = torch.bernoulli(logits.detach().sigmoid(), generator=generator)
    losses = functional.binary_cross_entropy_with_logits(
        logits, gold.to(logits.dtype), reduction="none"
    )
    return losses.sum(dim=-1)


def _mean_pooled(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    weights = mask[:, :, None].to(states.dtype)  # [batch, sequence, 1]
    return (states * weights).sum(dim=1) / weights.sum(dim=1)


def _cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Returns the cross entropy of each place; 0 where the target is ignored."""
    from torch.nn import functional

    losses = functional.cross_entropy(
        logits.reshape(-1, logits.shape[-1]),
        targets.reshape(-1),
        reduction="none",
        ignore_index=_IGNORED,
    )
    return losses.reshape(targets.shape)


def _draw(logits: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Draws a target for each place from the logits' own distribution."""
    import torch

    likely = logits.detach().softmax(dim=-1).reshape(-1, logits.shape[-1])
    return torch.multinomial(likely, 1, generator=generator).reshape(logits.shape[:-1])
