"""The machine's limits: the measuring process, and the least time that they allow."""

from __future__ import annotations

import pytest

from bertcompress.bench.roofs import Roof, Roofs, attainable, better_of, sustained
from bertcompress.bench.worker import roof_kernels
from bertcompress.errors import MissingDependencyError
from bertcompress.profiling.operations import Work


def roofs(**rates: float) -> Roofs:
    made = [Roof(kind, 2, rate, (rate,), "made up") for kind, rate in rates.items()]  # type: ignore[arg-type]  # a kind
    return Roofs(2, tuple(made))


def test_the_rate_is_the_median_of_the_fastest_tenth() -> None:
    assert sustained([10.0] * 97 + [100.0, 99.0, 98.0]) == 10.0
    assert sustained([1.0] * 6 + [9.0, 8.0, 7.0, 6.0, 5.0, 4.0]) == 8.0
    assert sustained([1.0, 2.0, 9.0, 8.0] * 10) == 9.0
    assert sustained([5.0]) == 5.0


def test_the_longer_of_computing_and_reading_is_the_limit() -> None:
    machine = roofs(fp32=100.0, int8=400.0, read=10.0)

    computing = attainable(Work(200.0, 800.0, 1.0), machine)
    reading = attainable(Work(200.0, 800.0, 90.0), machine)

    assert computing is not None
    assert reading is not None
    assert (computing.seconds, computing.bound) == (4.0, "compute")
    assert (reading.seconds, reading.bound) == (9.0, "memory")


def test_a_limit_that_is_missing_is_not_guessed() -> None:
    assert attainable(Work(1.0, 0.0, 1.0), roofs(fp32=1.0, read=1.0)) is not None
    assert attainable(Work(1.0, 1.0, 1.0), roofs(fp32=1.0, read=1.0)) is None
    assert attainable(Work(1.0, 0.0, 1.0), roofs(read=1.0)) is None
    assert attainable(Work(1.0, 0.0, 1.0), roofs(fp32=1.0, int8=1.0)) is None


def test_the_better_of_two_measurements_is_kept() -> None:
    before, after = roofs(fp32=100.0, read=7.0), roofs(fp32=90.0, read=8.0, int8=5.0)

    best = better_of(before, after)

    assert best is not None
    assert {one.kind: one.rate for one in best.measured} == {"fp32": 100, "read": 8, "int8": 5}
    assert better_of(None, None) is None
    assert better_of(Roofs(1, (), ("why",)), Roofs(1, (), ("why",))) == Roofs(1, (), ("why",))
    failed_once = better_of(Roofs(2, (), ("why",)), after)
    assert failed_once == after


def test_without_onnxruntime_memory_is_still_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(purpose: str) -> None:
        raise MissingDependencyError("onnxruntime", "cpu", purpose)

    monkeypatch.setattr(roof_kernels, "import_onnxruntime", missing)
    monkeypatch.setattr(roof_kernels, "_SMALLEST_ARRAY", 1 << 22)
    monkeypatch.setattr(roof_kernels, "_LARGEST_ARRAY", 1 << 22)

    found = roof_kernels.measure(1, 0.01)

    assert {one.kind for one in found.measured} == {"read", "copy"}
    assert "matrix products: " in found.unavailable[0]
    assert "onnxruntime" in found.unavailable[0]
