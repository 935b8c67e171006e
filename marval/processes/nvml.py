"""What NVIDIA's management library (NVML) says of this machine's GPUs, where the driver has it; torch is not asked."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, suppress

LIBRARY = "libnvidia-ml.so.1"
MILLIJOULES = 1000
VERSION_BYTES = 80  # NVML's own bound for the driver's version


def device_count() -> int:
    """GPUs of this machine; 0 where there is no library."""
    with suppress(OSError, AttributeError), _opened() as library:
        return _count(library)
    return 0


def energy_joules() -> float | None:
    """Joules that all GPUs of this machine have taken since their driver was loaded; None where NVML does not tell.

    Work of others on the same GPUs is in it.
    """
    with suppress(OSError, AttributeError), _opened() as library:
        taken = [_energy(library, index) for index in range(_count(library))]
        return sum(taken) if taken else None
    return None


def driver() -> tuple[str, str] | None:
    """The driver's version, and the newest CUDA that it can run ("13.0"); None where NVML does not tell."""
    with suppress(OSError, AttributeError), _opened() as library:
        version, cuda = ctypes.create_string_buffer(VERSION_BYTES), ctypes.c_int()
        _checked(library.nvmlSystemGetDriverVersion(version, VERSION_BYTES))
        _checked(library.nvmlSystemGetCudaDriverVersion_v2(ctypes.byref(cuda)))
        return version.value.decode(), f"{cuda.value // 1000}.{cuda.value % 1000 // 10}"
    return None


@contextmanager
def _opened() -> Iterator[ctypes.CDLL]:
    """OSError where the library is missing or refuses."""
    library = ctypes.CDLL(LIBRARY)
    _checked(library.nvmlInit_v2())
    try:
        yield library
    finally:
        library.nvmlShutdown()


def _count(library: ctypes.CDLL) -> int:
    count = ctypes.c_uint()
    _checked(library.nvmlDeviceGetCount_v2(ctypes.byref(count)))
    return count.value


def _energy(library: ctypes.CDLL, index: int) -> float:
    device, taken = ctypes.c_void_p(), ctypes.c_ulonglong()
    _checked(library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(device)))
    _checked(library.nvmlDeviceGetTotalEnergyConsumption(device, ctypes.byref(taken)))
    return taken.value / MILLIJOULES


def _checked(status: int) -> None:
    if status != 0:
        raise OSError(f"NVML answers {status}")
