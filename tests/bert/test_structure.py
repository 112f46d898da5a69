"""Widths are read from the matrices."""

from __future__ import annotations

from collections.abc import Callable

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bert.structure import EncoderShape, layers_of, shape_of
from bertcompress.bert.surgery import cut


def test_the_shape_of_a_stock_model(task: str, tiny_checkpoint: Callable[..., Checkpoint]) -> None:
    shape = shape_of(tiny_checkpoint(task=task).model)

    assert shape == EncoderShape((4, 4), (64, 64), 8, 32)
    assert shape.layers == 2


def test_emptied_sub_layers_have_no_matrix(tiny_checkpoint: Callable[..., Checkpoint]) -> None:
    model = cut(tiny_checkpoint().model, heads=((), (1,)), ffn=((2, 3), ()))

    first, second = layers_of(model)

    assert first.attention_output is None
    assert second.ffn_output is None
    assert first.ffn_output is not None
    assert (first.ffn_output.in_features, first.index, second.index) == (2, 0, 1)
    assert shape_of(model) == EncoderShape((0, 1), (2, 0), 8, 32)
