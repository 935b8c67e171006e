"""Energy of the GPUs by NVIDIA's management library (NVML), where the driver has it."""

from __future__ import annotations

import ctypes
from contextlib import suppress

LIBRARY = "libnvidia-ml.so.1"
MILLIJOULES = 1000


def gpu_energy_joules() -> float | None:
    """Joules that all GPUs of this machine have taken since their driver was loaded; None where NVML does not tell.

    Work of others on the same GPUs is in it.
    """
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(LIBRARY)
        if library.nvmlInit_v2() == 0:
            try:
                return _total(library)
            finally:
                library.nvmlShutdown()
    return None


def _total(library: ctypes.CDLL) -> float | None:
    count = ctypes.c_uint()
    if library.nvmlDeviceGetCount_v2(ctypes.byref(count)) != 0:
        return None
    total = 0.0
    for index in range(count.value):
        device, taken = ctypes.c_void_p(), ctypes.c_ulonglong()
        if library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(device)) != 0:
            return None
        if library.nvmlDeviceGetTotalEnergyConsumption(device, ctypes.byref(taken)) != 0:
            return None
        total += taken.value / MILLIJOULES
    return total if count.value else None
