"""What is cut answers as if it had been masked."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import torch
import transformers
from torch import nn
from transformers import PreTrainedModel

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bert.families import Family
from bertcompress.bert.pruning.selection import Kept
from bertcompress.bert.structure import layers_of, shape_of
from bertcompress.bert.surgery import cut, stock_config
from bertcompress.errors import UsageError

Answer = Callable[[PreTrainedModel, Mapping[str, torch.Tensor]], torch.Tensor]
Inputs = dict[str, torch.Tensor]
ALL_HEADS = (0, 1, 2, 3)
ALL_NEURONS = tuple(range(64))
ODD = tuple(range(1, 64, 2))

CUTS: dict[str, tuple[Kept | None, Kept | None]] = {
    "heads": (((0, 2, 3), (1, 2)), None),
    "neurons": (None, (ODD, ODD)),
    "unequal": (((3,), (0, 1)), (tuple(range(7)), tuple(range(30, 64)))),
    "no heads in a layer": (((), (0, 1)), None),
    "no neurons in a layer": (None, (ALL_NEURONS, ())),
    "no neurons at all": (None, ((), ())),
    "an empty layer": (((), ALL_HEADS), ((), ALL_NEURONS)),
    "nothing but biases": (((), ()), ((), ())),
}


@contextlib.contextmanager
def masked(
    model: PreTrainedModel, heads: Kept | None, ffn: Kept | None, head_size: int = 8
) -> Iterator[None]:
    """Zeroes the units that do not stay, by hooks: another way to the same answer."""
    hooks = []
    for layer in layers_of(model):
        for projection, kept, width in (
            (layer.attention_output, heads, head_size),
            (layer.ffn_output, ffn, 1),
        ):
            if kept is None or projection is None:
                continue
            mask = torch.zeros(projection.in_features // width)
            mask[list(kept[layer.index])] = 1
            hooks.append(projection.register_forward_pre_hook(_times(mask, width)))
    yield
    for hook in hooks:
        hook.remove()


def _times(mask: torch.Tensor, width: int) -> Callable[..., Any]:
    def multiply(_: nn.Module, arguments: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        return (arguments[0] * mask.repeat_interleave(width),)

    return multiply


def close(one: torch.Tensor, other: torch.Tensor) -> bool:
    torch.testing.assert_close(one, other, rtol=0, atol=2e-6)
    return True


@pytest.mark.parametrize("case", CUTS)
def test_a_cut_answers_as_a_mask_does(
    case: str,
    task: str,
    tiny_checkpoint: Callable[..., Checkpoint],
    inputs: Inputs,
    answer: Answer,
) -> None:
    model = tiny_checkpoint(task=task).model
    heads, ffn = CUTS[case]

    smaller = cut(model, heads=heads, ffn=ffn)

    with masked(model, heads, ffn):
        expected = answer(model, inputs)
    assert close(answer(smaller, inputs), expected)
    assert not torch.allclose(expected, answer(model, inputs), atol=1e-3)  # the mask does something
    assert type(smaller).__name__ in (type(model).__name__, f"Pruned{type(model).__name__}")
    assert not smaller.training


def test_the_widths_are_really_gone(tiny_checkpoint: Callable[..., Checkpoint]) -> None:
    model = tiny_checkpoint().model

    smaller = cut(model, heads=((0, 2), ()), ffn=((4, 5, 6), ALL_NEURONS))

    assert shape_of(smaller).layer_heads == (2, 0)
    assert shape_of(smaller).layer_ffn == (3, 64)
    shapes = {name: tuple(weight.shape) for name, weight in smaller.state_dict().items()}
    assert shapes["bert.encoder.layer.0.attention.self.query.weight"] == (16, 32)
    assert shapes["bert.encoder.layer.0.intermediate.dense.weight"] == (3, 32)
    assert not [name for name in shapes if "layer.1.attention.self" in name]
    weights = 6 * 4 * 8 * 32 + 61 * 2 * 32  # four matrices of a head, two of a neuron
    biases = 3 * 8 * 6 + 61  # of query, key and value of six heads, and of 61 neurons
    assert model.num_parameters() - smaller.num_parameters() == weights + biases


def test_whole_layers_go(
    task: str, tiny_checkpoint: Callable[..., Checkpoint], inputs: Inputs, answer: Answer
) -> None:
    model = tiny_checkpoint(task=task).model

    smaller = cut(model, layers=[1])

    reference: Any = copy.deepcopy(model)
    del reference.base_model.encoder.layer[0]
    assert close(answer(smaller, inputs), answer(reference, inputs))
    assert type(smaller) is type(model)  # stock
    assert smaller.config.num_hidden_layers == 1


def test_layers_and_units_go_together(
    tiny_checkpoint: Callable[..., Checkpoint], inputs: Inputs, answer: Answer
) -> None:
    model = tiny_checkpoint().model

    at_once = cut(model, heads=(ALL_HEADS, (2,)), ffn=(ALL_NEURONS, ODD), layers=[1])

    one_by_one = cut(cut(model, heads=(ALL_HEADS, (2,)), ffn=(ALL_NEURONS, ODD)), layers=[1])
    assert shape_of(at_once).layer_heads == (1,)
    assert torch.equal(answer(at_once, inputs), answer(one_by_one, inputs))


def test_a_second_cut_counts_from_the_first(
    task: str, tiny_checkpoint: Callable[..., Checkpoint], inputs: Inputs, answer: Answer
) -> None:
    model = tiny_checkpoint(task=task).model

    once = cut(model, heads=((1, 2, 3), (0, 3)), ffn=(ODD, ALL_NEURONS))
    twice = cut(once, heads=((0, 2), ()), ffn=((0, 1), ODD))

    with masked(model, ((1, 3), ()), ((1, 3), ODD)):
        assert close(answer(twice, inputs), answer(model, inputs))
    assert shape_of(twice).layer_heads == (2, 0)


def test_the_given_model_stays_as_it_was(tiny_checkpoint: Callable[..., Checkpoint]) -> None:
    model = tiny_checkpoint().model
    weights, config = copy.deepcopy(model.state_dict()), model.config.to_dict()

    smaller = cut(model, heads=((0,), (1,)), ffn=(ODD, ODD))
    for parameter in smaller.parameters():
        parameter.data.zero_()

    assert model.config.to_dict() == config
    assert all(torch.equal(weights[name], now) for name, now in model.state_dict().items())


@pytest.mark.parametrize(
    "everything", [{}, {"heads": (ALL_HEADS,) * 2, "ffn": (ALL_NEURONS,) * 2, "layers": [0, 1]}]
)
def test_nothing_to_cut_is_the_same_model(
    everything: dict[str, Any], task: str, tiny_checkpoint: Callable[..., Checkpoint]
) -> None:
    model = tiny_checkpoint(task=task).model

    same = cut(model, **everything)

    assert type(same) is type(model)
    assert same.config.to_dict() == model.config.to_dict()
    assert same.state_dict().keys() == model.state_dict().keys()
    for name, weight in model.state_dict().items():
        assert torch.equal(same.state_dict()[name], weight)
        assert same.state_dict()[name].data_ptr() != weight.data_ptr()


def test_equal_neurons_stay_stock(tiny_checkpoint: Callable[..., Checkpoint]) -> None:
    model = tiny_checkpoint().model

    smaller = cut(model, ffn=(ODD, tuple(range(32))))

    assert type(smaller) is type(model)
    assert smaller.config.intermediate_size == 32


def test_fewer_heads_are_not_stock_even_if_equal(
    tiny_checkpoint: Callable[..., Checkpoint],
) -> None:
    smaller = cut(tiny_checkpoint().model, heads=((0, 1), (2, 3)))

    assert type(smaller).__name__ == "PrunedBertForSequenceClassification"
    assert smaller.config.layer_heads == [2, 2]
    assert smaller.config.head_size == 8


def test_a_pruned_model_may_become_stock_again(
    tiny_checkpoint: Callable[..., Checkpoint],
) -> None:
    model = tiny_checkpoint().model

    again = cut(cut(model, heads=(ALL_HEADS, (1,))), layers=[0])

    assert type(again) is type(model)
    assert again.config.model_type == "bert"
    assert not hasattr(again.config, "layer_heads")


def test_labels_and_architecture_are_kept(tiny_checkpoint: Callable[..., Checkpoint]) -> None:
    model = tiny_checkpoint().model
    model.config.problem_type = "single_label_classification"

    smaller = cut(model, heads=((0,), (1,)))

    assert smaller.config.id2label == {0: "negative", 1: "positive"}
    assert smaller.config.problem_type == "single_label_classification"
    assert smaller.config.architectures == ["PrunedBertForSequenceClassification"]


def test_a_cut_leaves_the_random_numbers_alone(tiny_checkpoint: Callable[..., Checkpoint]) -> None:
    model = tiny_checkpoint().model
    before = torch.get_rng_state()

    cut(model, heads=((0,), (1,)))

    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"layers": []}, "at least one layer"),
        ({"layers": [2]}, r"layers that stay must rise within 0\.\.1, got \[2\]"),
        ({"layers": [1, 0]}, r"layers that stay must rise within 0\.\.1, got \[1, 0\]"),
        ({"heads": ((0,),)}, "heads that stay must be told for 2 layers, got 1"),
        ({"heads": ((0,), (4,))}, r"heads of layer 1 that stay must rise within 0\.\.3"),
        ({"ffn": ((0, 0), (1,))}, r"neurons of layer 0 that stay must rise within 0\.\.63"),
    ],
)
def test_what_is_not_there_can_not_stay(
    settings: dict[str, Any], sentence: str, tiny_checkpoint: Callable[..., Checkpoint]
) -> None:
    with pytest.raises(UsageError, match=sentence):
        cut(tiny_checkpoint().model, **settings)


def test_a_pruned_models_configuration_is_its_familys_own(
    family: Family, tiny_family: Callable[..., Checkpoint]
) -> None:
    whole = tiny_family(family).model
    pruned = cut(whole, heads=((0, 2), (1,)), ffn=(tuple(range(10)), ()))
    assert pruned.config.model_type == family.pruned_type

    stock = stock_config(pruned)

    assert type(stock) is getattr(transformers, f"{family.prefix}Config")
    assert stock.architectures == [f"{family.prefix}ForSequenceClassification"]
    assert stock.id2label == {0: "negative", 1: "positive"}
    assert stock.vocab_size == whole.config.vocab_size
    assert stock.num_attention_heads == 4  # the unpruned model's; the graph has its own
    written = json.loads(stock.to_json_string())
    assert not {"layer_heads", "layer_ffn", "head_size", "auto_map"} & set(written)
