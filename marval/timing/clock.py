"""Wall-clock seconds of works that are run in turn (A B C A B C ...), so that a drift of the machine meets all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch

from marval.errors import is_out_of_memory
from marval.timing.floors import synchronise

CONFIDENCE = 0.95
K = TypeVar("K", bound=Hashable)


def interleaved(
    works: Mapping[K, Callable[[], object]],
    repetitions: int,
    device: torch.device,
    budget: float = float("inf"),
    after_run: Callable[[], None] = lambda: None,
) -> dict[K, list[float]]:
    """Seconds of each work in `repetitions` rounds; no round is begun when `budget` seconds have passed, except the first."""
    seconds: dict[K, list[float]] = {name: [] for name in works}
    begun = time.perf_counter()
    for done in range(repetitions):
        if done and time.perf_counter() - begun > budget:
            break
        for name, work in works.items():
            synchronise(device)
            start = time.perf_counter()
            work()
            synchronise(device)
            seconds[name].append(time.perf_counter() - start)
            after_run()
    return seconds


def median_interval(values: np.ndarray) -> tuple[float, float]:
    """Distribution-free 95% interval of the median from order statistics (the range itself for few values)."""
    from scipy.stats import binom

    n = len(values)
    rank = int(binom.ppf((1 - CONFIDENCE) / 2, n, 0.5))
    ordered = np.sort(values)
    return float(ordered[max(rank - 1, 0)]), float(ordered[min(n - rank, n - 1)])


def fits(work: Callable[[], object], device: torch.device) -> bool:
    """Run `work` to warm up; False if the memory is too small for it. What it holds then is the caller's to let go."""
    try:
        work()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return False
    return True


@contextmanager
def added(totals: MutableMapping[str, float], name: str, device: torch.device) -> Iterator[None]:
    """Add the seconds of the body to `totals[name]`."""
    synchronise(device)
    start = time.perf_counter()
    yield
    synchronise(device)
    totals[name] = totals.get(name, 0.0) + time.perf_counter() - start


@contextmanager
def watched_method(
    owner: object, method: str, name: str, totals: MutableMapping[str, float], device: torch.device
) -> Iterator[None]:
    """While open, calls of `owner.method` add to `totals[name]`."""
    original = getattr(owner, method)

    def timed(*args: Any, **kwargs: Any) -> Any:
        with added(totals, name, device):
            return original(*args, **kwargs)

    setattr(owner, method, timed)
    try:
        yield
    finally:
        delattr(owner, method)
