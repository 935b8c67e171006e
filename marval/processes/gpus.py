"""GPUs of one machine, dealt out to stages that run side by side: `python -m marval.processes.gpus COUNT COMMAND...`.

Snakemake counts GPUs but does not say which; here a command waits for COUNT free ones, is told them by CUDA_VISIBLE_DEVICES and
keeps them until it ends. (On a cluster the scheduler does this.)
"""

from __future__ import annotations

import fcntl
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, TextIO

from marval.processes import nvml

VARIABLE = "MARVAL_GPUS"  # the devices to deal out, as CUDA_VISIBLE_DEVICES names them
LOCKS = Path(tempfile.gettempdir()) / f"marval-gpus-{os.getuid()}"  # of all this user's checkouts
POLL_SECONDS = 1.0
NO_DEVICE = ("", "-1")  # in CUDA_VISIBLE_DEVICES


def visible() -> list[str]:
    """Devices that this process may use; without torch, whose import takes seconds."""
    count, named = nvml.device_count(), os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return [str(index) for index in range(count)]
    return [device for device in named.split(",") if device not in NO_DEVICE][:count]


def reserve(count: int, devices: Sequence[str], folder: Path = LOCKS) -> dict[str, TextIO]:
    """Wait for `count` of the devices; they are this process's as long as the returned files are open.

    Who waits goes first: later ones take nothing that it could have had, so that one that wants many gets them too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    held: dict[str, TextIO] = {}
    with (folder / "turn").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        while True:
            for device in devices:
                if device not in held and len(held) < count:
                    held |= _take(device, folder)
            if len(held) == count:
                return held
            time.sleep(POLL_SECONDS)


def _take(device: str, folder: Path) -> dict[str, TextIO]:
    stream = (folder / f"{device}.lock").open("w")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.close()
        return {}
    return {device: stream}


def main(count: int, command: Sequence[str]) -> NoReturn:
    """Become `command`, with its devices."""
    devices = os.environ[VARIABLE].split(",")
    held = reserve(min(count, len(devices)), devices)
    for stream in held.values():
        os.set_inheritable(stream.fileno(), True)
    os.execvpe(command[0], list(command), {**os.environ, "CUDA_VISIBLE_DEVICES": ",".join(held)})


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
