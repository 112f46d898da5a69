"""Which input and output is which, by the names that exporters give."""

from __future__ import annotations

import pytest
from onnx import TensorProto, helper

from bertcompress.errors import LoadError
from bertcompress.graph.signature import (
    check_inputs,
    check_outputs,
    fixed_length,
    input_roles,
    output_roles,
    with_names,
)

OURS = ["input_ids", "attention_mask", "token_type_ids"]


@pytest.mark.parametrize(
    ("names", "roles"),
    [
        (OURS, OURS),
        (["input_ids", "token_type_ids", "attention_mask"], [OURS[0], OURS[2], OURS[1]]),
        (["segment_ids:0", "input_mask:0", "input_ids:0"], OURS[::-1]),
        (["input_word_ids", "input_mask", "input_type_ids"], OURS),
        (["x", "attention_mask"], OURS[:2]),
        (["input_ids", "position_ids"], ["input_ids", "position_ids"]),
    ],
)
def test_inputs_are_known_by_their_names(names: list[str], roles: list[str]) -> None:
    assert [check_inputs(names, "g")[name] for name in names] == roles


@pytest.mark.parametrize(
    ("names", "unknown"),
    [
        (["a", "b", "c"], "a, b, c are"),
        (["x"], "x is"),
        (["input_ids", "inputs_embeds"], "inputs_embeds is"),
        (["input_ids", "ids"], "input_ids, ids are"),
        (["attention_mask"], "attention_mask is"),
    ],
)
def test_a_name_that_says_nothing_is_refused(names: list[str], unknown: str) -> None:
    with pytest.raises(LoadError, match=f"it is not known what {unknown}; export it with"):
        check_inputs(names, "g")


def test_inputs_of_no_encoder_have_no_roles() -> None:
    assert input_roles(["x", "w"]) == {}


@pytest.mark.parametrize(
    ("task", "names", "roles"),
    [
        ("text-classification", ["logits"], {"logits": "logits"}),
        ("text-classification", ["logits", "hidden"], {"logits": "logits"}),
        ("token-classification", ["output_0"], {"output_0": "logits"}),
        ("text-classification", ["a", "b"], {}),
        ("question-answering", ["end_logits", "start_logits"], None),
        ("question-answering", ["output_0", "output_1"], None),
        ("question-answering", ["a", "b"], {}),
        ("question-answering", ["start_logits"], {}),
        ("feature-extraction", ["token_embeddings", "sentence_embedding"], None),
        ("feature-extraction", ["output_0", "output_1"], None),
        ("feature-extraction", ["last_hidden_state", "pooler_output"], None),
        (
            "feature-extraction",
            ["sentence_embedding"],
            {"sentence_embedding": "sentence_embedding"},
        ),
        ("feature-extraction", ["pooler_output"], {}),
    ],
)
def test_outputs_are_known_by_their_names(
    task: str, names: list[str], roles: dict[str, str] | None
) -> None:
    found = output_roles(task, names)
    if roles is not None:
        assert found == roles
    else:
        assert found
    if not found:
        with pytest.raises(LoadError, match=f"and {task} needs"):
            check_outputs(task, names, "g")


def test_renaming_reaches_every_reader_and_moves_who_had_the_name() -> None:
    info = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Identity", ["ids"], ["logits"], "a"),
        helper.make_node("Identity", ["logits"], ["out"], "b"),
    ]
    axes = ["batch", 16]
    graph = helper.make_model(
        helper.make_graph(
            nodes,
            "g",
            [info("ids", TensorProto.INT64, axes)],
            [info("out", TensorProto.INT64, axes)],
        )
    )

    with_names(graph, {"ids": "input_ids", "out": "logits"})

    first, second = graph.graph.node
    assert (graph.graph.input[0].name, graph.graph.output[0].name) == ("input_ids", "logits")
    assert [*first.input, *second.output] == ["input_ids", "logits"]
    assert first.output[0] == second.input[0] == "logits.other"
    assert fixed_length(graph) == 16
