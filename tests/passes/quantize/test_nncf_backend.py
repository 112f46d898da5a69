"""NNCF sends nothing, writes nothing at home, prints nothing; and its faults are where we say."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.errors import MissingDependencyError
from bertcompress.graph.products import weight_products
from bertcompress.passes.quantize.nncf_backend import NncfWork, import_nncf, quantize, smooth
from bertcompress.progress import silent
from bertcompress.runtimes.ort.runtime import run_graph

pytest.importorskip("nncf", reason='needs nncf: pip install "bertcompress[nncf]"')

ROOT = Path(__file__).resolve().parents[3]
SPY = """
import socket, sys

def refused(*args, **kwargs):
    print("CALLED", args)
    raise OSError

socket.socket.connect = socket.getaddrinfo = socket.create_connection = refused
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from bertcompress.passes.quantize.nncf_backend import NncfWork, import_nncf, quantize

weight = numpy_helper.from_array(np.ones((4, 4), np.float32), "w")
graph = helper.make_model(
    helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], "m")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["b", 4])],
        [weight],
    ),
    opset_imports=[helper.make_opsetid("", 23)],
    ir_version=10,
)
feeds = [{"x": np.ones((1, 4), np.float32)}]
work = NncfWork(graph, frozenset({"m"}), feeds, lambda *done: None)
made = quantize(work, smooth_alpha=0.5)
assert any(node.op_type == "QuantizeLinear" for node in made.graph.node)
assert "pytest" not in sys.modules  # there NNCF sends nothing anyway
"""


def feed_of(length: int, seed: int = 0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {
        "input_ids": generator.integers(5, 80, (1, length)),
        "attention_mask": np.ones((1, length), dtype=np.int64),
        "token_type_ids": np.zeros((1, length), dtype=np.int64),
    }


@pytest.fixture
def work(tiny_graph: Callable[..., OnnxModel]) -> NncfWork:
    graph = tiny_graph().graph
    nodes = frozenset(product.node for product in weight_products(graph))
    return NncfWork(graph, nodes, [feed_of(6, seed) for seed in range(4)], silent)


@pytest.mark.slow
def test_nothing_is_sent_written_at_home_or_printed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SPY],
        env={
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPATH": str(ROOT),
            "HOME": str(tmp_path),
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in written if ".onnxruntime" not in path.parts] == []  # its own counter


def test_its_log_and_bars_stay_off_the_screen(
    work: NncfWork, capfd: pytest.CaptureFixture[str]
) -> None:
    logger, kind = logging.getLogger("nncf"), logging.getLoggerClass()
    level = logger.level
    quantize(work, smooth_alpha=None)
    assert capfd.readouterr() == ("", "")
    assert (logger.level, logging.getLoggerClass()) == (level, kind)


def test_progress_is_told_for_every_input(work: NncfWork) -> None:
    told: list[tuple[str, int, int]] = []
    watched = NncfWork(work.graph, work.products, work.feeds, lambda *one: told.append(one))
    quantize(watched, smooth_alpha=None)
    assert told[:4] == [("calibrate", done, 4) for done in (1, 2, 3, 4)]


def test_smoothed_it_answers_the_same_with_other_weights(work: NncfWork) -> None:
    smoothed = smooth(work, smooth_alpha=0.5)
    feed = feed_of(9)
    (expected,), (got,) = run_graph(work.graph, [feed]), run_graph(smoothed, [feed])
    np.testing.assert_allclose(got["logits"], expected["logits"], atol=1e-4)
    types = [node.op_type for node in smoothed.graph.node]
    assert not {"QuantizeLinear", "DequantizeLinear"} & set(types)
    assert types.count("Mul") > [node.op_type for node in work.graph.graph.node].count("Mul")


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "bertcompress\[nncf\]"'):
        import_nncf("quantizing with NNCF")
