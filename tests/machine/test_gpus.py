"""The driver's answers, from a library of the test's own with its functions."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest

from bertcompress.errors import MissingHardwareError
from bertcompress.machine import gpus as nvidia
from bertcompress.machine.gpus import Gpu, gpus, require_gpu

ATTRIBUTES = {16: 132, 75: 9, 76: 0}


class FakeDriver:
    """Writes through pointers, as libcuda does."""

    def __init__(self, *, count: int, initializes: bool = True) -> None:
        self.count, self.initializes = count, initializes

    def cuInit(self, flags: int) -> int:
        return 0 if self.initializes else 100

    def cuDeviceGetCount(self, count: Any) -> int:
        count._obj.value = self.count
        return 0

    def cuDriverGetVersion(self, version: Any) -> int:
        version._obj.value = 13_020
        return 0

    def cuDeviceGet(self, device: Any, index: int) -> int:
        device._obj.value = index
        return 0

    def cuDeviceGetName(self, name: Any, size: int, device: ctypes.c_int) -> int:
        name.value = f"NVIDIA H{device.value}00".encode()[: size - 1]
        return 0

    def cuDeviceTotalMem_v2(self, memory: Any, device: ctypes.c_int) -> int:
        memory._obj.value = 80 << 30
        return 0

    def cuDeviceGetAttribute(self, value: Any, which: int, device: ctypes.c_int) -> int:
        value._obj.value = ATTRIBUTES[which]
        return 0


def test_each_gpu_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvidia, "_driver", lambda: FakeDriver(count=2))
    first, second = gpus()
    assert first == Gpu("NVIDIA H000", (9, 0), 132, 80 << 30, (13, 2))
    assert second.name == "NVIDIA H100"
    assert require_gpu("torch-cuda") == first


def test_a_driver_without_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvidia, "_driver", lambda: FakeDriver(count=0))
    with pytest.raises(MissingHardwareError, match="the driver has none"):
        require_gpu("torch-cuda")
    monkeypatch.setattr(nvidia, "_driver", lambda: FakeDriver(count=1, initializes=False))
    assert gpus() == ()
