"""Fake-quantized models of every family: what is trained is what the quantized graph answers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bert.families import check_model_type, input_names
from bertcompress.bert.surgery import cut
from bertcompress.errors import PassError
from bertcompress.examples import TextExample
from bertcompress.graph.integer.embeddings import SMALLEST_TABLE, blocks_of
from bertcompress.graph.products import HEADS
from bertcompress.machine.cpu import cpu_flags, saturates
from bertcompress.passes.context import Context
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.quantize.audit import chosen_modules
from bertcompress.passes.quantize.quantize_static import QuantizeStatic
from bertcompress.passes.quantize.quantize_weights import QuantizeWeights
from bertcompress.passes.ranges import Ranges
from bertcompress.runtimes.ort.runtime import run_graph
from bertcompress.train import quantized_modules as modules
from bertcompress.train.fake_quant import InputRange, round_rows, round_table
from bertcompress.train.train_quantized import rounding_in_blocks
from bertcompress_calibration import calibrate_ranges

Answer = Callable[[PreTrainedModel, Mapping[str, torch.Tensor]], torch.Tensor]
Tiny = Callable[..., Checkpoint]
Inputs = dict[str, torch.Tensor]
BERT = check_model_type("bert")
RANGE = (-4.0, 4.0)
IN_TABLES = partial(round_table, format_=blocks_of(32))
TEXTS = tuple(
    TextExample(str(at), text)
    for at, text in enumerate(("the film is good", "a bad film", "who is in a film", "not bad"))
)


def fed(model: PreTrainedModel, inputs: Inputs) -> Inputs:
    """Returns the inputs that the model takes, without padding and with small numbers."""
    whole = {**inputs, "input_ids": 5 + inputs["input_ids"] % 30}
    whole["attention_mask"] = torch.ones_like(whole["attention_mask"])
    return {name: whole[name] for name in input_names(model.config)}


def pruned(checkpoint: Checkpoint) -> Checkpoint:
    """Returns it with unequal heads, an odd width and an empty attention or FFN in each layer."""
    model = cut(checkpoint.model, heads=((), (0, 2, 3)), ffn=(tuple(range(37)), ()))
    return replace(checkpoint, model=model)


def with_8_bits(
    model: PreTrainedModel, ranges: Mapping[str, tuple[float, float]]
) -> PreTrainedModel:
    chosen = chosen_modules(modules.linear_modules(model), HEADS)
    return modules.with_fake_quantization(
        model,
        linears=dict.fromkeys(chosen, round_rows),
        tables=dict.fromkeys(modules.tables_of(model, rows=SMALLEST_TABLE), IN_TABLES),
        ranges=ranges,
    )


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).norm() / other.norm())


@pytest.mark.skipif(
    saturates(cpu_flags()), reason="without VNNI weights are stored in 7 bits: other integers"
)
@pytest.mark.parametrize("name", ["bert", "roberta", "electra", "distilbert"])
def test_the_fake_and_the_real_integers_give_the_same_answers(
    name: str, tiny_family: Tiny, inputs: Inputs, answer: Answer
) -> None:
    checkpoint = pruned(tiny_family(check_model_type(name)))
    graph = ExportOnnx()(checkpoint)
    context = Context(TEXTS, calibrate=calibrate_ranges)
    table = context.ranges_of(graph, Ranges(), seed=0)
    integers = QuantizeStatic()(graph, context)
    feed = fed(checkpoint.model, inputs)

    ranges = {name: (one.low, one.high) for name, one in table.ranges.items()}
    student = with_8_bits(checkpoint.model, ranges)
    found = answer(student.eval(), feed)

    [real] = run_graph(integers.graph, [{name: one.numpy() for name, one in feed.items()}])
    exact = answer(checkpoint.model, feed)
    shipped = torch.from_numpy(real["logits"])
    assert distance(shipped, exact) > 1e-3  # the integers do change the answers
    assert distance(found, shipped) < 0.1 * distance(shipped, exact)


def test_blocks_of_4_bits_are_those_of_the_graph(
    tiny_family: Tiny, inputs: Inputs, answer: Answer
) -> None:
    checkpoint = pruned(tiny_family(BERT))
    quantize = QuantizeWeights(bits=4, block_size=16, rounding="rtn")
    graph = quantize(ExportOnnx()(checkpoint))
    feed = fed(checkpoint.model, inputs)

    model = checkpoint.model
    chosen = chosen_modules(modules.linear_modules(model), HEADS)
    tables = modules.tables_of(model, rows=SMALLEST_TABLE)
    student = modules.with_fake_quantization(
        model,
        linears=rounding_in_blocks(model, chosen, 16),
        tables=rounding_in_blocks(model, tables, 16),
        ranges={},
    )
    found = answer(student.eval(), feed)

    [real] = run_graph(graph.graph, [{name: one.numpy() for name, one in feed.items()}])
    shipped = torch.from_numpy(real["logits"])  # whose kernel rounds activations as well
    assert distance(found, shipped) < 0.2 * distance(shipped, answer(checkpoint.model, feed))


@pytest.fixture
def student(tiny_checkpoint: Tiny) -> PreTrainedModel:
    """Gives a fake-quantized BERT whose ranges are all the same."""
    model = tiny_checkpoint().model
    ranges = dict.fromkeys(modules.linear_modules(model), RANGE)
    return with_8_bits(model, ranges)


def test_query_key_and_value_share_one_range(student: PreTrainedModel) -> None:
    ranges = {id(one) for one in student.modules() if isinstance(one, InputRange)}
    trained = [name for name, _ in student.named_parameters() if name.endswith("stretch")]

    assert len(ranges) == len(trained) == 2 * 4 + 1  # four inputs a layer, and the pooler's
    assert len(modules.ranges_in(student)) == 2 * 6 + 1


def test_a_copy_is_independent_and_still_shares(student: PreTrainedModel) -> None:
    copied = copy.deepcopy(student)
    prefix = "bert.encoder.layer.0.attention.self."
    with torch.no_grad():
        copied.get_parameter(f"{prefix}query.inputs.stretch").fill_(0.01)

    ranges, others = modules.ranges_in(copied), modules.ranges_in(student)
    assert ranges[f"{prefix}query"] == ranges[f"{prefix}key"] == ranges[f"{prefix}value"]
    assert ranges[f"{prefix}key"] != others[f"{prefix}key"] == RANGE


def test_state_is_saved_and_read_back(
    student: PreTrainedModel, inputs: Inputs, answer: Answer, tmp_path: Path
) -> None:
    other = copy.deepcopy(student)
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(torch.full_like(parameter, 0.003))
    save_file(student.state_dict(), tmp_path / "state.safetensors")  # refuses shared tensors

    other.load_state_dict(load_file(tmp_path / "state.safetensors"))

    feed = fed(student, inputs)
    assert torch.equal(answer(other, feed), answer(student, feed))
    assert modules.ranges_in(other) == modules.ranges_in(student)


def test_the_original_is_left_alone_and_gets_trained_weights_in_a_copy(
    tiny_checkpoint: Tiny, student: PreTrainedModel
) -> None:
    model = tiny_checkpoint().model
    before = {name: one.clone() for name, one in model.state_dict().items()}
    with torch.no_grad():
        student.get_parameter("bert.pooler.dense.weight").add_(1.0)

    result = modules.with_weights_of(model, student)

    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())
    assert not any(isinstance(one, modules.QuantizedLinear) for one in result.modules())
    changed = result.get_parameter("bert.pooler.dense.weight")
    assert torch.equal(changed, before["bert.pooler.dense.weight"] + 1.0)


def test_weights_that_are_no_numbers_are_refused(
    tiny_checkpoint: Tiny, student: PreTrainedModel
) -> None:
    with torch.no_grad():
        student.get_parameter("bert.pooler.dense.bias")[3] = float("nan")
    with pytest.raises(PassError, match=r"made bert\.pooler\.dense\.bias NaN.*lower learning_rate"):
        modules.with_weights_of(tiny_checkpoint().model, student)


def test_without_dropout_training_and_evaluation_answer_the_same(
    tiny_checkpoint: Tiny, inputs: Inputs, answer: Answer
) -> None:
    model = tiny_checkpoint().model
    feed = fed(model, inputs)
    assert not torch.equal(answer(model.train(), feed), answer(model.eval(), feed))

    modules.without_dropout(model)

    assert torch.equal(answer(model.train(), feed), answer(model.eval(), feed))
