"""NNCF on ONNX graphs, and its only home: opened so that it neither calls home nor talks.

Its switch ``NNCF_CI`` keeps events from being sent, but importing NNCF with it still writes a
client number and a counter into the home folder: see `bertcompress.quiet.without_telemetry`.

What NNCF 3.4 can't do on ONNX graphs, and what is done instead:

* A product that accuracy control puts back into float gets the weight from before smoothing, while
  its input stays smoothed: a wrong answer, which is then measured as lost accuracy. So
  `quantize_within` is given a graph that `smooth` has smoothed before.
* It can't rank products by the outputs' error (``UnsupportedBackendError``): see `_Metric`.
* Its mode that puts back activations alone ends in an ``AttributeError``: `QuantizeNncf` quantizes
  the weights of what was put back by itself.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from bertcompress.errors import MissingDependencyError
from bertcompress.graph.edit import copy_of
from bertcompress.graph.integer.foreign_qdq import without_pairs
from bertcompress.passes.quantize.held_out import HeldOut
from bertcompress.progress import Progress
from bertcompress.quiet import without_telemetry

if TYPE_CHECKING:
    import onnx

_SWITCH = "NNCF_CI"
_ABOVE_ALL = logging.CRITICAL + 1
_NO_SMOOTHING = -1.0
_RANKED_ON = 100
"""Held-out inputs that products are ranked on, or half of them."""

Feed = Mapping[str, NDArray[np.int64]]


def import_nncf(purpose: str) -> ModuleType:
    """Imports the library with nothing to send with, or says how to install it.

    A process that imported NNCF by itself before keeps what it chose.

    Raises:
        MissingDependencyError: If it is not installed.
    """
    os.environ.setdefault(_SWITCH, "1")
    logger_class = logging.getLoggerClass()
    try:
        with without_telemetry(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import nncf
    except ImportError as error:
        raise MissingDependencyError("nncf", "nncf", purpose) from error
    finally:
        logging.setLoggerClass(logger_class)  # NNCF sets its own for the whole process
    return cast("ModuleType", nncf)


@dataclass(frozen=True)
class NncfWork:
    """What NNCF works on.

    Attributes:
        graph: In float; never changed.
        products: The names of the products to quantize. All other nodes are left alone.
        feeds: The inputs to calibrate on, each a batch of one without padding.
        progress: Is told how many inputs were run, once for each time that all are.
    """

    graph: onnx.ModelProto
    products: frozenset[str]
    feeds: Sequence[Feed]
    progress: Progress


def quantize(work: NncfWork, *, smooth_alpha: float | None) -> onnx.ModelProto:
    """Returns the graph with Q/DQ pairs around the products, and corrected biases."""
    nncf = import_nncf("quantizing with NNCF")
    return _quantized(nncf, work, _advanced(nncf, smooth_alpha))


def smooth(work: NncfWork, *, smooth_alpha: float) -> onnx.ModelProto:
    """Returns the graph with smoothed inputs and weights, in float: it answers the same."""
    nncf = import_nncf("quantizing with NNCF")
    settings = _advanced(nncf, smooth_alpha)
    settings.disable_bias_correction = True
    settings.backend_params = {"compress_weights": False}  # they stay float before their pair
    return without_pairs(_quantized(nncf, work, settings))


def quantize_within(work: NncfWork, held_out: HeldOut, *, max_drop: float) -> onnx.ModelProto:
    """Quantizes, then puts products back into float until no more than `max_drop` is lost.

    Args:
        work: Its graph is smoothed already, if it shall be.
        held_out: What the loss is measured on, against the graph that it was made with.
        max_drop: Of the task's metric, absolute.

    Returns:
        The graph; with all products put back, if that is what it takes.
    """
    nncf = import_nncf("quantizing with NNCF")
    before = copy_of(work.graph)
    ranked_on = max(1, min(_RANKED_ON, len(held_out.features) // 2))
    with _quiet():
        restored = nncf.quantize_with_accuracy_control(
            before,
            validation_dataset=nncf.Dataset(range(len(held_out.features))),
            validation_fn=_Metric(held_out, before, len(work.products), work.progress),
            max_drop=max_drop,
            advanced_quantization_parameters=_advanced(nncf, None),
            advanced_accuracy_restorer_parameters=nncf.AdvancedAccuracyRestorerParameters(
                ranking_subset_size=ranked_on, num_ranking_workers=1
            ),
            **_shared(nncf, work),
        )
    return cast("onnx.ModelProto", restored)


class _Metric:
    """What NNCF calls: the task's metric over all items, and over a few of them their error.

    NNCF calls it with all items to decide whether enough is restored, and with a few to rank the
    products. A few answers rarely change, so that their metric would rank nothing; the outputs'
    distance from the float graph's does. (On ONNX graphs NNCF can't compare outputs by itself.)
    The graph that all others are compared with counts as the float graph, so that what was
    quantized in it before is part of the loss.
    """

    def __init__(
        self, held_out: HeldOut, before: onnx.ModelProto, most: int, progress: Progress
    ) -> None:
        self._held_out, self._before = held_out, before
        self._most, self._progress = most, progress
        self._called = 0

    def __call__(self, graph: onnx.ModelProto, items: Iterable[int]) -> tuple[float, list[float]]:
        at = list(items)
        outputs = self._held_out.run(self._held_out.graph if graph is self._before else graph, at)
        nearness = [-error for error in self._held_out.errors(outputs, at)]
        if len(at) < len(self._held_out.features):
            return sum(nearness), nearness
        self._called += 1
        self._progress("hold accuracy", min(self._called, self._most), self._most)
        return self._held_out.value(outputs), nearness


class _Watched:
    """Inputs that tell how many of them were taken."""

    def __init__(self, feeds: Sequence[Feed], progress: Progress) -> None:
        self._feeds, self._progress = feeds, progress

    def __iter__(self) -> Iterator[Feed]:
        for done, feed in enumerate(self._feeds, start=1):
            self._progress("calibrate", done, len(self._feeds))
            yield feed

    def __len__(self) -> int:
        return len(self._feeds)


def _quantized(nncf: ModuleType, work: NncfWork, settings: object) -> onnx.ModelProto:
    with _quiet():
        quantized = nncf.quantize(
            copy_of(work.graph), advanced_parameters=settings, **_shared(nncf, work)
        )
    return cast("onnx.ModelProto", quantized)


def _shared(nncf: ModuleType, work: NncfWork) -> dict[str, object]:
    others = [node.name for node in work.graph.graph.node if node.name not in work.products]
    return {
        "calibration_dataset": nncf.Dataset(_Watched(work.feeds, work.progress)),
        "model_type": nncf.ModelType.TRANSFORMER,
        "preset": nncf.QuantizationPreset.MIXED,
        "subset_size": len(work.feeds),
        "ignored_scope": nncf.IgnoredScope(names=others, validate=False),
    }


def _advanced(nncf: ModuleType, smooth_alpha: float | None) -> Any:
    alpha = _NO_SMOOTHING if smooth_alpha is None else smooth_alpha
    alphas = nncf.AdvancedSmoothQuantParameters(matmul=alpha)
    return nncf.AdvancedQuantizationParameters(smooth_quant_alphas=alphas)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps its log, its bars and its warnings off the screen; errors are raised."""
    logger = logging.getLogger("nncf")
    level = logger.level
    logger.setLevel(_ABOVE_ALL)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
