"""QuantizeNncf: integer kernels, answers, accuracy control, what it says, what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel, save
from bertcompress.bert.loading.load import load
from bertcompress.bert.surgery import cut
from bertcompress.data.partition import hold_out
from bertcompress.errors import (
    AccuracyGateError,
    FusionAuditError,
    PassError,
    UsageError,
)
from bertcompress.examples import Example, TextExample
from bertcompress.graph.products import weight_products
from bertcompress.machine.cpu import cpu_flags, saturates
from bertcompress.passes.context import Context
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.quantize import quantize_nncf
from bertcompress.passes.quantize.quantize_nncf import QuantizeNncf
from bertcompress.passes.samples import draw_samples
from bertcompress.runtimes.ort.runtime import run_graph
from fixtures.feeds import feed_of

pytest.importorskip("nncf", reason='needs nncf: pip install "bertcompress[nncf]"')

Graphs = Callable[..., OnnxModel]
Examples = Callable[..., tuple[Example, ...]]
Make = Callable[[], OnnxModel]
EMBEDDING = "feature-extraction"  # its metric is the likeness to float answers: it falls at once


@pytest.fixture
def texts(examples: Examples) -> Context:
    """Gives twelve texts that fit the tiny classifier."""
    return Context(examples(count=12))


@pytest.fixture
def held(examples: Examples) -> Callable[[int], Context]:
    """Gives ``held(count)``: twice as many texts, half of which are held out."""

    def make(count: int) -> Context:
        both = examples(EMBEDDING, 2 * count)
        return Context(both, train=both)

    return make


@pytest.fixture(scope="module")
def made() -> list[OnnxModel]:
    """Gives the graph that was quantized before in this module."""
    return []


@pytest.fixture
def quantized(made: list[OnnxModel], tiny_graph: Graphs, texts: Context) -> Make:
    """Gives ``quantized()``: a graph quantized with all defaults, made once."""

    def make() -> OnnxModel:
        if not made:
            made.append(QuantizeNncf()(tiny_graph(), texts))
        return made[0]

    return make


def details_of(model: OnnxModel) -> dict[str, object]:
    return dict(model.history[-1].details)


def test_every_product_but_the_head_runs_on_integers(quantized: Make) -> None:
    details = details_of(quantized())
    kernels = details["kernels"]
    assert isinstance(kernels, dict)
    assert kernels["MatMulIntegerToFloat"] == 13
    assert kernels["attention"] == 2
    assert kernels["gelu"] == 2
    assert kernels["float weight products"] == 1
    assert details["left_in_float"] == "classifier"
    assert "word_embeddings" in str(details["int8_embedding_tables"])


def test_the_answers_stay_near(tiny_graph: Graphs, quantized: Make) -> None:
    feed = feed_of(2, 12)
    (expected,) = run_graph(tiny_graph().graph, [feed])
    (got,) = run_graph(quantized().graph, [feed])
    error = np.linalg.norm(expected["logits"] - got["logits"]) / np.linalg.norm(expected["logits"])
    assert 0 < error < 0.3  # drawn tokens, calibrated on five sentences


def test_it_is_smaller_and_the_same_twice_and_the_input_is_left_alone(
    tiny_graph: Graphs, texts: Context, quantized: Make
) -> None:
    graph = tiny_graph()
    before = graph.graph.SerializeToString()
    first, second = quantized(), QuantizeNncf()(graph, texts)
    assert graph.graph.SerializeToString() == before
    assert first.size_bytes < 0.8 * graph.size_bytes
    assert first.graph.SerializeToString() == second.graph.SerializeToString()


def test_saved_and_loaded_it_answers_the_same(quantized: Make, tmp_path: Path) -> None:
    save(quantized(), tmp_path / "out")
    again = load(tmp_path / "out")
    assert isinstance(again, OnnxModel)
    feed = feed_of(2, 9)
    (first,), (second,) = run_graph(quantized().graph, [feed]), run_graph(again.graph, [feed])
    np.testing.assert_array_equal(first["logits"], second["logits"])


@pytest.mark.parametrize(("batch", "length"), [(1, 1), (1, 128), (64, 3)])
def test_the_edges_of_length_and_batch(batch: int, length: int, quantized: Make) -> None:
    (got,) = run_graph(quantized().graph, [feed_of(batch, length)])
    assert got["logits"].shape == (batch, 2)
    assert np.isfinite(got["logits"]).all()


def test_answers_do_not_depend_on_batch_mates(quantized: Make) -> None:
    batch = feed_of(4, 10)
    alone = [{name: values[row : row + 1] for name, values in batch.items()} for row in range(4)]
    (together,) = run_graph(quantized().graph, [batch])
    single = run_graph(quantized().graph, alone)
    rows = np.concatenate([one["logits"] for one in single])
    np.testing.assert_array_equal(together["logits"], rows)


def test_what_pruning_leaves_is_quantized(
    tiny_checkpoint: Callable[..., Checkpoint], texts: Context
) -> None:
    checkpoint = tiny_checkpoint()
    heads, neurons = ((), (0, 1, 3)), (tuple(range(37)), ())  # what stays: two sub-layers are empty
    model = cut(checkpoint.model, heads=heads, ffn=neurons)
    result = QuantizeNncf()(ExportOnnx()(replace(checkpoint, model=model)), texts)
    kernels = details_of(result)["kernels"]
    assert isinstance(kernels, dict)
    assert kernels["MatMulIntegerToFloat"] == 2 + 4 + 1
    assert kernels["float weight products"] == 1


def test_unsmoothed_queries_keys_and_values_share_one_quantization(
    tiny_graph: Graphs, texts: Context
) -> None:
    result = QuantizeNncf(smooth_alpha=None)(tiny_graph(), texts)
    types = [node.op_type for node in result.graph.graph.node]
    assert types.count("QuantizeLinear") == 2 * 4 + 2  # the last query reads one token, the pooler
    assert types.count("Mul") == 2  # of the embedding tables: no smoothing


@pytest.mark.skipif(
    saturates(cpu_flags()), reason="without VNNI the sums of NNCF's 8-bit weights overflow"
)
def test_openvino_runs_the_portable_graph(
    tiny_graph: Graphs, texts: Context, tmp_path: Path
) -> None:
    pytest.importorskip("openvino", reason='needs openvino: pip install "bertcompress[openvino]"')
    from bertcompress.runtimes.openvino.runtime import OpenVinoRuntime

    portable = QuantizeNncf(portable=True)(tiny_graph(), texts)
    save(portable, tmp_path / "out")
    feed = feed_of(2, 9)
    with OpenVinoRuntime(tmp_path / "out" / "onnx" / "model.onnx", threads=1) as runtime:
        got = runtime.run(feed)
        kernels = runtime.kernels()
    (expected,) = run_graph(portable.graph, [feed])
    np.testing.assert_allclose(got["logits"], expected["logits"], atol=0.05)
    assert sum(count for name, count in kernels.items() if "i8" in name.lower()) >= 12


@pytest.mark.skipif(
    saturates(cpu_flags()), reason="without VNNI the sums of NNCF's 8-bit weights overflow"
)
def test_accuracy_control_puts_back_what_costs_most(
    tiny_graph: Graphs, held: Callable[[int], Context]
) -> None:
    graph = tiny_graph(task=EMBEDDING)
    seen: list[str] = []
    told = held(20).changed(progress=lambda stage, done, total: seen.append(stage))
    result = QuantizeNncf(max_drop=2e-5)(graph, told)

    details = details_of(result)
    put_back = str(details["products_put_back_into_float"]).split(", ")
    modules = [product.module for product in weight_products(graph.graph)]
    assert 0 < len(put_back) < len(modules)
    assert set(put_back) <= set(modules)
    assert details["left_in_float"] == ", ".join(put_back)
    control = details["accuracy_control"]
    assert isinstance(control, dict)
    assert 1 - control["cosine_to_reference in INT8"] <= 2e-5
    assert set(seen) == {"calibrate", "hold accuracy"}


@pytest.mark.skipif(
    saturates(cpu_flags()), reason="without VNNI the sums of NNCF's 8-bit weights overflow"
)
def test_activations_alone_are_put_back(tiny_graph: Graphs, held: Callable[[int], Context]) -> None:
    pass_ = QuantizeNncf(smooth_alpha=None, max_drop=3e-4)
    graph = tiny_graph(task=EMBEDDING)
    whole = pass_(graph, held(20))
    half = replace(pass_, restore="activations")(graph, held(20))

    kernels = details_of(half)["kernels"]
    assert isinstance(kernels, dict)
    back = str(details_of(half)["activations_put_back_into_float"]).split(", ")
    assert kernels["MatMulNBits"] == len(back)
    assert kernels["float weight products"] == 0
    assert half.size_bytes < whole.size_bytes


def test_a_loss_that_can_not_be_held_is_refused(
    tiny_graph: Graphs, held: Callable[[int], Context]
) -> None:
    with pytest.raises(AccuracyGateError, match=r"could not hold cosine_to_reference on \d"):
        QuantizeNncf(max_drop=0.0)(tiny_graph(task=EMBEDDING), held(4))


def test_a_product_that_nncf_leaves_is_named(
    tiny_graph: Graphs, texts: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = quantize_nncf.quantize

    def forgetful(work: quantize_nncf.NncfWork, *, smooth_alpha: float | None) -> object:
        fewer = work.products - {"bert.encoder.layer.1.output.dense"}
        return asked(replace(work, products=fewer), smooth_alpha=smooth_alpha)

    monkeypatch.setattr(quantize_nncf, "quantize", forgetful)
    with pytest.raises(FusionAuditError, match=r"1 of .*bert\.encoder\.layer\.1\.output\.dense"):
        QuantizeNncf()(tiny_graph(), texts)


def test_activations_become_unsigned(quantized: Make) -> None:
    """NNCF makes signed ones; ONNX Runtime's kernel on x64 is made for unsigned."""
    graph = quantized().graph.graph
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    points = [n.input[4] for n in graph.node if n.op_type == "MatMulIntegerToFloat"]
    assert {types[name] for name in points} == {TensorProto.UINT8}


