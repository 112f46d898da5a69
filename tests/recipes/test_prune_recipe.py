"""What is asked of pruning, as passes."""

from __future__ import annotations

import pytest

from bertcompress.errors import UsageError
from bertcompress.passes.prune.prune import Prune
from bertcompress.passes.prune.prune_layers import PruneLayers
from bertcompress.passes.prune.prune_units import PruneFfn, PruneHeads
from bertcompress.passes.prune.prune_vocabulary import PruneVocabulary
from bertcompress.passes.prune.relayout import Relayout
from bertcompress.recipes.prune_recipe import PruneOptions, prune_passes, remark_on
from bertcompress.search.latency_table import Timing
from bertcompress.search.prune_to_target import PruneToTarget
from bertcompress.train.distill_checkpoint import Recover


def test_with_data_the_rest_makes_up_for_what_is_removed() -> None:
    asked = PruneOptions(heads=0.3, samples=64, multiple=8, max_length=32)
    assert prune_passes(asked, has_data=True, seed=3) == (
        Prune(heads=0.3, samples=64, multiple=8, max_length=32, seed=3),
    )


def test_without_data_or_with_a_score_units_are_ranked() -> None:
    asked = PruneOptions(heads=0.3, ffn=0.5)
    assert prune_passes(asked, has_data=False) == (PruneHeads(0.3), PruneFfn(0.5))
    ranked = PruneOptions(heads=0.3, score="taylor", scope="layer", allow_empty_layers=True)
    assert prune_passes(ranked, has_data=True, seed=3) == (
        PruneHeads(0.3, score="taylor", scope="layer", allow_empty_layers=True, seed=3),
    )


def test_a_target_in_time_says_what_is_timed() -> None:
    asked = PruneOptions(target_speedup=1.5, precision="int8", length=16)
    assert prune_passes(asked, has_data=True) == (
        PruneToTarget(target_speedup=1.5, precision="int8", timing=Timing(length=16)),
    )


def test_what_leaves_and_what_follows_are_in_order() -> None:
    asked = PruneOptions(heads=0.3, layers=1, vocabulary=True, layout="dense", score="magnitude")
    assert [type(pass_) for pass_ in prune_passes(asked, has_data=True)] == [
        *(PruneLayers, PruneHeads, PruneVocabulary, Relayout)
    ]
    trained = PruneOptions(layers=1, recover=2.0)
    assert prune_passes(trained, has_data=True) == (PruneLayers(1), Recover(epochs=2.0))


def test_rounds_share_what_is_removed_and_the_epochs() -> None:
    fractions = PruneOptions(heads=0.51, recover=3.0, rounds=2)
    assert prune_passes(fractions, has_data=True) == (
        *(Prune(heads=0.3), Recover(epochs=1.5)),
        *(Prune(heads=0.3), Recover(epochs=1.5)),
    )
    halves = prune_passes(PruneOptions(heads=0.75, recover=1.0, rounds=2), has_data=True)
    assert halves[::2] == (Prune(heads=0.5), Prune(heads=0.5))
    speeds = PruneOptions(target_speedup=4.0, multiple=8, recover=3.0, rounds=2)
    assert prune_passes(speeds, has_data=True) == (
        *(PruneToTarget(2.0, reference="", multiple=8), Recover(epochs=1.5)),
        *(PruneToTarget(4.0, reference="", multiple=8), Recover(epochs=1.5)),
    )
    target = PruneOptions(target_params=0.25, recover=1.0, rounds=2)
    assert prune_passes(target, has_data=True) == (
        *(PruneToTarget(target_params=0.5, reference=""), Recover(epochs=0.5)),
        *(PruneToTarget(target_params=0.25, reference=""), Recover(epochs=0.5)),
    )


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (PruneOptions(), "prune must know what to remove; give --heads 0.3"),
        (PruneOptions(heads=0.3, rounds=2), "needs --recover to train after each, got 2"),
        (PruneOptions(heads=0.3, rounds=0), "rounds must be 1 or more"),
        (PruneOptions(target_speedup=2, score="obs"), "a target does not go with --score"),
        (PruneOptions(target_params=1e6, rounds=2, recover=1), "must be a part of the original"),
        (PruneOptions(target_latency=0.1, rounds=2, recover=1), "does not go with rounds"),
        (PruneOptions(heads=0.3, rounds=2, recover=1, min_agreement=0.9), "leave it out with roun"),
        (PruneOptions(heads=0.3, precision="int8"), "precision is for a target in time"),
        (PruneOptions(target_params=0.5, runtime="ort-cpu"), "runtime is for a target in time"),
        (PruneOptions(heads=0.3, target_params=0.5), "not heads and ffn and target_params"),
        (PruneOptions(heads=30), "did you mean 0.30"),
    ],
)
def test_what_can_not_be_meant(asked: PruneOptions, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        prune_passes(asked, has_data=True)


def test_a_guess_is_told() -> None:
    said = remark_on(PruneOptions(heads=0.3), has_data=False)
    assert said == "no data was given, so the size of the weights decides; --data DATA is better"
    assert remark_on(PruneOptions(heads=0.3), has_data=True) is None
    assert remark_on(PruneOptions(heads=0.3, score="random"), has_data=False) is None


def test_training_reads_as_much_of_a_text_as_was_asked() -> None:
    for asked in (
        PruneOptions(layers=1, recover=2.0, max_length=64),
        PruneOptions(heads=0.5, recover=2.0, max_length=64),
    ):
        assert prune_passes(asked, has_data=True)[-1] == Recover(epochs=2.0, max_length=64)
