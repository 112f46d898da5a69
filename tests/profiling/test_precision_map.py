"""The precision map: sums that add up, and what it is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertcompress.artifacts.manifest import Manifest, Step
from bertcompress.bench.precision_runs import drawn_workload, float_graph_of
from bertcompress.errors import LoadError, UsageError
from bertcompress.profiling.executed import Executed, RanNode
from bertcompress.profiling.precision_map import PrecisionMap, joined, precision_map
from bertcompress.profiling.precision_map_groups import GROUPS, OTHER

EXPORT = Step("ExportOnnx", {"opset": 23}, 1.0, 10, None, 400, 400)
QUANTIZE = Step("QuantizeStatic", {}, 1.0, None, None, 400, 120, details={"precision": []})


def node(
    name: str, kind: str, *seconds: float, module: str | None = None, precision: str | None = None
) -> RanNode:
    return RanNode(
        name, kind, kind, module, precision, kind == "Attention", tuple(s * 1e-6 for s in seconds)
    )


def executed(*nodes: RanNode, runs: tuple[float, ...]) -> Executed:
    seconds = tuple(one * 1e-6 for one in runs)
    return Executed("ort-cpu", nodes, seconds, tuple(one * 0.9 for one in seconds))


def mapped(after: Executed, before: Executed | None = None) -> PrecisionMap:
    return precision_map(
        after, (EXPORT, QUANTIZE), inputs="x", threads=1, before=before, against="fp32"
    )


AFTER = executed(
    node("q", "MatMulIntegerToFloat", 10, 11, 90, module="l.0.query", precision="uint8 x int8"),
    node("p", "MatMulInteger", 4, 4, 4, module="pooler", precision="uint8 x int8"),
    node("p.float", "Cast", 1, 1, 1, module="pooler"),
    node("ln", "SkipLayerNormalization", 20, 20, 20),
    node("shape", "Shape", 2, 2, 2),
    runs=(40, 42, 125),
)
BEFORE = executed(
    node("q", "MatMul", 30, 30, 30, module="l.0.query", precision="float32"),
    node("k", "MatMul", 31, 31, 31, module="l.0.key", precision="float32"),
    node("g", "Softmax", 5, 5, 5),
    runs=(70, 70, 70),
)


def test_times_are_medians_and_a_product_of_several_operators_is_one_row() -> None:
    found = mapped(AFTER)
    rows = {one.module: one for one in found.products}

    assert rows["l.0.query"].after_s == pytest.approx(11e-6)
    assert rows["pooler"].after_s == pytest.approx(5e-6)
    assert rows["pooler"].kernel == "MatMulInteger + Cast"
    assert rows["pooler"].precision == "uint8 x int8"
    assert {one.name: one.operators for one in found.others} == {
        "LayerNorm and residual": "SkipLayerNormalization 1",
        OTHER: "Shape 1",
    }
    assert (found.against, found.before_whole_s) == (None, None)


def test_a_product_that_is_gone_is_still_in_the_sum_before() -> None:
    found = mapped(AFTER, BEFORE)
    before = {one.name: one.before_s for one in found.others}

    assert found.against == "fp32"
    assert before["products that are gone"] == pytest.approx(31e-6)
    assert before["softmax"] == pytest.approx(5e-6)
    assert before["LayerNorm and residual"] == 0.0
    assert found.before_operators_s == pytest.approx(66e-6)
    assert found.before_whole_s == pytest.approx(70e-6)
    assert [one.before_s for one in found.products] == [pytest.approx(30e-6), None]


KINDS = [kind for kinds in GROUPS.values() for kind in kinds] + ["MatMul", "Shape", "NewOperator"]


@given(
    columns=st.lists(
        st.tuples(
            st.sampled_from(KINDS),
            st.lists(st.floats(0.01, 1e4), min_size=3, max_size=3),
            st.booleans(),
        ),
        min_size=1,
        max_size=12,
    ),
    slack=st.floats(1.0, 3.0),
)
def test_the_rows_add_up_to_the_whole(
    columns: list[tuple[str, list[float], bool]], slack: float
) -> None:
    nodes = [
        node(
            str(at),
            kind,
            *seconds,
            module=f"m.{at % 3}" if product else None,
            precision="float32" if product else None,
        )
        for at, (kind, seconds, product) in enumerate(columns)
    ]
    runs = tuple(slack * sum(one.seconds[run] for one in nodes) * 1e6 for run in range(3))

    found = mapped(executed(*nodes, runs=runs), executed(*nodes, runs=runs))

    every = sum(sorted(one.seconds)[1] for one in nodes)
    assert found.operators_s == pytest.approx(every)
    assert found.covered == pytest.approx(1 / slack)
    assert found.whole_s == pytest.approx(every * slack)
    assert found.before_whole_s == pytest.approx(found.whole_s)


def test_several_turns_are_joined_and_a_missing_operator_took_no_time() -> None:
    short = executed(node("q", "MatMul", 7, module="l.0.query", precision="float32"), runs=(9,))
    longer = replace(AFTER, nodes=AFTER.nodes[3:])

    found = joined([short, longer])

    assert [one.name for one in found.nodes] == ["q", "ln", "shape"]
    assert found.nodes[0].seconds == pytest.approx((7e-6, 0, 0, 0))
    assert found.nodes[1].seconds == pytest.approx((0, 20e-6, 20e-6, 20e-6))
    assert len(found.run_s) == len(found.plain_s) == 4


def manifest(*steps: Step) -> Manifest:
    return Manifest("onnx", "text-classification", steps, {})


def test_the_float_graph_is_the_one_that_the_steps_began_with() -> None:
    pruned = Step("Prune", {"heads": 0.3}, 1.0, 10, 8, 400, 300)
    candidates: Mapping[str, Manifest | None] = {
        "plain": None,
        "dense": manifest(EXPORT),
        "slower": manifest(pruned, replace(EXPORT, seconds=9.0)),
        "other": manifest(pruned, replace(EXPORT, settings={"opset": 18})),
        "dynamic": manifest(pruned, EXPORT, QUANTIZE),
        "checkpoint": replace(manifest(pruned, EXPORT), kind="checkpoint"),
    }
    named = [((name, Path(name)), one) for name, one in candidates.items()]

    found = float_graph_of((pruned, EXPORT, QUANTIZE), named)
    assert found == ("slower", Path("slower"))
    assert float_graph_of((EXPORT, QUANTIZE), named) == ("dense", Path("dense"))
    assert float_graph_of((pruned, QUANTIZE), named) is None
    assert float_graph_of((EXPORT,), named) is None


def test_drawn_sentences_have_the_length_that_was_asked_for(tmp_path: Path) -> None:
    config = '{"model_type": "bert", "vocab_size": 50, "max_position_embeddings": 64}'
    (tmp_path / "config.json").write_text(config, encoding="utf-8")

    assert drawn_workload(tmp_path).sequence_length == 64  # the default, cut to the model's
    workload = drawn_workload(tmp_path, 7)
    assert {feed["input_ids"].shape for feed in workload.feeds} == {(1, 7)}
    assert max(int(feed["input_ids"].max()) for feed in workload.feeds) < 50
    for length in (0, 65):
        with pytest.raises(UsageError, match="from 1 to the model's 64"):
            drawn_workload(tmp_path, length)


def test_a_folder_that_does_not_say_its_vocabulary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"config\.json"):
        drawn_workload(tmp_path)
