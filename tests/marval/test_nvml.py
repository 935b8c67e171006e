"""NVML by a library with its functions, and without one; a process forks cleanly after the heavy imports where GPUs are."""

import os
import shutil
import subprocess
import sys

import pytest
import torch

from marval.errors import UserError
from marval.processes import gpus, group, nvml, warm

# two devices that have taken 1,500 and 500 mJ
SOURCE = """
#include <string.h>
int nvmlInit_v2(void) { return 0; }
int nvmlInit(void) { return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlSystemGetDriverVersion(char *version, unsigned length) { strncpy(version, "535.183.01", length); return 0; }
int nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = 12020; return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) { *device = (void *)(long)(index + 1); return 0; }
int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *mj) { *mj = (long)device == 1 ? 1500 : 500; return 0; }
"""
FORK = """
import os
from marval.processes import warm
warm._preload()
import torch
assert torch.cuda.device_count() == 2
pid = os.fork()
if pid == 0:
    os._exit(int(torch.cuda._is_in_bad_fork()))
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


@pytest.fixture
def library(tmp_path):
    """A stand-in for NVML, under the name that it has."""
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler")
    (tmp_path / "nvml.c").write_text(SOURCE)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", nvml.LIBRARY, "nvml.c"], cwd=tmp_path, check=True)
    return tmp_path / nvml.LIBRARY


def test_devices_and_their_energy_in_joules(library, monkeypatch):
    monkeypatch.setattr(nvml, "LIBRARY", str(library))
    assert nvml.device_count() == 2
    assert nvml.energy_joules() == pytest.approx(2.0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA works here")
def test_gpus_that_cuda_cannot_use_are_no_reason_to_compute_on_the_cpu(library, monkeypatch):
    monkeypatch.setattr(nvml, "LIBRARY", str(library))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with pytest.raises(
        UserError, match=r"^2 GPUs are visible .* driver 535\.183\.01 runs CUDA up to 12\.2, torch .* CUDA"
    ) as told:
        group.here.__wrapped__()
    assert "\n" not in str(told.value)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # the way out that the message names
    assert group.here.__wrapped__().device.type == "cpu"


def test_no_library_tells_nothing(monkeypatch):
    monkeypatch.setattr(nvml, "LIBRARY", "libno-such-nvml.so")
    assert nvml.device_count() == 0
    assert nvml.driver() is None
    assert nvml.energy_joules() is None


@pytest.mark.parametrize(
    ("named", "expected"), [(None, ["0", "1"]), ("1", ["1"]), ("1,0", ["1", "0"]), ("", []), ("-1", [])]
)
def test_visible_devices_are_those_that_are_named(library, monkeypatch, named, expected):
    monkeypatch.setattr(nvml, "LIBRARY", str(library))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if named is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert gpus.visible() == expected


def test_stages_run_in_forks_where_there_is_no_gpu_alone(monkeypatch):
    monkeypatch.delenv(warm.VARIABLE, raising=False)
    assert warm.is_wanted([])
    assert not warm.is_wanted(["0"])
    monkeypatch.setenv(warm.VARIABLE, "somewhere")
    assert not warm.is_wanted([])


@pytest.mark.slow
def test_a_fork_after_the_heavy_imports_can_use_cuda(library, root):
    """The packages ask torch whether there are GPUs while they are imported; torch must answer without touching CUDA."""
    environment = {**os.environ, "LD_LIBRARY_PATH": str(library.parent)}
    environment.pop("CUDA_VISIBLE_DEVICES", None)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1:] == ["0"], done.stderr
