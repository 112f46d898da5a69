"""A calibration table with all that it may hold, for the tests of its parts."""

from __future__ import annotations

import numpy as np
import pytest

from bertcompress.artifacts.calibration_table import CalibrationTable, Stability, TensorRange

QUERY = "encoder.layer.0.attention.self.query"
KEY = "encoder.layer.0.attention.self.key"
POOLER = "pooler.dense"


@pytest.fixture
def table() -> CalibrationTable:
    query = TensorRange(
        tensor="layer_norm_1",
        low=-0.1,
        high=0.7,
        minimum=-0.3,
        maximum=0.8,
        count=6,
        histogram=np.array([1, 0, 2, 3], dtype=np.int64),
        bin_width=0.25,
        token_minima=np.array([1, 0, 1, 0], dtype=np.int64),
        token_maxima=np.array([0, 0, 0, 2], dtype=np.int64),
        sample_minima=np.array([-0.3], dtype=np.float32),
        sample_maxima=np.array([0.8], dtype=np.float32),
        channel_absmax=np.array([0.3, 0.7, 0.8], dtype=np.float32),
        channel_mean=np.array([0.25, 0.5, 0.75], dtype=np.float32),
    )
    pooler = TensorRange("first_token", -1.0, 1.0, -1.0, 1.0, 9, np.zeros(0, dtype=np.int64))
    return CalibrationTable(
        ranges={QUERY: query, KEY: query, POOLER: pooler},
        method="percentile",
        sample_ids=("train.tsv:1", "train.tsv:ü"),
        seed=7,
        data_fingerprint="0123456789abcdef",
        weights_fingerprint="fedcba9876543210",
        split="train",
        stability=Stability((7, 8), {QUERY: 0.02, POOLER: 0.01}),
    )
