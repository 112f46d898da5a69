"""Ranges of a real graph's tensors: what torch sees, without padding, whatever the batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, TypedDict, Unpack

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel
from bertcompress.artifacts.calibration_table import CalibrationTable
from bertcompress.errors import CalibrationError, UsageError
from bertcompress.examples import Example, TextExample, fingerprint_of
from bertcompress.graph.fingerprint import weights_fingerprint
from bertcompress.tasks import make_task
from bertcompress_calibration.collect import calibrate

Layout = Literal["tokens", "flat", "first"]
PAD, CLS, SEP = 0, 2, 3
LAYER = "bert.encoder.layer.1"


class Settings(TypedDict, total=False):
    method: str
    samples: int
    batch_size: int
    max_length: int
    seed: int
    attention: bool


def table_of(
    model: OnnxModel, examples: Sequence[Example], **settings: Unpack[Settings]
) -> CalibrationTable:
    task = make_task(model.task, model.config)
    return calibrate(model, examples, task=task, threads=1, **settings)


def one_product(model: OnnxModel, layout: Layout) -> OnnxModel:
    """Makes a model of one embedding of width 2 and one product, where padding takes 1000.

    The token n has the embedding [n, -n / 2]; the padding token [1000, -1000].
    """
    rows = np.arange(len(model.tokenizer), dtype=np.float32)
    embeddings = np.stack([rows, -rows / 2], axis=1)
    embeddings[PAD] = [1000, -1000]
    shape = {
        "tokens": "x = Identity(embedded)",
        "flat": "shape = Constant<value_ints=[-1, 2]>() x = Reshape(embedded, shape)",
        "first": "at = Constant<value_int=0>() x = Gather<axis=1>(embedded, at)",
    }[layout]
    graph = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["": 21]>
        one (int64[b, s] input_ids, int64[b, s] attention_mask) => (y) {{
            embedded = Gather(embeddings, input_ids)
            {shape}
            y = MatMul(x, weight)
        }}""")
    graph.graph.node[-1].name = "dense"
    for name, values in (("embeddings", embeddings), ("weight", np.eye(2, dtype=np.float32))):
        graph.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    return replace(model, graph=graph)


def linear_inputs(checkpoint: Checkpoint, examples: Sequence[TextExample]) -> dict[str, Seen]:
    """Runs torch on each text alone and keeps what goes into every linear module."""
    import torch

    seen: dict[str, Seen] = {}
    for name, module in checkpoint.model.named_modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_pre_hook(
                lambda _, given, name=name: seen.setdefault(name, []).append(given[0].numpy())
            )
    for example in examples:
        with torch.inference_mode():
            checkpoint.model(**checkpoint.tokenizer(example.text, return_tensors="pt"))
    return seen


Seen = list[NDArray[np.float32]]


# --- a graph whose values are known by hand -------------------------------------------------------


@pytest.mark.parametrize("layout", ["tokens", "flat"])
@pytest.mark.parametrize("batch_size", [1, 8])
@pytest.mark.parametrize("method", ["minmax", "percentile"])
def test_padding_never_counts(
    tiny_model: OnnxModel,
    texts: tuple[TextExample, ...],
    layout: Layout,
    batch_size: int,
    method: str,
) -> None:
    model = one_product(tiny_model, layout)
    tokens = np.concatenate([model.tokenizer(one.text)["input_ids"] for one in texts])

    table = table_of(model, texts, method=method, batch_size=batch_size)

    seen = table.range_of("dense")
    assert (seen.minimum, seen.maximum) == (-tokens.max() / 2, tokens.max())
    assert (seen.low, seen.high) == (seen.minimum, seen.maximum)
    assert seen.count == 2 * tokens.size
    assert seen.tensor == "x"


def test_histograms_are_the_same_in_batches_of_1_and_8(
    tiny_model: OnnxModel, texts: tuple[TextExample, ...]
) -> None:
    model = one_product(tiny_model, "tokens")

    one, eight = (table_of(model, texts, batch_size=size) for size in (1, 8))

    assert one == eight
    histogram = one.range_of("dense").histogram
    assert np.array_equal(histogram, eight.range_of("dense").histogram)
    assert histogram.sum() == one.range_of("dense").count


