"""The fastest INT8 that holds: what is chosen, what is given back, what is rejected."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel
from bertcompress.errors import UsageError
from bertcompress.examples import TextExample
from bertcompress.graph.products import weight_products
from bertcompress.passes.context import Context
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.ranges import Ranges
from bertcompress.progress import Progress
from bertcompress.search import fastest_int8, int8_candidates
from bertcompress.search.fastest_int8 import QuantizeBest
from bertcompress.search.int8_candidates import Judgement
from bertcompress.search.latency_table import MeasureLatency, Timing
from bertcompress.search.trials import QuantizationTrials

Graphs = Callable[..., OnnxModel]

BAD = "bert.encoder.layer.1.output.dense"
"""The product that costs all accuracy in the stand-in below."""


def in_float(model: OnnxModel) -> set[str]:
    return {product.module for product in weight_products(model.graph)}


class Stand(QuantizationTrials):
    """Stands for a machine: times by the way, and one product that loses all the points."""

    def __init__(self, times: Mapping[str, float], drop: float = 0.02) -> None:
        self.times, self.drop, self.asked = times, drop, list[str]()

    def judge(
        self, models: Mapping[str, OnnxModel], *, against: OnnxModel, quick: bool = False
    ) -> dict[str, Judgement]:
        assert in_float(against) >= {BAD}
        self.asked += models
        bad = {name: BAD not in in_float(model) for name, model in models.items()}
        return {name: Judgement(self.drop * bad[name], 0.1 * bad[name]) for name in models}

    @property
    def latency(self) -> Stand:  # type: ignore[override]  # a field there
        """Stands for what times the graphs, too."""
        return self

    def seconds(self, models: Mapping[str, OnnxModel], *, progress: Progress) -> dict[str, float]:
        return {name: self.times.get(name.split(",")[0], 1.0) for name in models}

    def product_seconds(self, model: OnnxModel) -> dict[str, float]:
        floats = in_float(model)
        products = (node.name for node in model.graph.graph.node if node.name.startswith("bert."))
        return {name: 2.0 if name in floats else 1.0 for name in products}


ONE_THREAD = Timing(threads=1, sentences=4, rounds=1)
TIMES = {"float": 3.0, "static": 1.0, "dynamic": 1.2, "blocks": 2.0}


Search = Callable[..., Mapping[str, object]]


@pytest.fixture(autouse=True)
def without_nncf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8_candidates, "find_spec", lambda name: None)


@pytest.fixture
def search(tiny_graph: Graphs, wide: Context, monkeypatch: pytest.MonkeyPatch) -> Search:
    """Gives ``search(stand, max_drop=…)``: what a search on that machine tells."""

    def found(stand: Stand, **settings: Any) -> Mapping[str, object]:
        monkeypatch.setattr(fastest_int8, "QuantizationTrials", lambda *given, **more: stand)
        return step_of(QuantizeBest(**settings)(tiny_graph(), wide))

    return found


def step_of(model: OnnxModel) -> Mapping[str, object]:
    return model.history[-1].details


def test_the_fastest_that_holds_is_taken(search: Search) -> None:
    stand = Stand(TIMES, drop=0.0)
    found = search(stand)
    assert found["chosen"] == "static"
    assert found["rejected"] is None
    assert set(stand.asked) == {"static", "dynamic", "blocks"}  # nothing was ranked for nothing


def test_what_costs_the_accuracy_stays_in_float(search: Search) -> None:
    found = search(Stand(TIMES), max_drop=0.001)
    rows = found["precision"]
    assert isinstance(rows, list)
    floats = {row["module"] for row in rows if row["precision"] == "float32"}
    assert floats == {BAD, "classifier"}
    assert found["chosen"] == "static, 1 products in float"
    assert found["spared"] == BAD
    assert found["rejected"] is None


def test_what_can_not_hold_is_marked_rejected_and_says_what_costs_most(search: Search) -> None:
    class Hopeless(Stand):
        def product_seconds(self, model: OnnxModel) -> dict[str, float]:
            found = super().product_seconds(model)
            return {**found, BAD: 100.0 * found[BAD]}  # all that INT8 saves is here

    found = search(Hopeless(TIMES), max_drop=0.001)
    assert found["rejected_for"] == "accuracy"
    assert "the best of 3 ways of INT8" in str(found["rejected"])  # there is nothing to smooth
    assert "loses 2.00 points" in str(found["rejected"])
    assert BAD in str(found["rejected"])


def test_where_int8_saves_no_time_nothing_is_spared_and_the_result_is_rejected(
    search: Search,
) -> None:
    """Every product would be spared for free, and nothing would be left to quantize."""

    class Slow(Stand):
        def judge(
            self, models: Mapping[str, OnnxModel], *, against: OnnxModel, quick: bool = False
        ) -> dict[str, Judgement]:
            counts = {name: 14 - len(in_float(model)) for name, model in models.items()}
            return {name: Judgement(0.02, 0.1 * count) for name, count in counts.items()}

        def product_seconds(self, model: OnnxModel) -> dict[str, float]:
            return dict.fromkeys(super().product_seconds(model), 1.0)

    found = search(Slow(TIMES), max_drop=0.001)

    assert found["chosen"] == "static"
    assert found["rejected_for"] == "accuracy"
    assert str(found["rejected"]).startswith("the best of 3 ways of INT8 loses 2.00 points")


def test_a_time_takes_the_most_accurate_within_it(search: Search) -> None:
    class Blocks(Stand):
        def judge(
            self, models: Mapping[str, OnnxModel], *, against: OnnxModel, quick: bool = False
        ) -> dict[str, Judgement]:
            return {name: Judgement(0.0, 0.0 if name == "blocks" else 0.1) for name in models}

    for limit, way in ((2.5, "blocks"), (1.1, "static")):
        found = search(Blocks(TIMES), target_latency=limit)
        assert found["chosen"] == way


def test_a_time_that_no_way_keeps_is_rejected(search: Search) -> None:
    found = search(Stand(TIMES, drop=0.0), target_latency=0.5)
    assert found["rejected_for"] == "speed"
    assert "1000.00 ms a text is the fastest (static), 500.00 ms were asked" in str(
        found["rejected"]
    )


def test_for_real_on_this_machine(tiny_graph: Graphs, calibrated: Callable[..., Context]) -> None:
    texts = tuple(
        TextExample(str(at), text, label=("negative", "positive")[at % 2])
        for at, text in enumerate(("the film is good", "a bad film", "who is in a film") * 4)
    )
    trials = QuantizationTrials(texts, MeasureLatency(texts, ONE_THREAD))
    best = QuantizeBest(timing=ONE_THREAD, max_drop=0.99, profiles=("static", "dynamic"))
    model = tiny_graph()
    found = step_of(best(model, calibrated(texts)))
    ways = found["ways_tried"]
    assert isinstance(ways, list)
    assert {one["way"] for one in ways} == {"static", "dynamic"}
    assert all(one["ms"] > 0 and one["divergence"] >= 0 for one in ways)
    assert sum(one["chosen"] for one in ways) == 1

    same = trials.judge({"same": model}, against=model)["same"]
    assert (same.drop, same.divergence) == (0.0, 0.0)
    assert set(trials.product_seconds(model)) >= in_float(model)


def test_a_regression_model_without_labels_is_accepted(
    number_checkpoint: Checkpoint, calibrated: Callable[..., Context]
) -> None:
    sentences = ("the film is good", "a bad film", "who is in a film", "anna", "not good", "berlin")
    texts = tuple(TextExample(str(at), text) for at, text in enumerate(sentences))
    # In a model this small rounding moves a number or two further than what counts as the same.
    best = QuantizeBest(timing=ONE_THREAD, max_drop=0.5, profiles=("blocks",))

    found = step_of(best(ExportOnnx()(number_checkpoint), calibrated(texts, held_out=texts)))

    assert found["rejected"] is None
    assert found["chosen"] == "blocks"


def test_without_labels_answers_that_differ_are_counted(tiny_graph: Graphs) -> None:
    texts = tuple(TextExample(str(at), text) for at, text in enumerate(("a film", "not bad")))
    trials = QuantizationTrials(texts, MeasureLatency(texts, Timing(threads=1)))
    model = tiny_graph()
    assert trials.judge({"same": model}, against=model)["same"].drop == 0.0


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"max_drop": 1.0}, "max_drop must be 0 or more and below 1"),
        ({"target_latency": 0.0}, "target_latency must be above 0"),
        ({"profiles": ("statik",)}, "did you mean 'static'"),
        ({"profiles": ()}, "profiles must be of static"),
        ({"ranges": Ranges(table="t")}, "a saved table holds for one way of quantizing"),
    ],
)
def test_bad_settings(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        QuantizeBest(**settings)


def test_it_is_found_on_data(tiny_graph: Graphs) -> None:
    with pytest.raises(UsageError, match="holds its accuracy is found on data and none was given"):
        QuantizeBest()(tiny_graph())


def test_nothing_held_out_is_refused() -> None:
    with pytest.raises(UsageError, match="judged on texts held out"):
        QuantizationTrials((), MeasureLatency((TextExample("1", "a"),)))
