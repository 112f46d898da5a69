"""What a graph asks of the builder, what is set, and what an older TensorRT has not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.errors import (
    BuildError,
    MissingError,
    UsageError,
)
from bertcompress.passes.tensorrt.build_engine import BuildEngine
from bertcompress.passes.tensorrt.knobs import precisions_of
from bertcompress.passes.tensorrt.quantize_tensorrt import QuantizeTensorrt
from fixtures.engines import NEEDS_TRANSFORMERS_5, PACKED, SHORT, TARGETS, VERSIONS, flags

pytestmark = NEEDS_TRANSFORMERS_5


Graphs = Callable[..., OnnxModel]


Fake = Callable[..., Any]


def test_what_a_graph_asks_for(tiny_graph: Graphs, int8: Callable[..., OnnxModel]) -> None:
    plain = precisions_of(tiny_graph())
    assert (plain.int8, plain.fp16) == (False, False)
    half = precisions_of(QuantizeTensorrt(precision="fp16")(tiny_graph()))
    assert (half.int8, half.fp16) == (False, True)
    old = precisions_of(QuantizeTensorrt(precision="fp16", target="8.5")(tiny_graph()))
    assert (old.int8, old.fp16) == (False, True)
    eight = precisions_of(replace(int8("8.5"), history=()))
    assert (eight.int8, eight.fp16) == (True, False)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_setting_reaches_the_builder_or_is_refused(
    version: str, tiny_graph: Graphs, fake_tensorrt: Fake
) -> None:
    trt = fake_tensorrt(version)
    model = QuantizeTensorrt(precision="fp16", target=TARGETS[version])(tiny_graph())
    asked = {
        "workspace_bytes": 2**30,
        "optimization_level": 4,
        "max_aux_streams": 0,
        "max_num_tactics": 5,
        "strip": True,
        "version_compatible": True,
        "hardware": "ampere+",
    }
    lacking = {
        "8.5.3.1": set(asked) - {"workspace_bytes"},
        "8.6.1": {"max_num_tactics", "strip"},
    }.get(version, set())
    for name in lacking:
        with pytest.raises(UsageError, match=rf"TensorRT {version} has no .*; leave it out"):
            BuildEngine(**SHORT, **{name: asked[name]})(model)
    trt = fake_tensorrt(version)
    kept = {name: value for name, value in asked.items() if name not in lacking}
    engine = BuildEngine(**SHORT, **kept)(model)
    [config] = trt.state.configs
    assert config._pools == {trt.MemoryPoolType.WORKSPACE: 2**30}
    assert config.profiling_verbosity == trt.ProfilingVerbosity.DETAILED
    if version.startswith("1"):
        assert (config.builder_optimization_level, config.max_aux_streams) == (4, 0)
        assert config.max_num_tactics == 5
        assert flags(trt) == {"STRIP_PLAN", "REFIT_IDENTICAL", "VERSION_COMPATIBLE"}
        assert config.hardware_compatibility_level == trt.HardwareCompatibilityLevel.AMPERE_PLUS
        assert trt.state.refits == 1
        assert len(engine.plan) < 10_000 < engine.graph.ByteSize()
    sharing = version in ("8.6.1", "10.16.1.11")
    assert [one.name for one in config._previews] == ["PROFILE_SHARING_0806"] * sharing
    assert {**engine.record.knobs, **kept} == engine.record.knobs


def test_a_graph_for_another_runtime_is_refused(
    tiny_graph: Graphs, int8: Callable[..., OnnxModel], fake_tensorrt: Fake
) -> None:
    fake_tensorrt("8.5.3.1")
    with pytest.raises(BuildError, match=r"opset 23.*target 8\.5"):
        BuildEngine(**SHORT)(tiny_graph())
    fake_tensorrt("10.16.1.11")
    with pytest.raises(BuildError, match=r"precision: the graph is float32"):
        BuildEngine(**SHORT)(int8("8.6"))


def test_an_older_tensorrt_can_not_pack(tiny_graph: Graphs, fake_tensorrt: Fake) -> None:
    for version in VERSIONS[:-1]:
        fake_tensorrt(version)
        with pytest.raises(MissingError, match=rf"needs TensorRT 11\.1 or newer, found {version}"):
            BuildEngine(**PACKED)(tiny_graph())
