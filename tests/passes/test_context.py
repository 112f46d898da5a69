"""What a run gives its passes: what is held out, what a step is known by, and a changed copy."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.data.partition import hold_out
from bertcompress.errors import UsageError
from bertcompress.examples import TextExample
from bertcompress.passes.context import Context
from bertcompress.passes.ranges import Ranges

TEXTS = tuple(TextExample(str(at), f"film {at}") for at in range(9))


def test_some_texts_are_held_out_where_nothing_else_is_given() -> None:
    context = Context(TEXTS)
    assert (context.fitted, context.held_out) == hold_out(TEXTS)
    assert sorted((*context.fitted, *context.held_out), key=lambda row: row.id) == list(TEXTS)


def test_what_is_given_to_judge_by_takes_nothing_away() -> None:
    context = Context(TEXTS[:6], held_out=TEXTS[6:])
    assert (context.fitted, context.held_out) == (TEXTS[:6], TEXTS[6:])


def test_a_step_is_known_by_what_it_needs() -> None:
    context = Context(TEXTS, machine="here")
    assert context.identity(()) == {}
    told = context.identity(("examples", "labels", "machine"))
    assert told["examples"].startswith("9 examples ")
    assert (told["labels"], told["machine"]) == ("none", "here")
    assert told["examples"] != Context(TEXTS[1:]).identity(("examples",))["examples"]


def test_a_changed_context_leaves_the_first_alone() -> None:
    context = Context(TEXTS[:6], held_out=TEXTS[6:])
    other = context.changed(examples=TEXTS[:4])
    assert (other.examples, other.held_out) == (TEXTS[:4], hold_out(TEXTS[:4])[1])
    assert (context.examples, context.held_out) == (TEXTS[:6], TEXTS[6:])


def test_what_a_run_does_not_have_is_said(tiny_graph: Callable[..., OnnxModel]) -> None:
    with pytest.raises(UsageError, match="this run has nothing that finds ranges"):
        Context().ranges_of(tiny_graph(), Ranges(), seed=0)
    with pytest.raises(UsageError, match="the model before pruning, which is not known here"):
        Context().original()
