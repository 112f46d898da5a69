"""The ranges that a checkpoint was trained with, as a small file that travels with it.

`TrainQuantized` leaves them beside the weights (``trained_ranges.json``), every later pass hands
them on, and `QuantizeStatic` takes them with the method ``trained``, so that what is shipped is
what was trained::

    {"format": 1, "weights": "0123456789abcdef", "seed": 0, "data": "…", "sample_ids": [],
     "ranges": {"bert.encoder.layer.0.attention.self.query": [-3.1, 4.2], …}}

``weights`` is the hash of the linear layers' weights, which torch stores ``[out, in]`` and a graph
``[in, out]``; it is taken over ``[out, in]``. Ranges of other weights are refused: pruning,
training or another layout after the ranges were trained would make them wrong, without a word.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel
from bertcompress.artifacts.calibration_table import CalibrationTable, TensorRange
from bertcompress.artifacts.manifest import RANGES_NAME
from bertcompress.codec import from_plain
from bertcompress.errors import CalibrationError, DataError
from bertcompress.graph.edit import initializer_values
from bertcompress.graph.fingerprint import weights_fingerprint
from bertcompress.graph.products import weight_products
from bertcompress.passes.ranges import TRAINED
from bertcompress.reading import json_value

if TYPE_CHECKING:
    from torch import nn

FORMAT_VERSION = 1


def ranges_file(
    checkpoint: Checkpoint, ranges: Mapping[str, tuple[float, float]], calibrated: CalibrationTable
) -> bytes:
    """Returns the file's content.

    Args:
        checkpoint: The trained one, without fake quantization.
        ranges: Lower and upper end of the input of each quantized linear layer, by module path.
        calibrated: Where they started from.
    """
    linears = {name: cast("nn.Linear", checkpoint.model.get_submodule(name)) for name in ranges}
    weights = {name: linear.weight.detach().cpu().numpy() for name, linear in linears.items()}
    facts = {
        "format": FORMAT_VERSION,
        "weights": _fingerprint(weights.items()),
        "seed": calibrated.seed,
        "data": calibrated.data_fingerprint,
        "sample_ids": list(calibrated.sample_ids),
        "ranges": {name: list(ends) for name, ends in ranges.items()},
    }
    return json.dumps(facts, ensure_ascii=False, indent=1, allow_nan=False).encode()


def trained_ranges(model: OnnxModel) -> CalibrationTable:
    """Returns the ranges that a graph's checkpoint was trained with.

    Raises:
        CalibrationError: If the model carries none, or they belong to other weights.
    """
    content = model.side_files.get(RANGES_NAME)
    if content is None:
        raise CalibrationError(
            f"this model carries no trained ranges ({RANGES_NAME}); train them with "
            "TrainQuantized before the export, or find ranges on data"
        )
    try:
        plain = cast("Mapping[str, Any]", json_value(content))
        version = plain["format"]
        if version > FORMAT_VERSION:
            raise CalibrationError(
                f"{RANGES_NAME} has format {version}, this bertcompress reads up to "
                f"{FORMAT_VERSION}; type: pip install --upgrade bertcompress"
            )
        facts = from_plain(_Facts, plain, RANGES_NAME)
    except (ValueError, KeyError, TypeError, DataError) as error:
        raise CalibrationError(f"{RANGES_NAME} is damaged ({error}); train again") from error
    return facts.table_for(model)


@dataclass(frozen=True)
class _Facts:
    """What the file holds."""

    ranges: Mapping[str, tuple[float, float]]
    weights: str
    seed: int
    data: str
    sample_ids: tuple[str, ...]

    def table_for(self, model: OnnxModel) -> CalibrationTable:
        products = {product.module: product for product in weight_products(model.graph)}
        weights = {
            name: cast(
                "NDArray[np.float32]", initializer_values(model.graph, products[name].weight)
            ).T
            for name in self.ranges
            if name in products
        }
        if _fingerprint(weights.items()) != self.weights:
            raise CalibrationError(
                f"{RANGES_NAME} belongs to other weights: the model was changed after its ranges "
                "were trained; train them last, or find ranges on data"
            )
        none = np.zeros(0, dtype=np.int64)
        return CalibrationTable(
            ranges={
                name: TensorRange(products[name].tensor, low, high, low, high, 0, none)
                for name, (low, high) in self.ranges.items()
            },
            method=TRAINED,
            sample_ids=self.sample_ids,
            seed=self.seed,
            data_fingerprint=self.data,
            weights_fingerprint=weights_fingerprint(model.graph),
        )


def _fingerprint(weights: Iterable[tuple[str, NDArray[np.float32]]]) -> str:
    """Returns the SHA-256 over weights ``[out, in]``, by name, as 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for name, values in sorted(weights, key=lambda item: item[0]):
        digest.update(f"{name} {values.shape}".encode())
        digest.update(np.ascontiguousarray(values, dtype=np.float32).tobytes())
    return digest.hexdigest()[:16]
