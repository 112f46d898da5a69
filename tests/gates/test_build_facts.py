"""The examples that builds answer are the same in every run."""

from __future__ import annotations

from bertcompress.bench.variant import Subject
from bertcompress.gates.build_facts import frozen_subset


def test_the_examples_are_the_same_in_every_run(subject: Subject) -> None:
    first, second = (frozen_subset(subject, 20, seed=0) for _ in range(2))
    other = frozen_subset(subject, 20, seed=1)

    assert first.dataset.fingerprint == second.dataset.fingerprint != other.dataset.fingerprint
    assert [feature.example_index for feature in first.features] == list(range(20))
    gold = {example.id: i for i, example in enumerate(subject.dataset.examples)}
    for feature in first.features:
        whole = subject.features[gold[first.dataset.examples[feature.example_index].id]]
        assert feature.inputs is whole.inputs
    assert frozen_subset(subject, None, seed=0) is subject
