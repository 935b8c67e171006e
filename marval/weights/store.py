"""The files on this machine: which are missing, fetching them, and one message for all that cannot be had."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence

from marval.errors import UserError
from marval.weights.identity import RefusedError, verify
from marval.weights.registry import Wanted, wanted

WAITS = (2.0, 10.0, 30.0)  # seconds


def missing(names: Iterable[str]) -> list[Wanted]:
    """Files of the entries that are not on this machine."""
    return [item for item in wanted(names) if not item.path.exists()]


def require(names: Sequence[str]) -> None:
    """UserError that lists every missing file of the entries, or names one that is not what it should be."""
    if absent := missing(names):
        raise UserError(_listing("fetch them by `make weights PRESET=...`, or put each", absent))
    for item in wanted(names):
        verify(item)


def sha256_of(name: str) -> str:
    """The sha256 of an entry that is one file."""
    (item,) = wanted([name])
    return verify(item)


def fetch(names: Sequence[str], waits: Sequence[float] = WAITS) -> None:
    """Check what is there and fetch what is not; one UserError lists all that could not be had, and why.

    `waits`: seconds before each new attempt at a download that broke off.
    """
    # imported here: every stage would pay for importing requests
    from marval.weights.download import UnavailableError, download

    reasons: dict[Wanted, str] = {}
    for item in wanted(names):
        try:
            if not _is_there(item):
                download(item, waits)
        except UnavailableError as error:
            reasons[item] = str(error)
    if reasons:
        raise UserError(
            _listing("run this again where there is a network, or put each", list(reasons), reasons)
        )


def _is_there(item: Wanted) -> bool:
    """Whether the right file is; a wrong one is moved aside and named."""
    if not item.path.exists():
        return False
    try:
        verify(item)
    except RefusedError as error:
        sys.stderr.write(f"marval: {error}\n")
        return False
    return True


def _listing(advice: str, items: Sequence[Wanted], reasons: Mapping[Wanted, str] | None = None) -> str:
    """One line for each file: its place, its size, where it comes from, and why it could not be fetched."""
    count = "1 file of weights is" if len(items) == 1 else f"{len(items)} files of weights are"
    lines = [
        f"  {item.path}  ({item.file.size})  from {item.file.urls[0]}"
        + (f"  [{reasons[item]}]" if reasons else "")
        for item in items
    ]
    return "\n".join([f"{count} missing: {advice} where its line says", *lines])
