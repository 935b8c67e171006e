"""A warm process: the heavy packages are imported once, and each stage runs in a fork of it.

Importing torch, diffusers, open_clip and their like takes up to ten seconds of a core, and a reproduction has some forty
stages. Snakemake starts `python -m marval warm SOCKET`; a stage command that finds the socket (environment variable
MARVAL_WARM) hands its arguments, environment and terminal over and waits. Only third-party packages are imported beforehand:
the project's own code is read afresh by every child. Without the socket a command runs in its own process, with equal results.

Ctrl-C is passed on to the child, and so is SIGTERM. When a client is killed, so is its child; when the parent of the server is
gone, it ends, and all children with it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from marval.processes.sigterm import ENDING, take_no_more

VARIABLE = "MARVAL_WARM"
PACKAGES = (
    "torch",
    "scipy.stats",
    "safetensors.torch",
    "pydantic",
    "yaml",
    "tqdm",
    "PIL.Image",
    "pyarrow.parquet",
)
HEAVY = (
    "diffusers.models.autoencoders.autoencoder_kl",
    "open_clip",
    "ImageReward.ImageReward",
    "torch_fidelity",
)
INTERRUPT = b"interrupt"
PARENT_CHECK_SECONDS = 2.0
HEADER_BYTES = 4  # the length of a request, before it

Main = Callable[[Sequence[str]], int]


def delegate(arguments: Sequence[str]) -> int | None:
    """Run a command in the warm process; its exit status, or None where there is no warm process to ask."""
    path = os.environ.get(VARIABLE)
    if not path:
        return None
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(path)
        except OSError:
            return None
        request = json.dumps(
            {"arguments": list(arguments), "cwd": os.getcwd(), "environment": dict(os.environ)}
        ).encode()
        header = len(request).to_bytes(HEADER_BYTES, "big")
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)  # until there is a child to pass them on to
        socket.send_fds(connection, [header], [0, 1, 2])
        connection.sendall(request)
        return _await_status(connection)


def _await_status(connection: socket.socket) -> int:
    def interrupt(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGTERM:
            take_no_more()
        with contextlib.suppress(OSError):  # the warm process has ended, as is told below
            connection.sendall(INTERRUPT)

    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as SIGINT is in a script's background
            signal.signal(number, interrupt)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    if status := connection.recv(16):
        return int(status)
    sys.stderr.write("marval: error: the warm process ended unexpectedly: run the same command again\n")
    return 1


def serve(path: Path, main: Main, parent: int) -> NoReturn:
    """Import the packages and serve until the parent process is gone. `main` is what children run.

    `parent`: the parent's pid as the parent knows it, which may be gone before this process can ask who it is.
    """

    def is_wanted_still() -> bool:
        return os.getppid() == parent

    if not is_wanted_still():
        os._exit(0)
    # a terminal's Ctrl-C is for the stages, and so is what a cluster sends to all processes of a job; blocked and not ignored,
    # since a child is to take what it gets before it is ready for it
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener, selectors.DefaultSelector() as selector:
        listener.bind(str(path))
        listener.listen()  # early clients wait while the packages are imported
        _preload(is_wanted_still)
        selector.register(listener, selectors.EVENT_READ)
        try:
            while is_wanted_still():
                for key, _ in selector.select(PARENT_CHECK_SECONDS):
                    _handle(key, selector, main)
        finally:
            path.unlink(missing_ok=True)
            for key in selector.get_map().values():
                if isinstance(key.data, tuple):
                    _signal(key.data[0], signal.SIGKILL)
    os._exit(0)  # a normal exit makes some of the packages complain about leaks


def is_wanted(devices: Sequence[str]) -> bool:
    """Whether Snakemake should start a warm process: not where there are GPUs, whose stages take hours and start once.

    Who has named such a process in the environment keeps it.
    """
    return not devices and VARIABLE not in os.environ


def _preload(is_wanted_still: Callable[[], bool] = lambda: True) -> None:
    """Import the packages, which takes long on a machine with other work; one after another, while anybody wants them."""
    # some of the packages ask whether there are GPUs; answered by CUDA itself, no fork of this process could use them
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in (*PACKAGES, *HEAVY):
            if is_wanted_still():
                importlib.import_module(name)
    gc.collect()
    gc.freeze()  # imported objects stay shared between the children


def _handle(key: selectors.SelectorKey, selector: selectors.BaseSelector, main: Main) -> None:
    """A new client, a word from a client, or the end of a child."""
    if isinstance(key.fileobj, socket.socket) and key.data is None:
        connection, _ = key.fileobj.accept()
        received = _receive(connection)
        if received is None:
            connection.close()
            return
        pid = _fork(*received, selector, main)
        selector.register(connection, selectors.EVENT_READ, data=pid)
        selector.register(os.pidfd_open(pid), selectors.EVENT_READ, data=(pid, connection))
    elif isinstance(key.fileobj, socket.socket):
        if key.fileobj.fileno() < 0:
            return  # closed a moment ago, since its child has ended
        word = key.fileobj.recv(64)
        _signal(key.data, signal.SIGINT if word else signal.SIGKILL)
        if not word:
            selector.unregister(key.fileobj)
    else:
        pid, connection = key.data
        selector.unregister(key.fd)
        os.close(key.fd)
        _, state = os.waitpid(pid, 0)
        if connection.fileno() in selector.get_map():
            selector.unregister(connection)
            with contextlib.suppress(OSError):  # the client is gone as well
                connection.sendall(str(_status(state)).encode())
        connection.close()


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # it has just ended by itself


def _status(state: int) -> int:
    code = os.waitstatus_to_exitcode(state)
    return code if code >= 0 else 128 - code


def _receive(connection: socket.socket) -> tuple[bytes, list[int]] | None:
    """A client's request and its three streams; None from one that was killed before it had said all."""
    header, streams, _, _ = socket.recv_fds(connection, HEADER_BYTES, 3)
    size, request = int.from_bytes(header, "big"), b""
    while len(request) < size and (part := connection.recv(size - len(request))):
        request += part
    if request and len(request) == size:
        return request, streams
    for stream in streams:
        os.close(stream)
    return None


def _fork(request: bytes, streams: list[int], selector: selectors.BaseSelector, main: Main) -> int:
    pid = os.fork()
    if pid:
        for stream in streams:
            os.close(stream)
        return pid
    status = 1
    try:
        for target, stream in enumerate(streams):
            os.dup2(stream, target)
        status = _child(json.loads(request), selector, main)
    except KeyboardInterrupt:  # before `main` could take it
        status = 128 + signal.SIGINT
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _child(request: dict, selector: selectors.BaseSelector, main: Main) -> int:
    for key in list(selector.get_map().values()):
        if isinstance(key.fileobj, socket.socket):
            key.fileobj.detach()
    os.environ.clear()
    os.environ.update(request["environment"])
    del os.environ[VARIABLE]
    os.chdir(request["cwd"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    return main(request["arguments"])
