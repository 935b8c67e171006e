"""Progress for people: a bar in place on a terminal of one's own, a line now and then where output is shared or kept."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Mapping
from typing import TextIO

from tqdm import tqdm

LINE_SECONDS = 5.0
BAR_FORMAT = "{desc} {percentage:3.0f}%|{bar:20}| {n_fmt}/{total_fmt} {rate_fmt}, {remaining} left{postfix}"


class _Lines:
    """A stream for tqdm that turns each redrawn bar into a line of its own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        line = text.strip("\r\n ")
        if line:
            self._stream.write(line + "\n")

    def flush(self) -> None:
        self._stream.flush()


def _shares_terminal() -> bool:
    """Several stages may print at once under Snakemake, and bars in place would overwrite each other."""
    return "SNAKEMAKE_STAGE" in os.environ or not sys.stderr.isatty()


class Progress:
    """A progress bar with rate, time left and figures such as the loss; the log file gets a line as well.

    >>> with Progress("teacher digits seed 0", total=1400, unit="step") as progress:
    ...     progress.advance(1, {"loss": 0.3})
    """

    def __init__(self, label: str, total: int, unit: str, start: int = 0, shown: bool = True) -> None:
        """`shown`: False in processes that work beside the one that speaks."""
        lines = _shares_terminal()
        self._bar = tqdm(
            total=total,
            initial=start,
            disable=not shown,
            desc=label,
            unit=unit,
            file=_Lines(sys.stderr) if lines else sys.stderr,
            mininterval=LINE_SECONDS if lines else 0.1,
            miniters=1 if lines else None,
            bar_format=BAR_FORMAT,
            ascii=" -=" if lines else None,
            dynamic_ncols=not lines,
        )
        self._logged = time.monotonic()

    def advance(self, count: int, figures: Mapping[str, float] | None = None) -> None:
        """`count` more done; `figures` are shown behind the bar."""
        if figures:
            self._bar.set_postfix({k: f"{v:.4g}" for k, v in figures.items()}, refresh=False)
        self._bar.update(count)
        if time.monotonic() - self._logged > LINE_SECONDS:
            self._logged = time.monotonic()
            logging.getLogger("marval").info("%s", self._bar)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        logging.getLogger("marval").info("%s", self._bar)
