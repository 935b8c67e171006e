"""Energy: read from a library with NVML's functions, absent without one."""

import shutil
import subprocess

import pytest

from marval.pipeline import energy

# two devices that have taken 1,500 and 500 mJ
SOURCE = """
int nvmlInit_v2(void) { return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) { *device = (void *)(long)(index + 1); return 0; }
int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *mj) { *mj = (long)device == 1 ? 1500 : 500; return 0; }
"""


def test_energy_of_all_devices_in_joules(tmp_path, monkeypatch):
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler")
    (tmp_path / "nvml.c").write_text(SOURCE)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", "libnvml.so", "nvml.c"], cwd=tmp_path, check=True)
    monkeypatch.setattr(energy, "LIBRARY", str(tmp_path / "libnvml.so"))
    assert energy.gpu_energy_joules() == pytest.approx(2.0)


def test_no_library_tells_nothing(monkeypatch):
    monkeypatch.setattr(energy, "LIBRARY", "libno-such-nvml.so")
    assert energy.gpu_energy_joules() is None
