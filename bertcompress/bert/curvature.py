"""What an error of a sub-layer's output costs the answers: second-order statistics of its inputs.

Where the model is at an optimum, a change ``d_t`` of the output at token ``t`` adds about
``1/2 (g_t . d_t)^2`` to the expected loss, with ``g_t`` the gradient there for a target drawn from
the model's own answer: the Fisher information, no labels needed. We keep its diagonal parts::

    token weight  w_t = mean over outputs of g_t^2        row cost  a_r = mean over tokens of g_tr^2

and from the inputs ``x_t`` of the output projection the Hessian ``H = sum_t w_t x_t x_t^T``, so
that the costs that `bertcompress.bert.obs` finds compare between layers: in the last layer of a
classifier, for example, only the first token counts. A small share of the plain, unweighted
Hessian keeps ``H`` regular where few tokens have weight.

Sources: Martens and Grosse 2015, arXiv:1503.05671 (the factored Fisher of a layer); Kunstner et al.
2019, arXiv:1905.12558 (why targets are drawn); Singh and Alistarh 2020, arXiv:2004.14340.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bertcompress.bert.importance import frozen
from bertcompress.bert.refit import TokenWeights
from bertcompress.bert.sample_losses import Batch, sample_losses
from bertcompress.bert.structure import encoder_of, projection
from bertcompress.bert.sublayers import UNITS, Unit
from bertcompress.errors import PassError
from bertcompress.progress import Progress, silent

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

PLAIN = 0.1
"""The share of the unweighted Hessian, and of the unweighted token in the weights."""

Key = tuple[Unit, int]


@dataclass
class Curvature:
    """One sub-layer's statistics.

    Attributes:
        hessian: ``[inputs, inputs]``, float64, in units of loss for an output error of 1.
        rows: What an error of each output costs, ``[outputs]``, float64, mean 1.
    """

    hessian: torch.Tensor
    rows: torch.Tensor


@dataclass
class _Sums:
    weighted: torch.Tensor
    plain: torch.Tensor
    rows: torch.Tensor
    tokens: int = 0
    weight: float = 0.0
    each: list[torch.Tensor] = field(default_factory=list)


def curvatures(
    model: PreTrainedModel,
    batches: Sequence[Batch],
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> tuple[dict[Key, Curvature], TokenWeights]:
    """Measures all sub-layers that have units.

    Args:
        model: In evaluation mode; left as it was.
        batches: Real texts; targets are not looked at.
        seed: Draws the targets.
        progress: Is told the samples done and their number.

    Returns:
        The statistics of each sub-layer, and each token's weight in it, with mean 1 over all real
        tokens, for `bertcompress.bert.refit.refit`.

    Raises:
        PassError: If there are no samples, or a gradient is not finite.
    """
    import torch

    if not batches:
        raise PassError("curvature needs at least one sample, got none")
    generator = torch.Generator().manual_seed(seed)
    sums: dict[Key, _Sums] = {}
    total, done = sum(batch.size for batch in batches), 0
    with frozen(model):
        for batch in batches:
            real = batch.inputs["attention_mask"].bool()
            with _noted(model) as noted:
                losses = sample_losses(model, Batch(batch.inputs, {}), generator)
                shifts = [shift for _, shift in noted.values()]
                gradients = torch.autograd.grad(losses.sum(), shifts)
            for (key, (inputs, _)), gradient in zip(noted.items(), gradients, strict=True):
                _add(sums, key, inputs, gradient, real)
            done += batch.size
            progress("curvature", done, total)
    found = {key: _curvature(one) for key, one in sums.items()}
    weights = {
        key: [
            (1 - PLAIN) * each * (one.tokens / max(one.weight, 1e-300)) + PLAIN for each in one.each
        ]
        for key, one in sums.items()
    }
    _fill_empty(model, batches, weights)
    return found, weights


def _add(
    sums: dict[Key, _Sums],
    key: Key,
    inputs: torch.Tensor,
    gradient: torch.Tensor,
    real: torch.Tensor,
) -> None:
    import torch

    if not bool(torch.isfinite(gradient).all()):
        unit, layer = key
        raise PassError(f"the gradient of the {unit} of layer {layer} is not a finite number")
    squares = gradient.square()
    each = squares.mean(dim=-1) * real  # [batch, sequence]
    x, w = inputs[real], each[real]
    if key not in sums:
        width, rows = x.shape[1], gradient.shape[-1]
        square = torch.zeros(width, width, dtype=torch.float64)
        sums[key] = _Sums(square, square.clone(), torch.zeros(rows, dtype=torch.float64))
    one = sums[key]
    one.weighted += ((x * w[:, None]).T @ x).double()
    one.plain += (x.T @ x).double()
    one.rows += squares[real].double().sum(dim=0)
    one.tokens += len(x)
    one.weight += float(w.double().sum())
    one.each.append(each)


def _curvature(sums: _Sums) -> Curvature:
    scale = sums.weight / sums.tokens
    hessian = (1 - PLAIN) * sums.weighted + PLAIN * scale * sums.plain
    mean = float(sums.rows.mean()) or 1.0
    return Curvature(hessian / sums.tokens, sums.rows / mean)


def _fill_empty(model: PreTrainedModel, batches: Sequence[Batch], weights: TokenWeights) -> None:
    """Gives sub-layers without units equal weights: their bias is still fitted."""
    for layer in range(len(encoder_of(model).layer)):
        for unit in UNITS:
            if (unit, layer) not in weights:
                weights[unit, layer] = [batch.inputs["attention_mask"].float() for batch in batches]


@contextlib.contextmanager
def _noted(model: PreTrainedModel) -> Iterator[dict[Key, tuple[torch.Tensor, torch.Tensor]]]:
    """Notes each projection's inputs while open; a zero added to its output has the gradient."""
    noted: dict[Key, tuple[torch.Tensor, torch.Tensor]] = {}

    def hook_for(key: Key) -> Any:
        def shift(
            _: Any, arguments: tuple[torch.Tensor, ...], output: torch.Tensor
        ) -> torch.Tensor:
            zero = output.new_zeros(output.shape).requires_grad_()
            noted[key] = (arguments[0].detach(), zero)
            return output + zero

        return shift

    with contextlib.ExitStack() as hooks:
        for index, layer in enumerate(encoder_of(model).layer):
            for unit in UNITS:
                dense = projection(layer, unit)
                if hasattr(dense, "in_features"):
                    hooks.callback(dense.register_forward_hook(hook_for((unit, index))).remove)
        yield noted
