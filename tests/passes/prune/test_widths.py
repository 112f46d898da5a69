"""The choice of what each layer keeps: what costs nothing goes first, in whole multiples."""

from __future__ import annotations

from collections.abc import Callable

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bert.structure import layers_of
from bertcompress.examples import Example
from bertcompress.passes.prune.widths import Search
from bertcompress.passes.samples import batches_for

Checkpoints = Callable[..., Checkpoint]
Examples = Callable[..., tuple[Example, ...]]


def search_in(checkpoint: Checkpoint, examples: tuple[Example, ...], *, ffn: bool) -> Search:
    batches = batches_for(checkpoint, examples, samples=20, batch_size=4, max_length=None, seed=0)
    return Search(checkpoint.model, batches, heads=not ffn, ffn=ffn, multiple=8)


def test_a_dead_unit_goes_first(tiny_checkpoint: Checkpoints, examples: Examples) -> None:
    checkpoint = tiny_checkpoint()
    _, layer = layers_of(checkpoint.model)
    assert layer.attention_output is not None
    layer.attention_output.weight.data[:, 8:16] = 0  # head 1 of layer 1

    choice = search_in(checkpoint, examples(), ffn=False).by_count(1 / 8, 0.0)

    assert choice.heads == ((0, 1, 2, 3), (0, 2, 3))
    assert choice.widths == ((4, 3), (64, 64))


def test_neurons_go_in_whole_multiples(tiny_checkpoint: Checkpoints, examples: Examples) -> None:
    search = search_in(tiny_checkpoint(), examples(), ffn=True)

    choice = search.by_count(0.0, 0.3)

    heads, ffn = choice.widths
    assert heads == (4, 4)
    assert sum(ffn) <= round(0.7 * 128)
    assert all(width % 8 == 0 for width in ffn)
    assert search.unit_costs(("heads", 0)) is None
