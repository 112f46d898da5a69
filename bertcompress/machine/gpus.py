"""The NVIDIA GPUs of this machine, asked of the driver itself.

Only ``libcuda`` is loaded, which comes with the driver: no torch, no CUDA toolkit, no context, and
so a few milliseconds. Source: CUDA Driver API, "Initialization" and "Device Management".
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from bertcompress.errors import MissingHardwareError

_LIBRARIES = ("libcuda.so.1", "nvcuda.dll")
_MULTIPROCESSORS, _MAJOR, _MINOR = 16, 75, 76  # CU_DEVICE_ATTRIBUTE_…
_NAME_BYTES = 256


@dataclass(frozen=True)
class Gpu:
    """One GPU.

    Attributes:
        name: As the driver calls it, ``NVIDIA H100 80GB HBM3``.
        capability: Its compute capability, (9, 0).
        multiprocessors: How many it has.
        memory_bytes: Its memory.
        driver_cuda: The newest CUDA that the driver runs, (13, 0).
    """

    name: str
    capability: tuple[int, int]
    multiprocessors: int
    memory_bytes: int
    driver_cuda: tuple[int, int]


def gpus() -> tuple[Gpu, ...]:
    """Returns the GPUs that this process may use; none without driver or device."""
    cuda = _driver()
    count = ctypes.c_int()
    if cuda is None or cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)):
        return ()
    version = ctypes.c_int()
    cuda.cuDriverGetVersion(ctypes.byref(version))
    driver_cuda = version.value // 1000, version.value % 1000 // 10
    return tuple(_gpu(cuda, index, driver_cuda) for index in range(count.value))


def require_gpu(runtime: str) -> Gpu:
    """Returns the first GPU.

    Args:
        runtime: What needs it, for the message.

    Raises:
        MissingHardwareError: If there is none.
    """
    found = gpus()
    if found:
        return found[0]
    why = (
        "its driver's library libcuda is not there" if _driver() is None else "the driver has none"
    )
    raise MissingHardwareError(
        f"{runtime} needs an NVIDIA GPU, and {why}; check with: nvidia-smi, or leave --runtime out"
    )


def _driver() -> ctypes.CDLL | None:
    for name in _LIBRARIES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


def _gpu(cuda: ctypes.CDLL, index: int, driver_cuda: tuple[int, int]) -> Gpu:
    name, memory = ctypes.create_string_buffer(_NAME_BYTES), ctypes.c_size_t()
    device = ctypes.c_int()
    cuda.cuDeviceGet(ctypes.byref(device), index)
    cuda.cuDeviceGetName(name, _NAME_BYTES, device)
    cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    return Gpu(
        name=name.value.decode(),
        capability=(_attribute(cuda, _MAJOR, device), _attribute(cuda, _MINOR, device)),
        multiprocessors=_attribute(cuda, _MULTIPROCESSORS, device),
        memory_bytes=memory.value,
        driver_cuda=driver_cuda,
    )


def _attribute(cuda: ctypes.CDLL, which: int, device: ctypes.c_int) -> int:
    value = ctypes.c_int()
    cuda.cuDeviceGetAttribute(ctypes.byref(value), which, device)
    return value.value
