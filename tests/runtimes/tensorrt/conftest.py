"""Engines of the tiny model, built by the TensorRT that does not need a GPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bertcompress.artifacts.artifact import OnnxModel, save
from bertcompress.passes.tensorrt.build_engine import BuildEngine
from bertcompress.passes.tensorrt.quantize_tensorrt import QuantizeTensorrt

TARGETS = {"8.5.3.1": "8.5", "8.6.1": "8.6", "10.16.1.11": "10.14", "11.1.0.106": "10.14"}
Graphs = Callable[..., OnnxModel]
Fake = Callable[..., Any]


@pytest.fixture(scope="session")
def half(tiny_graph: Graphs) -> Callable[[str, str], OnnxModel]:
    """Gives ``half("8.5", task)``: the tiny model's FP16 graph for a target, made once."""
    made: dict[tuple[str, str], OnnxModel] = {}

    def make(target: str, task: str) -> OnnxModel:
        if (target, task) not in made:
            step = QuantizeTensorrt(precision="fp16", target=target)
            made[target, task] = step(tiny_graph(task=task))
        return made[target, task]

    return make


@pytest.fixture
def engine(
    half: Callable[[str, str], OnnxModel], fake_tensorrt: Fake, tmp_path: Path
) -> Callable[..., tuple[Path, Any]]:
    """Gives ``engine("8.5.3.1", …)``: a folder with an engine, and the TensorRT that built it."""

    def make(
        version: str = "11.1.0.106", task: str = "text-classification", **settings: object
    ) -> tuple[Path, Any]:
        trt = fake_tensorrt(version)
        model = half(TARGETS[version], task)
        given = {"goal": "throughput", "lengths": (8, 16), "batches": (2,), **settings}
        made = BuildEngine(**given)(model)  # type: ignore[arg-type]  # a test's settings
        folder = save(made, tmp_path / f"engine-{version}-{task}", overwrite=True)
        return folder, trt

    return make
