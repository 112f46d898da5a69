"""What is asked of an engine, as passes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bertcompress.errors import MissingDependencyError, UsageError
from bertcompress.passes.tensorrt.build_engine import BuildEngine
from bertcompress.passes.tensorrt.quantize_tensorrt import QuantizeTensorrt
from bertcompress.recipes.build_recipe import BuildOptions, build_passes, check_platform


def test_a_graph_is_made_first_where_a_precision_is_asked() -> None:
    build = BuildEngine(goal="throughput", lengths=(16,), max_num_tactics=4, strip=True, seed=3)
    asked = BuildOptions("throughput", lengths=(16,), max_tactics=4, strip_weights=True)
    assert build_passes(asked, seed=3) == (build,)
    asked = BuildOptions(precision="fp16", target="8.6")
    quantize = QuantizeTensorrt(precision="fp16", target="8.6", seed=3)
    assert build_passes(asked, seed=3) == (quantize, BuildEngine(seed=3))


def test_what_can_not_be_meant() -> None:
    with pytest.raises(UsageError, match="target is for the graph that --precision makes"):
        BuildOptions(target="8.6")
    with pytest.raises(UsageError, match=r"goal must be one of .* did you mean 'latency'"):
        build_passes(BuildOptions("latencie"))


def test_what_is_missing_is_told_first(
    monkeypatch: pytest.MonkeyPatch, fake_tensorrt: Callable[..., object]
) -> None:
    with monkeypatch.context() as without:
        without.setitem(__import__("sys").modules, "tensorrt", None)
        with pytest.raises(MissingDependencyError, match="building an engine"):
            check_platform()
    fake_tensorrt()
    check_platform()
