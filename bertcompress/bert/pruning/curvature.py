"""What an error of a sub-layer's output costs the answers: second-order statistics of its inputs.

Where the model is at an optimum, a change ``d_t`` of the output at token ``t`` adds about
``1/2 (g_t . d_t)^2`` to the expected loss, with ``g_t`` the gradient there for a target drawn from
the model's own answer: the Fisher information, no labels needed. We keep its diagonal parts::

    token weight  w_t = mean over outputs of g_t^2        row cost  a_r = mean over tokens of g_tr^2

A model is so sure of most texts it was trained on that their gradients all but vanish: a few
doubtful ones would decide everything. So each text counts the same: within it ``w`` and ``g^2`` are
divided by the mean of its ``w``.

From the inputs ``x_t`` of the output projection the Hessian ``H = sum_t w_t x_t x_t^T``, so
that the costs that `bertcompress.bert.pruning.brain_surgeon` finds compare between layers: in the
last layer of a classifier, for example, only the first token counts. A small share of the plain,
unweighted Hessian keeps ``H`` regular where few tokens have weight: with ``s`` the mean of ``w_t``
before and ``u_t`` what is left of it after that division::

    H = s * mean_t v_t x_t x_t^T        v_t = (1 - PLAIN) u_t + PLAIN

One pass forward and backward finds ``v``, ``s`` and ``a`` of all sub-layers. The Hessians, which
are large, come after it, one at a time: with ``v`` known they need no gradient, only each layer run
on the hidden states that the one before it gave.

Sources: Martens and Grosse 2015, arXiv:1503.05671 (the factored Fisher of a layer); Kunstner et al.
2019, arXiv:1905.12558 (why targets are drawn); Singh and Alistarh 2020, arXiv:2004.14340.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bertcompress.bert.batch_losses import Batch, sample_losses
from bertcompress.bert.pruning.importance import frozen
from bertcompress.bert.pruning.sublayers import UNITS, Key, Walk, sublayers_of
from bertcompress.bert.structure import encoder_of, projection
from bertcompress.errors import PassError
from bertcompress.numerics.gram import Gram
from bertcompress.progress import Progress, silent

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

PLAIN = 0.1
"""The share of the unweighted Hessian, and of the unweighted token in the weights."""
_LEAST = 1e-30


@dataclass(frozen=True)
class ErrorCosts:
    """What errors of one sub-layer's output cost.

    Attributes:
        tokens: For each batch what an error at each position costs, ``v``, float32
            ``[batch, sequence]``, with mean 1 over all real tokens.
        scale: The mean cost of an error of 1, ``s``, in units of loss.
        rows: What an error of each output costs, ``[outputs]``, float64, mean 1.
    """

    tokens: list[torch.Tensor]
    scale: float
    rows: torch.Tensor

    def weighed(self, weight: torch.Tensor) -> torch.Tensor:
        """Returns a projection's weight, float64, with each row scaled by what its errors cost."""
        return weight.detach().double() * self.rows.sqrt()[:, None]


@dataclass
class _Sums:
    rows: torch.Tensor
    tokens: int = 0
    weight: float = 0.0
    each: list[torch.Tensor] = field(default_factory=list)


