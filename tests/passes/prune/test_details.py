"""What one-shot pruning tells: each layer, and what each removed piece cost."""

from __future__ import annotations

from collections.abc import Callable

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bert.structure import shape_of
from bertcompress.codec import from_plain
from bertcompress.examples import Example
from bertcompress.passes.context import Context
from bertcompress.passes.prune.details import PruneDetails
from bertcompress.passes.prune.prune import Prune
from bertcompress.passes.prune.removed import explanation_of

Checkpoints = Callable[..., Checkpoint]
Examples = Callable[..., tuple[Example, ...]]
SMALL = {"batch_size": 4, "multiple": 8}


def test_the_step_tells_each_layer(tiny_checkpoint: Checkpoints, examples: Examples) -> None:
    result = Prune(heads=0.4, ffn=0.5, **SMALL)(tiny_checkpoint(), Context(examples()))

    step = result.history[-1]
    details = from_plain(PruneDetails, step.details)
    assert [row.layer for row in details.layers] == [0, 1]
    assert sum(row.heads_after for row in details.layers) == 5
    assert details.layers[0].attention_error_removed
    assert details.layers[0].ffn_error_removed
    assert details.removed == "3 of 8 heads, 64 of 128 neurons"
    assert step.data["examples"].startswith("20 examples ")


def test_each_removed_piece_is_explained(tiny_checkpoint: Checkpoints, examples: Examples) -> None:
    result = Prune(heads=0.5, ffn=0.5, **SMALL)(tiny_checkpoint(), Context(examples(count=40)))

    told = explanation_of(result.history)
    assert told is not None
    shape = shape_of(result.model)
    assert [len(kept) for kept in told.heads_kept] == list(shape.layer_heads)
    assert told.ffn_after == shape.layer_ffn
    assert sum(piece.removed for piece in told.pieces if piece.unit == "heads") == 4
    assert sum(piece.removed for piece in told.pieces if piece.unit == "ffn") == 64
    assert all(piece.in_truth is not None and piece.in_truth >= 0 for piece in told.pieces)
    assert told.cost_unit == "KL, nats"
