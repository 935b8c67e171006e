"""A stage command starts itself again, once for each GPU, by the launcher that torchrun and `accelerate launch` stand on.

The command that the user gave stays in charge: it holds the stage's lock, speaks and keeps the record, and its end is the end of
all. Where somebody else has started several processes (accelerate launch, torchrun, on several machines), none starts more.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from marval.errors import UserError

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

PROCESSES = "MARVAL_PROCESSES"  # how many, on a machine without GPUs; or fewer than it has GPUs
PARENT = "MARVAL_PARENT"  # tells a worker who has started it, which may be gone before it can ask
CHECKPOINTS = "MARVAL_CHECKPOINTS"  # tells a worker where they are: the name takes reading all inputs
HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
STATUS_USER_ERROR = 2
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def is_one_of_several() -> bool:
    """Whether somebody has started this process as one of several: this module, accelerate or torchrun."""
    return "LOCAL_RANK" in os.environ


def wanted(without_gpus: int = 1) -> int:
    """How many processes a stage that can share its work should be started in; `without_gpus`: its settings' choice there."""
    if is_one_of_several():
        return 1
    import torch

    gpus, asked = torch.cuda.device_count(), os.environ.get(PROCESSES)
    if asked is None:
        return gpus or without_gpus
    if not asked.isdecimal() or int(asked) < 1:
        raise UserError(f"{PROCESSES} is {asked!r}: set it to a number of processes from 1 up, or unset it")
    if gpus and int(asked) > gpus:
        raise UserError(f"{PROCESSES} is {asked} but {gpus} GPUs are visible: set it to at most {gpus}")
    return int(asked)


def run(arguments: Sequence[str], processes: int, checkpoints: Path) -> None:
    """Run `python ARGUMENTS` in so many processes; what ends one of them ends all and is raised here."""
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=str(os.getpid()),
        rdzv_backend="c10d",
        rdzv_endpoint="127.0.0.1:0",
        local_addr="127.0.0.1",
        max_restarts=0,
    )
    try:
        with _lent(checkpoints):
            elastic_launch(config, sys.executable)(*arguments)
    except SignalException:
        raise KeyboardInterrupt from None
    except ChildFailedError as failed:
        _raise_as_here(failed.failures)


@contextmanager
def _lent(checkpoints: Path) -> Iterator[None]:
    """The launcher leaves its handlers of signals behind, its workers inherit this process's environment, and it would tell of
    every end at length."""
    signals = {number: signal.getsignal(number) for number in HANDLED}
    environment = dict(os.environ)
    os.environ[CHECKPOINTS] = str(checkpoints)
    os.environ[PARENT] = str(os.getpid())
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as torchrun does; the stage sets its own number
    logging.disable()
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        os.environ.clear()
        os.environ.update(environment)
        for number, handler in signals.items():
            signal.signal(number, handler)


def _raise_as_here(failures: Mapping[int, ProcessFailure]) -> None:
    """Raise what a worker was stopped by. One that made a mistake takes others with it, which then fail in other words."""
    first = min(
        failures.values(), key=lambda failure: (failure.exitcode != STATUS_USER_ERROR, failure.timestamp)
    )
    report = first.error_file_data.get("message")
    if not isinstance(report, dict):  # killed from outside, for example for want of memory
        raise UserError(
            f"process {first.local_rank} ended with status {first.exitcode} and no word (was memory short?): the same command "
            "goes on from the last checkpoint"
        )
    if first.exitcode == STATUS_USER_ERROR:
        raise UserError(report["message"].split(": ", 1)[1])
    sys.stderr.write(f"process {first.local_rank}: {report['extraInfo']['py_callstack']}")
    sys.exit(1)


def checkpoints_of_parent() -> Path | None:
    """The folder that the command in charge has named to this worker; None in any other process."""
    return Path(os.environ[CHECKPOINTS]) if CHECKPOINTS in os.environ else None


def tell_parent(error: BaseException) -> None:
    """In a worker, while `error` is handled: leave word of it for the command in charge."""
    from torch.distributed.elastic.multiprocessing.errors import ErrorHandler

    ErrorHandler().record_exception(error)


def die_with_parent() -> None:
    """A worker is never left behind, even where the command in charge is killed without a chance to say so (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
        if os.environ.get(PARENT, str(os.getppid())) != str(os.getppid()):
            os.kill(os.getpid(), signal.SIGKILL)
