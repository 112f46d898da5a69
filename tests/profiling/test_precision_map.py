"""The precision map: sums that add up, and what it is compared with."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertcompress.artifacts.manifest import Step
from bertcompress.profiling.precision_map import (
    GONE,
    GROUPS,
    OTHER,
    MappedGroup,
    PrecisionMap,
    groups,
    joined,
    precision_map,
    summed,
)
from bertcompress.profiling.profiled_run import ProfiledRun, RanNode

EXPORT = Step("ExportOnnx", {"opset": 23}, 1.0, 10, None, 400, 400)
QUANTIZE = Step("QuantizeStatic", {}, 1.0, None, None, 400, 120, details={"precision": []})


def node(
    name: str, kind: str, *seconds: float, module: str | None = None, precision: str | None = None
) -> RanNode:
    return RanNode(
        name, kind, kind, module, precision, kind == "Attention", tuple(s * 1e-6 for s in seconds)
    )


def executed(*nodes: RanNode, runs: tuple[float, ...]) -> ProfiledRun:
    seconds = tuple(one * 1e-6 for one in runs)
    return ProfiledRun("ort-cpu", nodes, seconds, tuple(one * 0.9 for one in seconds))


def mapped(after: ProfiledRun, before: ProfiledRun | None = None) -> PrecisionMap:
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


def operator(kind: str, *seconds: float, module: str | None = None) -> RanNode:
    return RanNode(f"{kind}.1", kind, kind, module, None, False, seconds)


def test_no_operator_is_in_two_groups() -> None:
    counts = Counter(kind for kinds in GROUPS.values() for kind in kinds)
    assert [kind for kind, count in counts.items() if count > 1] == []


def test_operators_are_counted_and_their_medians_added() -> None:
    nodes = [
        operator("Shape", 1.0, 1.0, 9.0),
        operator("Softmax", 2.0, 3.0, 4.0),
        operator("LayerNormalization", 1.0),
        operator("SkipLayerNormalization", 2.0),
        operator("SkipLayerNormalization", 3.0),
        operator("MatMul", 50.0, module="layer.0"),  # a product, told elsewhere
    ]

    found = groups(nodes, None, ())

    assert found == (
        MappedGroup(
            "LayerNorm and residual",
            "SkipLayerNormalization 2, LayerNormalization 1",
            None,
            pytest.approx(6.0),  # type: ignore[arg-type]  # compares like a float
        ),
        MappedGroup("softmax", "Softmax 1", None, 3.0),
        MappedGroup(OTHER, "Shape 1", None, 1.0),
    )


def test_what_was_only_there_before_is_told_too() -> None:
    before = [operator("Softmax", 4.0), operator("Gelu", 2.0)]
    gone = [operator("MatMul", 7.0, module="layer.0.key")]

    found = {one.name: one for one in groups([operator("Softmax", 1.0)], before, gone)}

    assert (found["softmax"].before_s, found["softmax"].after_s) == (4.0, 1.0)
    assert found["activation function"] == MappedGroup("activation function", "", 2.0, 0)
    assert found[GONE] == MappedGroup(GONE, "", 7.0, 0)
    assert list(found)[-1] == GONE


def test_the_sum_is_of_medians() -> None:
    assert summed([operator("Gelu", 1.0, 2.0, 30.0), operator("Tanh", 4.0)]) == 6.0
    assert summed([]) == 0
