"""The fastest INT8 that holds: what is chosen, what is given back, what is rejected."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest
from bertcompress.search.quantization_ways import Judgement
from hypothesis import given
from hypothesis import strategies as st

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel
from bertcompress.artifacts.calibration_table import CalibrationTable
from bertcompress.artifacts.manifest import REJECTED, REJECTED_FOR
from bertcompress.errors import UsageError
from bertcompress.examples import TextExample
from bertcompress.graph.products import weight_products
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.progress import Progress
from bertcompress.search.fastest_int8 import QuantizeBest
from bertcompress.search.latency_table import MeasureLatency
from bertcompress.search.mixed_precision import Costs, spared
from bertcompress.search.trials import QuantizationTrials

Graphs = Callable[..., OnnxModel]
Calibrator = Callable[[OnnxModel], CalibrationTable]

BAD = "bert.encoder.layer.1.output.dense"
"""The product that costs all accuracy in the stand-in below."""


def in_float(model: OnnxModel) -> set[str]:
    return {product.module for product in weight_products(model.graph)}


@dataclass
class Stand:
    """Stands for a machine: times by the way, and one product that loses all the points."""

    times: Mapping[str, float]
    drop: float = 0.02
    asked: list[str] = field(default_factory=list)

    def judge(
        self, models: Mapping[str, OnnxModel], *, against: OnnxModel, quick: bool = False
    ) -> dict[str, Judgement]:
        assert in_float(against) >= {BAD}
        self.asked += models
        bad = {name: BAD not in in_float(model) for name, model in models.items()}
        return {name: Judgement(self.drop * bad[name], 0.1 * bad[name]) for name in models}

    def seconds(self, models: Mapping[str, OnnxModel], *, progress: Progress) -> dict[str, float]:
        return {name: self.times.get(name.split(",")[0], 1.0) for name in models}

    def product_seconds(self, model: OnnxModel) -> dict[str, float]:
        floats = in_float(model)
        products = (node.name for node in model.graph.graph.node if node.name.startswith("bert."))
        return {name: 2.0 if name in floats else 1.0 for name in products}


TIMES = {"float": 3.0, "static": 1.0, "dynamic": 1.2, "blocks": 2.0}


def step_of(model: OnnxModel) -> Mapping[str, object]:
    return model.history[-1].details


def test_the_fastest_that_holds_is_taken(tiny_graph: Graphs, wide_ranges: Calibrator) -> None:
    stand = Stand(TIMES, drop=0.0)
    found = step_of(QuantizeBest(wide_ranges, stand)(tiny_graph()))
    assert found["chosen"] == "static"
    assert REJECTED not in found
    assert set(stand.asked) == {"static", "dynamic", "blocks"}  # nothing was ranked for nothing


def test_what_costs_the_accuracy_stays_in_float(
    tiny_graph: Graphs, wide_ranges: Calibrator
) -> None:
    made = QuantizeBest(wide_ranges, Stand(TIMES), max_drop=0.001)(tiny_graph())
    assert in_float(made) == {BAD, "classifier"}
    found = step_of(made)
    assert found["chosen"] == "static, 1 products in float"
    assert found["spared"] == BAD
    assert REJECTED not in found


def test_what_can_not_hold_is_marked_rejected_and_says_what_costs_most(
    tiny_graph: Graphs, wide_ranges: Calibrator
) -> None:
    class Hopeless(Stand):
        def product_seconds(self, model: OnnxModel) -> dict[str, float]:
            found = super().product_seconds(model)
            return {**found, BAD: 100.0 * found[BAD]}  # all that INT8 saves is here

    found = step_of(QuantizeBest(wide_ranges, Hopeless(TIMES), max_drop=0.001)(tiny_graph()))
    assert found[REJECTED_FOR] == "accuracy"
    assert "the best of 3 ways of INT8" in str(found[REJECTED])  # there is nothing to smooth
    assert "loses 2.00 points" in str(found[REJECTED])
    assert BAD in str(found[REJECTED])


def test_a_time_takes_the_most_accurate_within_it(
    tiny_graph: Graphs, wide_ranges: Calibrator
) -> None:
    class Blocks(Stand):
        def judge(
            self, models: Mapping[str, OnnxModel], *, against: OnnxModel, quick: bool = False
        ) -> dict[str, Judgement]:
            return {name: Judgement(0.0, 0.0 if name == "blocks" else 0.1) for name in models}

    for limit, way in ((2.5, "blocks"), (1.1, "static")):
        found = step_of(
            QuantizeBest(wide_ranges, Blocks(TIMES), target_latency=limit)(tiny_graph())
        )
        assert found["chosen"] == way


def test_a_time_that_no_way_keeps_is_rejected(tiny_graph: Graphs, wide_ranges: Calibrator) -> None:
    best = QuantizeBest(wide_ranges, Stand(TIMES, drop=0.0), target_latency=0.5)
    found = step_of(best(tiny_graph()))
    assert found[REJECTED_FOR] == "speed"
    assert "1000.00 ms a text is the fastest (static), 500.00 ms were asked" in str(found[REJECTED])


def test_for_real_on_this_machine(tiny_graph: Graphs, wide_ranges: Calibrator) -> None:
    texts = tuple(
        TextExample(str(at), text, label=("negative", "positive")[at % 2])
        for at, text in enumerate(("the film is good", "a bad film", "who is in a film") * 4)
    )
    latency = MeasureLatency(texts, threads=1, sentences=4, rounds=1)
    trials = QuantizationTrials(texts, latency)
    best = QuantizeBest(wide_ranges, trials, max_drop=0.99, profiles=("static", "dynamic"))
    model = tiny_graph()
    found = step_of(best(model))
    ways = found["ways tried"]
    assert isinstance(ways, list)
    assert {one["way"] for one in ways} == {"static", "dynamic"}
    assert all(one["ms"] > 0 and one["divergence"] >= 0 for one in ways)
    assert sum(one["chosen"] for one in ways) == 1

    same = trials.judge({"same": model}, against=model)["same"]
    assert (same.drop, same.divergence) == (0.0, 0.0)
    assert set(trials.product_seconds(model)) >= in_float(model)


def test_a_regression_model_without_labels_is_accepted(
    number_checkpoint: Checkpoint, wide_ranges: Calibrator
) -> None:
    sentences = ("the film is good", "a bad film", "who is in a film", "anna", "not good", "berlin")
    texts = tuple(TextExample(str(at), text) for at, text in enumerate(sentences))
    trials = QuantizationTrials(texts, MeasureLatency(texts, threads=1, sentences=4, rounds=1))
    # In a model this small rounding moves a number or two further than what counts as the same.
    best = QuantizeBest(wide_ranges, trials, max_drop=0.5, profiles=("blocks",))

    found = step_of(best(ExportOnnx()(number_checkpoint)))

    assert REJECTED not in found
    assert found["chosen"] == "blocks"


def test_without_labels_answers_that_differ_are_counted(tiny_graph: Graphs) -> None:
    texts = tuple(TextExample(str(at), text) for at, text in enumerate(("a film", "not bad")))
    trials = QuantizationTrials(texts, MeasureLatency(texts, threads=1))
    model = tiny_graph()
    assert trials.judge({"same": model}, against=model)["same"].drop == 0.0


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=6),
    st.floats(0.001, 1),
)
def test_what_is_spared_costs_no_more_time_than_given(
    rows: list[tuple[float, float]], share: float
) -> None:
    costs = Costs(
        tuple((str(at),) for at in range(len(rows))),
        tuple(cost for cost, _ in rows),
        tuple(seconds for _, seconds in rows),
    )
    times = {str(at): seconds for at, (_, seconds) in enumerate(rows)}
    chosen = spared(costs, share)
    assert sum(times[one] for one in chosen) <= share * sum(times.values()) + 1e-9
    assert all(costs.divergences[int(one)] > 0 for one in chosen)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"max_drop": 1.0}, "max_drop must be 0 or more and below 1"),
        ({"target_latency": 0.0}, "target_latency must be above 0"),
        ({"profiles": ("statik",)}, "did you mean 'static'"),
        ({"profiles": ()}, "profiles must be of static"),
    ],
)
def test_bad_settings(settings: dict[str, object], sentence: str, wide_ranges: Calibrator) -> None:
    with pytest.raises(UsageError, match=sentence):
        QuantizeBest(wide_ranges, Stand(TIMES), **settings)  # type: ignore[arg-type]  # wrong on purpose


def test_nothing_held_out_is_refused() -> None:
    with pytest.raises(UsageError, match="judged on texts held out"):
        QuantizationTrials((), MeasureLatency((TextExample("1", "a"),)))