def test_signed_activations_are_named_too(
    tiny_graph: Graphs, texts: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantize_nncf, "unsigned_activations", lambda graph: 0)
    with pytest.raises(FusionAuditError, match=r"the first is bert\.encoder\.layer\.0\.att"):
        QuantizeNncf(portable=True)(tiny_graph(), texts)


def test_modules_and_embeddings_can_be_kept_in_float(tiny_graph: Graphs, texts: Context) -> None:
    keep = ("classifier", "bert.encoder.layer.0.*")
    result = QuantizeNncf(keep_float=keep, embeddings=False)(tiny_graph(), texts)
    details = details_of(result)
    kernels = details["kernels"]
    assert isinstance(kernels, dict)
    assert kernels["float weight products"] == 7
    assert details["int8_embedding_tables"] == "none"


def test_what_it_does_not_take(
    tiny_graph: Graphs, tiny_checkpoint: Callable[..., Checkpoint], texts: Context, quantized: Make
) -> None:
    with pytest.raises(PassError, match="export it first"):
        QuantizeNncf()(tiny_checkpoint(), texts)
    with pytest.raises(UsageError, match="quantized already"):
        QuantizeNncf()(quantized(), texts)
    with pytest.raises(UsageError, match="NNCF finds its ranges on data and none was given"):
        QuantizeNncf()(tiny_graph())
    with pytest.raises(UsageError, match="max_length must be up to 128"):
        QuantizeNncf(max_length=129)(tiny_graph(), texts)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"smooth_alpha": 1.5}, "smooth_alpha must be 0 to 1, got 1.5"),
        ({"held_out": 9}, "held_out is what max_drop is measured on; add max_drop"),
        ({"samples": 0}, "samples must be 1 or more"),
        ({"max_drop": 1.0}, r"max_drop must be in \[0, 1\), got 1"),
        ({"restore": "weights"}, "restore must be products or activations, got 'weights'"),
        ({"keep_float": ("",)}, "keep_float takes module names"),
    ],
)
def test_bad_settings(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        QuantizeNncf(**settings)


def test_labelled_examples_are_held_out(tiny_graph: Graphs, examples: Examples) -> None:
    both, pass_ = examples(count=8), QuantizeNncf(max_drop=0.5, held_out=3)
    made = pass_(tiny_graph(), Context(both, train=both))
    details = details_of(made)
    fitted, judging = hold_out(both, one_in=2)
    assert details["nncf_calibration"] == {"inputs": len(fitted), "smooth_alpha": 0.95}
    control = details["accuracy_control"]
    assert isinstance(control, dict)
    assert control["held-out examples"] == min(3, len(judging))
    with pytest.raises(UsageError, match="none were held out"):
        pass_(tiny_graph(), Context(both))
    with pytest.raises(UsageError, match="got 0 of 8"):
        replace(pass_, held_out=0)(tiny_graph(), Context(both, train=both))
    with pytest.raises(UsageError, match="at least 2 labelled training examples, got 3 of 1"):
        pass_(tiny_graph(), Context(both, train=both[:1]))


def test_it_is_calibrated_on_the_samples_of_a_calibration(
    tiny_graph: Graphs, examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[quantize_nncf.NncfWork] = []
    asked = quantize_nncf.quantize

    def watching(work: quantize_nncf.NncfWork, *, smooth_alpha: float | None) -> object:
        seen.append(work)
        return asked(work, smooth_alpha=smooth_alpha)

    monkeypatch.setattr(quantize_nncf, "quantize", watching)
    model, texts = tiny_graph(), examples()
    QuantizeNncf(samples=7, max_length=6, seed=3)(model, Context(texts))

    drawn = [one.text for one in draw_samples(texts, 7, seed=3) if isinstance(one, TextExample)]
    whole = [len(model.tokenizer(text)["input_ids"]) for text in drawn]
    lengths = [feed["input_ids"].shape[1] for feed in seen[0].feeds]
    assert lengths == [min(length, 6) for length in whole]
    assert all(feed["attention_mask"].all() for feed in seen[0].feeds)
