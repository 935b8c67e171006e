"""Time reference and optimised code in turn and print their ratios: `python -m benchmarks [--seconds 2] [WORDS]`."""

from __future__ import annotations

import argparse

import numpy as np
import torch
from torch.utils.benchmark import Timer

from benchmarks.pairs import Pair, pairs, random_model
from marval.timing.clock import median_interval

ROUNDS, FEWEST_ROUNDS = 15, 5


def main() -> None:
    """One line for each pair whose name has the words in it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("words", nargs="?", default="", help="only pairs with this in the name")
    parser.add_argument("--seconds", type=float, default=2.0, help="about how long each pair is timed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'':<34}{'reference':>11}{'optimised':>11}   times as fast (95% interval)")
    with torch.inference_mode():
        for pair in pairs(random_model()):
            if options.words in pair.name:
                print(line(pair, options.seconds), flush=True)


def line(pair: Pair, seconds: float) -> str:
    """Medians in ms, and the median of the ratios of neighbours in time."""
    timers = [
        Timer("work()", globals={"work": work}, num_threads=1) for work in (pair.reference, pair.optimised)
    ]
    once = sum(timer.timeit(1).median for timer in timers)
    rounds = min(ROUNDS, max(FEWEST_ROUNDS, round(seconds / once)))
    number = max(1, round(seconds / rounds / once))
    taken = np.array([[timer.timeit(number).median for timer in timers] for _ in range(rounds)])
    ratios = taken[:, 0] / taken[:, 1]
    low, high = median_interval(ratios)
    reference, optimised = 1000 * np.median(taken, axis=0)
    return f"{pair.name:<34}{reference:>8.2f} ms{optimised:>8.2f} ms   {np.median(ratios):.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main()
