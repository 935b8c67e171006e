"""The least time that arithmetic and weight traffic allow on a machine.

A component takes at least the longer of its operations at the machine's peak and its weights at the memory's rate; every use of
a weight reads it again, because the weights used in between displace it. Activations are not counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from marval.costs.counting import Work

MEASUREMENTS = 7
SIDE = {"cpu": 1024, "cuda": 8192}  # of the measured matrix product
LEAST_COPY = {"cpu": 1 << 20, "cuda": 1 << 32}  # bytes


@dataclass(frozen=True)
class Machine:
    """Rates of one processor."""

    operations: float  # in a second, of dense matrix products
    bandwidth: float  # bytes in a second, read and written together
    source: str


# bfloat16 with sums in float32, dense; by what `torch.cuda.get_device_name` ends with (a "Ti" or "Laptop GPU" is another machine)
SHEET = "peak rates of NVIDIA's data sheet: "
MACHINES = {
    "H200": Machine(
        790e12, 4.3e12, "measured: a product of two random 8192 x 8192 matrices, and a copy on the device"
    ),
    "H100 80GB HBM3": Machine(
        798e12, 3.0e12, "measured: a product of two random 8192 x 8192 matrices, and a copy on the device"
    ),
    "A100-SXM4-80GB": Machine(312e12, 2.039e12, f"{SHEET}A100 80GB SXM"),
    "A800-SXM4-80GB": Machine(312e12, 2.039e12, f"{SHEET}A800 80GB SXM"),
    "L40S": Machine(362e12, 0.864e12, f"{SHEET}L40S"),
    "RTX A6000": Machine(154.8e12, 0.768e12, f"{SHEET}RTX A6000"),
    "GeForce RTX 4090": Machine(
        165.2e12, 1.008e12, f"{SHEET}GeForce RTX 4090 (Ada architecture's white paper)"
    ),
    "GeForce RTX 3090": Machine(
        71e12, 0.936e12, f"{SHEET}GeForce RTX 3090 (GA102 architecture's white paper)"
    ),
}


def floor_seconds(works: Mapping[str, Work], machine: Machine, batch: int, bytes_each: int) -> float:
    """Seconds of one image in a batch of `batch`, with weights of `bytes_each` bytes."""
    return sum(
        max(work.flops / machine.operations, work.weights * bytes_each / machine.bandwidth / batch)
        for work in works.values()
    )


def machine_of(device: torch.device, dtype: torch.dtype, weight_bytes: int) -> Machine:
    """The known machine by its name, or else what is measured here.

    weight_bytes: the model's size. A small model stays in a processor's cache, whose rate is then the one that counts.
    """
    if device.type == "cuda" and dtype is torch.bfloat16:
        name = torch.cuda.get_device_name(device)
        known = next((machine for key, machine in MACHINES.items() if name.endswith(key)), None)
        if known:
            return known
    return measured(device, dtype, weight_bytes)


def measured(device: torch.device, dtype: torch.dtype, weight_bytes: int) -> Machine:
    """Best of a few matrix products and of a few copies of a buffer of the weights' size, with the threads that are set."""
    side = SIDE[device.type]
    a, b = torch.randn(2, side, side, device=device).to(dtype).unbind(0)
    product = torch.empty_like(a)
    held = torch.zeros(max(weight_bytes, LEAST_COPY[device.type]), dtype=torch.uint8, device=device)
    copy = torch.empty_like(held)
    operations = 2 * side**3 / _least_seconds(lambda: torch.mm(a, b, out=product), device)
    bandwidth = 2 * held.numel() / _least_seconds(lambda: copy.copy_(held), device)
    return Machine(operations, bandwidth, f"measured here: a {side} x {side} product and a copy")


def _least_seconds(work: Callable[[], object], device: torch.device) -> float:
    def once() -> float:
        synchronise(device)
        start = time.perf_counter()
        work()
        synchronise(device)
        return time.perf_counter() - start

    return min([once() for _ in range(MEASUREMENTS + 1)][1:])


def synchronise(device: torch.device) -> None:
    """Wait for the device's queue; nothing on a CPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
