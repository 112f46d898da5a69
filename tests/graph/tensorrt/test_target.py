"""Targets agree with the standard on what there is in their operator set."""

from __future__ import annotations

from itertools import pairwise

import pytest
from onnx import defs

from bertcompress.errors import UsageError
from bertcompress.graph.tensorrt.target import OLDEST_OPSET, TARGETS, Target, target_named


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_every_operator_of_a_target_is_in_its_operator_set(target: Target) -> None:
    assert target.opset >= OLDEST_OPSET
    known = {
        schema.name
        for schema in defs.get_all_schemas_with_history()
        if schema.since_version <= target.opset and not schema.domain
    }
    assert target.operators - known == set()


def test_a_newer_target_reads_whatever_an_older_one_reads() -> None:
    newest_first = list(TARGETS.values())

    for newer, older in pairwise(newest_first):
        assert newer.opset > older.opset
        assert newer.operators >= older.operators
        assert newer.strongly_typed >= older.strongly_typed


def test_how_an_engine_is_built_follows_who_says_the_precision() -> None:
    assert "no flags" in target_named("10.0").build
    assert "builder flags FP16 and INT8" in target_named("8.6").build


def test_a_target_that_is_not_known_is_named_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"got '10\.1'; did you mean '10\.14'"):
        target_named("10.1")
