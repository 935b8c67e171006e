"""Reading and decoding every image once, in parallel processes: what it contains (sha256), and whether it can be used."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path
from typing import NamedTuple

from marval.artifacts import is_sealed, read_json, seal, write_json
from marval.data.collection import Reader
from marval.data.decoding import problem
from marval.progress import Progress

PART = 64  # images between two results, and what Ctrl-C waits for in each process


class Checked(NamedTuple):
    """What is known of an image file that has been read."""

    sha256: str | None  # of the file; None where it cannot be read
    problem: str | None  # why it cannot be used


def verify(reader: Reader, places: Sequence[str], folder: Path, label: str) -> list[Checked]:
    """Check all images, in their order; results in `folder` are used where their images have not changed since."""
    parts = [places[first : first + PART] for first in range(0, len(places), PART)]
    files = [folder / f"{_key(reader, part)}.json" for part in parts]
    missing = [number for number, file in enumerate(files) if not is_sealed(file)]
    left = sum(len(parts[number]) for number in missing)
    with Progress(label, total=len(places), unit="image", start=len(places) - left) as progress:
        if missing:
            with _workers() as pool:
                found = pool.map(partial(_check, reader), [parts[number] for number in missing])
                for number, results in zip(missing, found, strict=True):
                    write_json(files[number], results)
                    seal(files[number])
                    progress.advance(len(results))
    return [Checked(*result) for file in files for result in read_json(file)]


def _key(reader: Reader, places: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(reader.state(place) for place in places).encode()).hexdigest()


def _check(reader: Reader, places: Sequence[str]) -> list[Checked]:
    return [_check_one(reader, place) for place in places]


def _check_one(reader: Reader, place: str) -> Checked:
    try:
        content = reader.read(place)
    except OSError as error:
        return Checked(None, f"cannot be read: {error.strerror or error}")
    return Checked(hashlib.sha256(content).hexdigest(), problem(content))


@contextmanager
def _workers() -> Iterator[ProcessPoolExecutor]:
    """A process for each core that this one may use; not forks of this one, which may have torch's threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), context, _start_worker) as pool:
        yield pool


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, and end when it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True).start()