def error_costs(
    model: PreTrainedModel,
    batches: Sequence[Batch],
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> dict[Key, ErrorCosts]:
    """Measures all sub-layers; in those without units all real tokens cost the same.

    Args:
        model: In evaluation mode; left as it was.
        batches: Real texts; targets are not looked at. What is held out gets weights, and has no
            say in the rest.
        seed: Draws the targets.
        progress: Progress callback.

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
            note = functools.partial(_add, sums, batch)
            with _gradients(model, note) as first:
                losses = sample_losses(model, replace(batch, targets={}), generator)
                if first:
                    torch.autograd.grad(losses.sum(), first)
            done += batch.size
            progress("curvature", done, total)
    costs: dict[Key, ErrorCosts] = {}
    for layer, module in enumerate(encoder_of(model).layer):
        for unit in UNITS:
            own = sums.get((unit, layer))
            outputs = len(projection(module, unit).bias)
            costs[unit, layer] = _costs(own) if own is not None else _equal(batches, outputs)
    return costs


def hessians(
    model: PreTrainedModel,
    batches: Sequence[Batch],
    costs: dict[Key, ErrorCosts],
    wanted: Collection[Key],
) -> Iterator[tuple[Key, torch.Tensor]]:
    """Gives the Hessian of each sub-layer that is wanted, the first layer's first.

    Between two of them only the hidden states of all batches are kept, float32.

    Args:
        model: In evaluation mode; left as it was.
        batches: Those that the costs were measured on.
        costs: What `error_costs` gave.
        wanted: Sub-layers that have units.

    Yields:
        The sub-layer and its Hessian, ``[inputs, inputs]``, float64, in units of loss for an
        output error of 1.
    """
    import torch

    with torch.no_grad():
        walk = Walk(model, batches)
    last = max((layer for _, layer in wanted), default=-1)
    for key in sublayers_of(model):
        if key[1] > last:
            return
        gram: Gram | None = None
        tokens = 0
        with torch.no_grad():
            for at, inputs, _ in walk.through(key):
                if key in wanted and not batches[at].held_out:
                    gram = gram or Gram(inputs.shape[-1])
                    real = walk.calls[at].real
                    gram.add(inputs[real], costs[key].tokens[at][real])
                    tokens += int(real.sum())
        if gram is not None:
            yield key, gram.total().mul_(costs[key].scale / tokens)


def _add(sums: dict[Key, _Sums], batch: Batch, key: Key, gradient: torch.Tensor) -> None:
    import torch

    real = batch.inputs["attention_mask"].bool()

    if not bool(torch.isfinite(gradient).all()):
        unit, layer = key
        raise PassError(f"the gradient of the {unit} of layer {layer} is not a finite number")
    squares = gradient.square()
    each = squares.mean(dim=-1) * real  # [batch, sequence]
    share = each.sum(dim=1) / real.sum(dim=1)  # [batch], what the text has before it counts as 1
    by_text = share.clamp_min(_LEAST)
    if key not in sums:
        sums[key] = _Sums(torch.zeros(gradient.shape[-1], dtype=torch.float64))
    one = sums[key]
    if not batch.held_out:
        one.rows += (squares / by_text[:, None, None])[real].double().sum(dim=0)
        one.tokens += int(real.sum())
        one.weight += float(each.double().sum())
    one.each.append(each / by_text[:, None])


def _costs(sums: _Sums) -> ErrorCosts:
    scale = sums.weight / sums.tokens
    tokens = [(1 - PLAIN) * each + PLAIN for each in sums.each]
    return ErrorCosts(tokens, scale, sums.rows / (float(sums.rows.mean()) or 1.0))


def _equal(batches: Sequence[Batch], outputs: int) -> ErrorCosts:
    """Sub-layers without units have equal weights: their bias is still fitted."""
    import torch

    tokens = [batch.inputs["attention_mask"].float() for batch in batches]
    return ErrorCosts(tokens, 0.0, torch.ones(outputs, dtype=torch.float64))


@contextlib.contextmanager
def _gradients(
    model: PreTrainedModel, note: Callable[[Key, torch.Tensor], None]
) -> Iterator[list[torch.Tensor]]:
    """Notes the gradient at each output projection as the backward pass reaches it.

    Gives a list that holds, after a run, the first projection's output: what to differentiate by.
    """
    first: list[torch.Tensor] = []

    def hook_for(key: Key) -> Any:
        def watch(_: Any, __: Any, output: torch.Tensor) -> torch.Tensor:
            if not output.requires_grad:
                output = output.detach().requires_grad_()
                first.append(output)
            output.register_hook(functools.partial(note, key))
            return output

        return watch

    with contextlib.ExitStack() as hooks:
        for index, layer in enumerate(encoder_of(model).layer):
            for unit in UNITS:
                dense = projection(layer, unit)
                if hasattr(dense, "in_features"):
                    hooks.callback(dense.register_forward_hook(hook_for((unit, index))).remove)
        yield first
