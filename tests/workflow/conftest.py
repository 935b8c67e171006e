"""A checkout of the working tree in a temporary folder, and one real run of the smoke preset in it."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from marval.processes import warm

# serves stage commands like `python -m marval warm`; where FATAL_SIGNAL is set, a stage saves a checkpoint at every logged step
# and sends itself that signal right after the second
SERVER = """
import os, signal, sys
from pathlib import Path
from marval.processes import warm

def main(arguments):
    from marval.__main__ import main
    if "FATAL_SIGNAL" in os.environ:
        end_after_second_save(signal.Signals[os.environ["FATAL_SIGNAL"]])
    return main(arguments)

def end_after_second_save(number):
    from marval.training import checkpoints

    checkpoints.SAVE_SECONDS = 0.0
    saves, plain = [], checkpoints.CheckpointStore.save_if_due

    def save_and_end(self, state):
        plain(self, state)
        saves.append(state)
        if len(saves) == 2:
            os.kill(os.getpid(), number)

    checkpoints.CheckpointStore.save_if_due = save_and_end

warm.serve(Path(sys.argv[1]), main, os.getppid())
"""
IDENTITY = ["-c", "user.name=test", "-c", "user.email=test@example.org"]


class Checkout:
    """A git checkout of its own, with commands run as a user would."""

    def __init__(self, path: Path, warm: Path) -> None:
        self.path = path
        self.warm = warm  # socket of the warm process, which spares every command the imports
        self.shown = ""  # what the first run wrote to the terminal

    def environment(self, **more: str) -> dict[str, str]:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", warm.VARIABLE: str(self.warm), **more}

    def run(self, *command: str, check: bool = True, **more: str) -> subprocess.CompletedProcess[str]:
        """Run to the end, with `more` in the environment."""
        done = subprocess.run(
            command, cwd=self.path, env=self.environment(**more), capture_output=True, text=True
        )
        if check and done.returncode:
            raise AssertionError(
                f"{' '.join(command)} exited {done.returncode}:\n{done.stdout}\n{done.stderr}"
            )
        return done

    def start(self, *command: str) -> subprocess.Popen[str]:
        """In a session of its own, so that it can be killed with all its children."""
        return subprocess.Popen(
            command, cwd=self.path, env=self.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip

    def marval(self, *arguments: str, check: bool = True, **more: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-W", "ignore", "-m", "marval", *arguments, check=check, **more)

    def replace(self, file: str, old: str, new: str) -> None:
        path = self.path / file
        text = path.read_text()
        assert old in text, f"{file} has no {old!r}"
        path.write_text(text.replace(old, new, 1))

    def copy(self, path: Path) -> Checkout:
        shutil.copytree(self.path, path, symlinks=True)
        return Checkout(path, self.warm)

    def stages_run(self) -> set[str]:
        """Stages whose command has run here: each writes a log."""
        return {
            f"{p.parent.name}@{p.stem}"
            for p in (self.path / "logs").glob("*/*.log")
            if p.parent.name != "dvc"
        }


@pytest.fixture(scope="session")
def warm_process(root, tmp_path_factory):
    """The socket of a warm process, as Snakemake starts one; it ends with the tests."""
    socket = tmp_path_factory.mktemp("warm") / "socket"
    command = [sys.executable, "-W", "ignore", "-c", SERVER, str(socket)]
    with subprocess.Popen(command, cwd=root, start_new_session=True) as process:
        try:
            yield socket
        finally:
            process.kill()


@pytest.fixture(scope="session")
def fresh(root, warm_process, tmp_path_factory) -> Checkout:
    """The files that git tracks or would track, with the smoke preset active; nothing has run."""
    path = tmp_path_factory.mktemp("checkout") / "marval"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (root / name).is_file() and name != "dvc.lock":
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, path / name)
    checkout = Checkout(path, warm_process)
    checkout.marval("activate", "smoke")  # whatever is active here
    for command in (["init", "-q"], ["add", "-A"], [*IDENTITY, "commit", "-qm", "checkout"]):
        checkout.run("git", *command)
    return checkout


@pytest.fixture(scope="session")
def finished(fresh, tmp_path_factory, worker_id) -> Checkout:
    """After one bare `snakemake`; tests that change anything take a copy.

    The first worker of pytest-xdist that comes here makes it and leaves a copy to the others, which wait.
    """
    base, own = tmp_path_factory.getbasetemp(), tmp_path_factory.mktemp("finished") / "marval"
    shared = base if worker_id == "master" else base.parent
    first, shown = Checkout(shared / "finished-first", fresh.warm), shared / "finished-first.log"
    with (shared / "finished-first.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if shown.exists():
            checkout = first.copy(own)
        else:
            checkout = fresh.copy(own)
            log = checkout.run("snakemake").stderr
            checkout.copy(first.path)
            shown.write_text(log)
    checkout.shown = shown.read_text()
    return checkout


@pytest.fixture
def copy(finished, tmp_path) -> Checkout:
    return finished.copy(tmp_path / "marval")