def test_a_tensor_without_tokens_counts_whole(
    tiny_model: OnnxModel, texts: tuple[TextExample, ...]
) -> None:
    seen = table_of(one_product(tiny_model, "first"), texts).range_of("dense")

    assert (seen.minimum, seen.maximum, seen.count) == (-CLS / 2, CLS, 2 * len(texts))


def test_a_tensor_of_another_shape_is_refused(
    tiny_model: OnnxModel, texts: tuple[TextExample, ...]
) -> None:
    model = one_product(tiny_model, "tokens")
    graph = onnx.ModelProto()
    graph.CopyFrom(model.graph)
    graph.graph.node[1].CopyFrom(
        onnx.helper.make_node("Transpose", ["embedded"], ["x"], perm=[1, 0, 2])
    )

    with pytest.raises(CalibrationError, match=r"the tensor x has shape .* padding can't be told"):
        table_of(replace(model, graph=graph), texts[:3], batch_size=3)


def test_values_that_are_no_numbers_name_the_module(
    tiny_model: OnnxModel, texts: tuple[TextExample, ...]
) -> None:
    model = one_product(tiny_model, "tokens")
    poisoned = np.full((len(model.tokenizer), 2), np.nan, dtype=np.float32)
    graph = onnx.ModelProto()
    graph.CopyFrom(model.graph)
    graph.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(poisoned, "embeddings"))

    with pytest.raises(CalibrationError, match="the input of dense takes NaN or infinity"):
        table_of(replace(model, graph=graph), texts)


# --- a BERT ---------------------------------------------------------------------------------------


def test_ranges_are_those_of_torch(
    tiny_checkpoint: Callable[..., Checkpoint],
    tiny_model: OnnxModel,
    texts: tuple[TextExample, ...],
) -> None:
    inputs = linear_inputs(tiny_checkpoint(), texts)

    table = table_of(tiny_model, texts, method="minmax")

    assert set(table.ranges) == set(inputs)
    for module, parts in inputs.items():
        values = np.concatenate([part.reshape(-1) for part in parts])
        seen = table.range_of(module)
        assert seen.low == pytest.approx(values.min(), rel=1e-4, abs=1e-5)
        assert seen.high == pytest.approx(values.max(), rel=1e-4, abs=1e-5)
        assert seen.count == values.size


def test_samples_and_channels_are_those_of_torch(
    tiny_checkpoint: Callable[..., Checkpoint],
    tiny_model: OnnxModel,
    texts: tuple[TextExample, ...],
) -> None:
    inputs = linear_inputs(tiny_checkpoint(), texts)
    place = {example.id: at for at, example in enumerate(texts)}

    table = table_of(tiny_model, texts, batch_size=3)

    order = [place[one] for one in table.sample_ids]
    for module, parts in inputs.items():
        seen = table.range_of(module)
        rows = np.concatenate([part.reshape(-1, part.shape[-1]) for part in parts])
        assert seen.channel_absmax == pytest.approx(np.abs(rows).max(axis=0), abs=1e-5)
        assert seen.channel_mean == pytest.approx(rows.mean(axis=0), abs=1e-5)
        assert seen.channel_mean is not None
        assert seen.channel_mean.dtype == np.float32
        assert seen.sample_minima == pytest.approx([parts[at].min() for at in order], abs=1e-5)
        assert seen.sample_maxima == pytest.approx([parts[at].max() for at in order], abs=1e-5)


def test_batches_of_1_and_8_give_the_same_ranges(
    tiny_model: OnnxModel, texts: tuple[TextExample, ...]
) -> None:
    one, eight = (table_of(tiny_model, texts, batch_size=size) for size in (1, 8))

    for module, alone in one.ranges.items():
        together = eight.range_of(module)
        assert together.count == alone.count
        assert together.low == pytest.approx(alone.low, rel=1e-5, abs=1e-5)
        assert together.high == pytest.approx(alone.high, rel=1e-5, abs=1e-5)


def test_query_key_and_value_share_a_tensor(
    tiny_model: OnnxModel, texts: tuple[TextExample, ...]
) -> None:
    table = table_of(tiny_model, texts)

    attention = [f"{LAYER}.attention.self.{name}" for name in ("query", "key", "value")]
    assert len({table.range_of(module).tensor for module in attention}) == 1
    assert table.range_of(f"{LAYER}.output.dense").tensor != table.range_of(attention[0]).tensor


