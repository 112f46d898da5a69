"""Puts fake quantization on a model's weight products and embedding tables, and takes it off again.

What is quantized is what the graph's quantize passes quantize: the inputs and weights of linear
layers, and the embedding tables that have enough rows. Query, key and value read one tensor, which
is one tensor in the graph too: they share one range, which the first of them owns.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from torch import Tensor, nn

from bertcompress.bert.structure import encoder_of, names_in
from bertcompress.train.fake_quant import InputRange
from bertcompress.train.trainer import check_trained

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Rounding = Callable[[Tensor], Tensor]
"""Of a weight ``[..., width]`` to the numbers that its integers stand for."""


class QuantizedLinear(nn.Linear):
    """A linear layer that multiplies what the integers stand for; its own weights stay float.

    Args:
        linear: Whose weights it takes over, not copied.
        rounding: Of the weight ``[out, in]``.
        inputs: The range of its input; None leaves the input in float.
        owns: Whether the range is in its state, or in that of a layer that reads the same tensor.
    """

    def __init__(
        self, linear: nn.Linear, rounding: Rounding, inputs: InputRange | None, *, owns: bool
    ) -> None:
        super().__init__(
            linear.in_features, linear.out_features, bias=linear.bias is not None, device="meta"
        )
        self.weight, self.bias = linear.weight, linear.bias
        self.rounding = rounding
        self.inputs = inputs if owns else None
        self.lent = () if owns or inputs is None else (inputs,)  # in a tuple it is no submodule

    @property
    def range(self) -> InputRange | None:
        """Its input's range, its own or lent."""
        return self.lent[0] if self.lent else self.inputs

    def forward(self, input: Tensor) -> Tensor:  # named by torch
        """Returns the product and its bias, as `torch.nn.Linear` does."""
        inputs = self.range
        rounded = input if inputs is None else inputs(input)
        return nn.functional.linear(rounded, self.rounding(self.weight), self.bias)


class QuantizedEmbedding(nn.Embedding):
    """An embedding table that gives what the integers of its rows stand for.

    Args:
        embedding: Whose table it takes over, not copied.
        rounding: Of rows ``[..., width]``, each for itself.
    """

    def __init__(self, embedding: nn.Embedding, rounding: Rounding) -> None:
        super().__init__(
            embedding.num_embeddings,
            embedding.embedding_dim,
            padding_idx=embedding.padding_idx,
            device="meta",
        )
        self.weight = embedding.weight
        self.rounding = rounding

    def forward(self, input: Tensor) -> Tensor:  # named by torch
        """Returns the rows, as `torch.nn.Embedding` does."""
        return self.rounding(super().forward(input))


def linear_modules(model: PreTrainedModel) -> tuple[str, ...]:
    """Returns the paths of a model's linear layers, in the order in which they are declared."""
    return tuple(name for name, module in model.named_modules() if isinstance(module, nn.Linear))


def tables_of(model: PreTrainedModel, *, rows: int) -> tuple[str, ...]:
    """Returns the paths of a model's embedding tables of at least the given number of rows."""
    return tuple(
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Embedding) and module.num_embeddings >= rows
    )


def with_fake_quantization(
    model: PreTrainedModel,
    *,
    linears: Mapping[str, Rounding],
    tables: Mapping[str, Rounding],
    ranges: Mapping[str, tuple[float, float]],
) -> PreTrainedModel:
    """Returns a copy of a model that answers as its quantized graph will.

    Args:
        model: In float; left alone.
        linears: How the weights of linear layers are rounded, by path.
        tables: How the rows of embedding tables are rounded, by path.
        ranges: Of these linear layers' inputs, lower and upper end; empty leaves inputs in float.
    """
    copied = copy.deepcopy(model)
    owner_of = dict(_same_input(copied))
    range_of: dict[str, InputRange] = {}
    for name, rounding in linears.items():
        owner = owner_of.get(name, name)
        owns = owner not in range_of
        if ranges and owns:
            range_of[owner] = InputRange(*ranges[name])
        linear: Any = copied.get_submodule(name)
        quantized = QuantizedLinear(linear, rounding, range_of.get(owner), owns=owns)
        copied.set_submodule(name, quantized.train(linear.training))
    for name, rounding in tables.items():
        table: Any = copied.get_submodule(name)
        copied.set_submodule(name, QuantizedEmbedding(table, rounding).train(table.training))
    return copied


def ranges_in(model: PreTrainedModel) -> dict[str, tuple[float, float]]:
    """Returns the ranges of the inputs of a fake-quantized model's linear layers, by path."""
    ranges = {}
    for name, module in model.named_modules():
        if isinstance(module, QuantizedLinear) and module.range is not None:
            low, high = module.range.ends().tolist()
            ranges[name] = (low, high)
    return ranges


def with_weights_of(model: PreTrainedModel, trained: PreTrainedModel) -> PreTrainedModel:
    """Returns a copy of a model with the weights of its trained, fake-quantized copy.

    Raises:
        PassError: If a weight is no longer a finite number.
    """
    copied: Any = copy.deepcopy(model)
    weights = {name: tensor.cpu() for name, tensor in trained.state_dict().items()}
    copied.load_state_dict({name: weights[name] for name in copied.state_dict()})
    check_trained(copied)
    return cast("PreTrainedModel", copied.eval())


def without_dropout(model: nn.Module) -> None:
    """Turns dropout off, in place; Transformers 4 keeps that of attention in a number."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if hasattr(module, "dropout_prob"):
            vars(module)["dropout_prob"] = 0.0


def _same_input(model: PreTrainedModel) -> Iterator[tuple[str, str]]:
    """Yields the path of each layer that reads the same tensor as another, and the other's."""
    paths = {module: name for name, module in model.named_modules()}
    for layer in encoder_of(model).layer:
        path = paths[layer]
        first, *others = names_in(layer).attention_inputs
        for other in others:
            yield f"{path}.{other}", f"{path}.{first}"
