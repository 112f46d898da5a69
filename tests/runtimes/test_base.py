"""What all runtimes check once, the fake runtime, and which outputs have an entry a token."""

from __future__ import annotations

from typing import Self

import numpy as np
import pytest
from numpy.typing import NDArray

from bertcompress.errors import RunError
from bertcompress.runtimes.base import (
    Arrays,
    CheckedRuntime,
    FakeRuntime,
    TensorSpec,
    token_inputs,
)
from bertcompress.runtimes.fitting import follows_sequence

IDS = np.ones((2, 3), dtype=np.int64)
TOKENS = token_inputs(("input_ids", "attention_mask"))


class Echo(CheckedRuntime):
    """Gives back its inputs."""

    name, library = "echo", "Echo"

    def __init__(self, inputs: tuple[TensorSpec, ...] = TOKENS) -> None:
        super().__init__()
        self._wanted = inputs

    def __enter__(self) -> Self:
        self._open_for(self._wanted, ("logits",))
        return self

    def __exit__(self, *ended: object) -> None:
        self._close()

    def _run(self, feed: Arrays) -> dict[str, NDArray[np.generic]]:
        return dict(feed)


class Loose(Echo):
    """Takes integers of any width, all of one shape."""

    casts_integers = one_shape = True


def test_a_runtime_tells_what_it_takes_once_it_is_open() -> None:
    runtime = Echo()
    assert (runtime.inputs, runtime.input_names) == ((), ())
    with runtime:
        assert runtime.inputs[0] == TensorSpec("input_ids", "int64", ("batch", "sequence"))
        assert runtime.input_names == ("input_ids", "attention_mask")
        assert (runtime.longest, runtime.needs_padding, runtime.max_batch) == (None, True, None)
        assert runtime.run({"input_ids": IDS, "attention_mask": IDS}).keys() == {
            *runtime.input_names
        }


def test_a_runtime_that_is_not_open_does_not_run() -> None:
    runtime = Echo()
    with pytest.raises(RunError, match="is not open; use it in a 'with' block"):
        runtime.run({})
    with runtime:
        pass
    with pytest.raises(RunError, match="is not open; use it in a 'with' block"):
        runtime.run({"input_ids": IDS, "attention_mask": IDS})


@pytest.mark.parametrize(
    ("feed", "sentence"),
    [
        ({}, "Echo was given the inputs none; the graph takes input_ids, attention_mask"),
        ({"input_ids": IDS}, "was given the inputs input_ids; the graph takes"),
        ({"input_ids": IDS, "attention_mask": IDS, "more": IDS}, "attention_mask, more; the graph"),
        (
            {"input_ids": IDS.astype(np.int32), "attention_mask": IDS},
            "Echo refused the inputs: input_ids must be int64, got int32",
        ),
        (
            {"input_ids": IDS, "attention_mask": IDS[0]},
            r"they must all be \[batch, sequence\], got input_ids \(2, 3\), attention_mask \(3,\)",
        ),
    ],
)
def test_other_inputs_are_refused_with_what_was_given(feed: Arrays, sentence: str) -> None:
    with Echo() as runtime, pytest.raises(RunError, match=sentence):
        runtime.run(feed)


def test_inputs_of_several_kinds_are_each_told() -> None:
    inputs = (TensorSpec("x", "float32", (None, 8)), TensorSpec("scale", "float32", (1,)))
    with (
        Echo(inputs) as runtime,
        pytest.raises(RunError, match=r"must be x \[any, 8\], scale \[1\]"),
    ):
        runtime.run({"x": np.ones(8, np.float32), "scale": np.ones(1, np.float32)})


def test_what_is_not_known_is_not_checked() -> None:
    with Echo((TensorSpec("x", None, ()),)) as runtime:
        assert runtime.run({"x": np.ones(3)})["x"].shape == (3,)


def test_some_runtimes_cast_integers_and_want_one_shape() -> None:
    with Loose() as runtime:
        runtime.run({"input_ids": IDS.astype(np.int32), "attention_mask": IDS})
        with pytest.raises(RunError, match="input_ids must be integers, got float64"):
            runtime.run({"input_ids": IDS * 1.0, "attention_mask": IDS})
        with pytest.raises(RunError, match="inputs of different shapes"):
            runtime.run({"input_ids": IDS[:1], "attention_mask": IDS})


def test_the_fake_is_always_open_and_checks_too() -> None:
    fake = FakeRuntime(lambda feed: {"logits": feed["input_ids"] * 2}, outputs=("logits",))

    with pytest.raises(RunError, match="the fake was given the inputs input_ids"):
        fake.run({"input_ids": IDS})
    assert fake.calls == 0
    assert fake.run(dict.fromkeys(fake.input_names, IDS))["logits"][0, 0] == 2


def test_the_fake_answers_with_its_function() -> None:
    ids = np.asarray([[2, 90, 91, 3], [2, 90, 3, 0]])
    feed = {"input_ids": ids, "attention_mask": ids, "token_type_ids": ids}

    with FakeRuntime(lambda feed: {"logits": feed["input_ids"] * 2}, outputs=("logits",)) as fake:
        np.testing.assert_array_equal(fake.run(feed)["logits"], feed["input_ids"] * 2)
        assert fake.calls == 1


@pytest.mark.parametrize(
    ("name", "shape", "follows"),
    [
        ("logits", (3, 2), False),  # of a text
        ("logits", (3, 9, 2), True),  # of a token
        ("last_hidden_state", (3, 9, 32), True),
        ("start_logits", (3, 9), True),
        ("end_logits", (3, 9), True),
    ],
)
def test_outputs_of_tokens_are_told_from_those_of_texts(
    name: str, shape: tuple[int, ...], follows: bool
) -> None:
    assert follows_sequence(name, np.zeros(shape)) is follows