def test_query_key_and_value_are_watched_on_request(
    tiny_checkpoint: Callable[..., Checkpoint],
    tiny_model: OnnxModel,
    texts: tuple[TextExample, ...],
) -> None:
    import torch

    model = tiny_checkpoint().model
    seen: list[torch.Tensor] = []
    query = model.get_submodule(f"{LAYER}.attention.self.query")
    query.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    with torch.no_grad():
        for text in texts:
            model(**tiny_model.tokenizer(text.text, return_tensors="pt"))

    plain = table_of(tiny_model, texts, method="minmax")
    table = table_of(tiny_model, texts, method="minmax", attention=True)

    found = table.range_of(f"{LAYER}.attention.self.query:out")
    assert found.high == pytest.approx(max(float(one.max()) for one in seen), rel=1e-5)
    assert found.low == pytest.approx(min(float(one.min()) for one in seen), rel=1e-5)
    assert {key: one for key, one in table.ranges.items() if ":" not in key} == plain.ranges
    assert len(table.ranges) == len(plain.ranges) + 2 * 3


def test_percentiles_lie_within_what_was_seen(
    tiny_model: OnnxModel, texts: tuple[TextExample, ...]
) -> None:
    table = table_of(tiny_model, texts)

    for seen in table.ranges.values():
        assert seen.minimum <= seen.low < seen.high <= seen.maximum
        assert seen.histogram.sum() == seen.count


def test_the_same_seed_gives_the_same_table(
    tiny_model: OnnxModel, texts: tuple[TextExample, ...]
) -> None:
    first, again, other = (table_of(tiny_model, texts, samples=12, seed=seed) for seed in (3, 3, 4))

    assert first == again
    assert len(first.sample_ids) == 12
    assert first.sample_ids != other.sample_ids


def test_the_table_says_where_it_came_from(
    tiny_model: OnnxModel, texts: tuple[TextExample, ...]
) -> None:
    table = table_of(tiny_model, texts, method="minmax", samples=5, seed=9)

    assert (table.method, table.seed) == ("minmax", 9)
    assert set(table.sample_ids) < {one.id for one in texts}
    assert table.data_fingerprint == fingerprint_of(texts)
    table.check_fits(weights_fingerprint(tiny_model.graph))


def test_the_model_is_left_as_it_was(tiny_model: OnnxModel, texts: tuple[TextExample, ...]) -> None:
    before = tiny_model.graph.SerializeToString()

    table_of(tiny_model, texts[:2])

    assert tiny_model.graph.SerializeToString() == before


def test_long_texts_are_cut(tiny_model: OnnxModel) -> None:
    long = (TextExample("a", "film " * 400),)

    for max_length, tokens in ((16, 16), (None, 128)):
        settings = Settings() if max_length is None else Settings(max_length=max_length)
        seen = table_of(tiny_model, long, **settings).range_of(f"{LAYER}.output.dense")

        assert seen.count == tokens * 64


def test_progress_counts_the_inputs(tiny_model: OnnxModel, texts: tuple[TextExample, ...]) -> None:
    told: list[tuple[str, int, int]] = []

    calibrate(
        tiny_model,
        texts[:10],
        task=make_task(tiny_model.task, tiny_model.config),
        batch_size=4,
        progress=lambda *said: told.append(said),
    )

    assert told == [("calibrate", 4, 10), ("calibrate", 8, 10), ("calibrate", 10, 10)]


# --- what can't be meant --------------------------------------------------------------------------


def test_no_examples(tiny_model: OnnxModel) -> None:
    with pytest.raises(CalibrationError, match="needs at least one example, got 0"):
        table_of(tiny_model, ())


def test_a_graph_without_products(tiny_model: OnnxModel, texts: tuple[TextExample, ...]) -> None:
    model = one_product(tiny_model, "tokens")
    del model.graph.graph.node[-1]

    with pytest.raises(CalibrationError, match="nothing to calibrate"):
        table_of(model, texts)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Settings(method="percentle"), "did you mean 'percentile'"),
        (Settings(samples=0), "samples must be 1 or more, got 0"),
        (Settings(batch_size=0), "batch_size must be 1 or more, got 0"),
        (Settings(max_length=0), "max_length must be 1 or more, got 0"),
        (Settings(max_length=129), "max_length must be up to 128"),
    ],
)
def test_settings_that_cannot_be_meant(
    tiny_model: OnnxModel, texts: tuple[TextExample, ...], settings: Settings, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        table_of(tiny_model, texts, **settings)
