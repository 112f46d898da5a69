"""Engines: built as the graph says in each TensorRT, told, cancelled, compared and kept."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bertcompress.artifacts.artifact import Checkpoint, Engine, OnnxModel, Step, save
from bertcompress.bert.loading.load import load
from bertcompress.errors import (
    BuildError,
    ExportError,
    MissingDependencyError,
    MissingError,
    MissingHardwareError,
    PassError,
    UsageError,
)
from bertcompress.examples import Example
from bertcompress.passes.context import Context
from bertcompress.passes.tensorrt.build_engine import BuildEngine
from bertcompress.passes.tensorrt.quantize_tensorrt import QuantizeTensorrt
from fixtures.engines import NEEDS_TRANSFORMERS_5, PACKED, SHORT, TARGETS, VERSIONS, flags

pytestmark = NEEDS_TRANSFORMERS_5
Graphs = Callable[..., OnnxModel]
Fake = Callable[..., Any]
Examples = Callable[..., tuple[Example, ...]]


@pytest.mark.parametrize("version", VERSIONS)
def test_each_version_builds_the_graphs_own_precision(
    version: str, int8: Callable[..., OnnxModel], fake_tensorrt: Fake
) -> None:
    trt = fake_tensorrt(version)
    engine = BuildEngine(**SHORT)(int8(TARGETS[version]))
    typed = version.startswith("1")
    assert flags(trt) == (set() if typed else {"INT8", "FP16"})
    assert trt.state.strong is typed
    assert engine.kind == "engine"
    assert engine.record.knobs["flags"] == ([] if typed else ["INT8", "FP16"])
    assert engine.record.platform.tensorrt == version
    assert engine.record.parity["largest_difference"] < 1e-6  # type: ignore[operator]  # a number
    step = engine.history[-1]
    assert step.name == "BuildEngine"
    assert step.settings["goal"] == "throughput"
    assert "layers_by_precision" in step.details


def test_a_float_graph_is_built_without_tf32_and_without_flags(
    tiny_graph: Graphs, fake_tensorrt: Fake
) -> None:
    trt = fake_tensorrt()
    BuildEngine(**SHORT)(tiny_graph())
    assert flags(trt) == set()
    trt = fake_tensorrt()
    BuildEngine(**SHORT, tf32=True)(tiny_graph())
    assert flags(trt) == {"TF32"}


def test_profiles_follow_the_texts(
    tiny_graph: Graphs, examples: Examples, fake_tensorrt: Fake
) -> None:
    trt = fake_tensorrt()
    engine = BuildEngine()(tiny_graph(), Context(examples()))
    assert trt.state.profiles == [
        dict.fromkeys(trt.state.profiles[0], ((1, 1), (1, one.opt[1]), (1, 16)))
        for one in engine.record.profiles
    ]
    assert set(trt.state.profiles[0]) == {"input_ids", "attention_mask", "token_type_ids"}
    assert engine.record.profiles[0].opt[1] in range(4, 11)


def test_what_can_go_wrong_is_said(tiny_graph: Graphs, fake_tensorrt: Fake) -> None:
    build, model = BuildEngine(**SHORT), tiny_graph()
    fake_tensorrt().state.no_plan = True
    with pytest.raises(BuildError, match="made no engine: no kernel fits"):
        build(model)
    fake_tensorrt().state.refused = ("add_optimization_profile",)
    with pytest.raises(BuildError, match="refused the profile"):
        build(model)
    fake_tensorrt().state.refused = ("deserialize_cuda_engine",)
    with pytest.raises(BuildError, match="can't load the engine it made"):
        build(model)
    fake_tensorrt().state.no_device = True
    with pytest.raises(MissingHardwareError, match="CUDA initialization failure"):
        build(model)
    fake_tensorrt().torch.cuda.there = False
    with pytest.raises(MissingHardwareError, match="no CUDA device"):
        build(model)
    fake_tensorrt().torch.version.cuda = None
    with pytest.raises(MissingError, match="pip install torch --index-url"):
        build(model)


def test_without_tensorrt_the_install_line_is_said(
    tiny_graph: Graphs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(MissingDependencyError) as caught:
        BuildEngine(**SHORT)(tiny_graph())
    line = 'pip install "bertcompress[tensorrt]" --extra-index-url https://pypi.nvidia.com'
    assert str(caught.value).endswith(line)
    assert caught.value.exit_code == 5


def test_a_checkpoint_and_bad_settings_are_refused(
    tiny_checkpoint: Callable[..., Checkpoint], tiny_graph: Graphs, fake_tensorrt: Fake
) -> None:
    with pytest.raises(PassError, match="export it first"):
        BuildEngine()(tiny_checkpoint())
    for settings, message in (
        ({"goal": "latancy"}, "did you mean 'latency'"),
        ({"hardware": "ampere"}, r"did you mean 'ampere\+'"),
        ({"optimization_level": 6}, "0 to 5, got 6"),
        ({"max_num_tactics": 0}, "max_num_tactics must be 1 or more"),
        ({"max_aux_streams": -1}, "max_aux_streams must be 0 or more"),
        ({"tolerance": 0.0}, "tolerance must be above 0"),
        ({"lengths": (32, 16)}, "ascending, got 32,16"),
    ):
        with pytest.raises(UsageError, match=message):
            BuildEngine(**settings)
    fake_tensorrt()
    with pytest.raises(UsageError, match="add --data, or say them: --lengths"):
        BuildEngine()(tiny_graph())
    with pytest.raises(UsageError, match="max_length must be up to 128, which the model"):
        BuildEngine(max_length=500)(tiny_graph())
    with pytest.raises(UsageError, match="lengths must be up to the model's 128, got 256"):
        BuildEngine(lengths=(256,))(tiny_graph())


def test_saved_and_loaded_it_is_the_same(
    tiny_graph: Graphs, fake_tensorrt: Fake, tmp_path: Path
) -> None:
    fake_tensorrt()
    engine = BuildEngine(**SHORT)(tiny_graph())
    folder = save(engine, tmp_path / "engine")
    found = load(folder)
    assert isinstance(found, Engine)
    assert found.plan == engine.plan
    kept = json.loads((folder / "engines" / engine.record.key / "model.json").read_text())
    assert json.dumps(found.record.to_json()) == json.dumps(engine.record.to_json())
    assert kept["parity"]["allowed"] > 0
    assert kept["platform"]["driver"] == "580"
    assert found.record.key == engine.record.key
    assert (folder / "engines" / engine.record.key / "model.plan").read_bytes() == engine.plan
    assert "H100" in (folder / "README.md").read_text()
    source = found.source
    assert isinstance(source, OnnxModel)
    assert [step.name for step in source.history] == ["ExportOnnx"]


def test_the_key_is_that_of_what_decides_the_build(tiny_graph: Graphs, fake_tensorrt: Fake) -> None:
    def key(*, version: str = "11.1.0.106", model: OnnxModel | None = None, **more: Any) -> str:
        trt = fake_tensorrt(version)
        trt.torch.cuda.device.multi_processor_count = more.pop("sm_count", 132)
        settings = {**SHORT, **more}
        return BuildEngine(**settings)(model or tiny_graph()).record.key

    recipe = Step("Other", {}, 0.0, None, None, 1, 1)
    keys = [
        key(),
        key(version="10.16.1.11"),
        key(sm_count=114),
        key(lengths=(16,)),
        key(max_num_tactics=9),
        key(model=QuantizeTensorrt(precision="fp16")(tiny_graph())),
        key(model=replace(tiny_graph(), history=(recipe,))),
    ]
    assert len(set(keys)) == len(keys)
    assert key() == keys[0]
    assert key(seed=5) == keys[0]


@pytest.mark.parametrize("strip", [False, True])
@pytest.mark.parametrize("task", ["text-classification", "token-classification"])
def test_a_packed_engine_answers_as_the_padded_graph(
    task: str, strip: bool, tiny_graph: Graphs, fake_tensorrt: Fake
) -> None:
    trt = fake_tensorrt()
    model = QuantizeTensorrt(precision="fp16")(tiny_graph(task=task))
    engine = BuildEngine(**PACKED, strip=strip)(model)
    assert engine.record.knobs["goal"] == "packed"
    assert engine.graph == model.graph  # what lies beside the plan runs anywhere
    assert engine.record.parity["largest_difference"] < 5e-3  # type: ignore[operator]  # a number
    [shapes] = trt.state.profiles
    assert shapes == {
        "input_ids": ((1, 1), (4, 16), (4, 16)),
        "token_type_ids": ((1, 1), (4, 16), (4, 16)),
        "packed_rows": ((1,), (64,), (64,)),
        "padded_rows": ((1, 1), (4, 16), (4, 16)),
        "query_lengths": ((2,), (5,), (5,)),
        "kv_lengths": ((2,), (5,), (5,)),
    }
    assert trt.state.refits == strip


def test_a_packed_engine_holds_all_lengths_in_one_profile(
    tiny_graph: Graphs, examples: Examples, fake_tensorrt: Fake
) -> None:
    fake_tensorrt()
    texts = (*examples(), replace(examples()[0], text="a film " * 20))
    profiles = BuildEngine(goal="packed")(tiny_graph(), Context(texts)).record.profiles
    assert [(one.least, one.most) for one in profiles] == [
        ((1, 1), (8, 64)),
        ((9, 1), (32, 64)),
        ((33, 1), (128, 64)),
    ]


def test_a_graph_without_the_operator_can_not_be_packed(
    tiny_graph: Graphs, fake_tensorrt: Fake
) -> None:
    trt = fake_tensorrt()
    model = QuantizeTensorrt(precision="fp16", target="10.0")(tiny_graph())
    with pytest.raises(ExportError, match=r"make the graph for target 10\.14"):
        BuildEngine(**PACKED)(model)
    assert trt.state.networks == []
