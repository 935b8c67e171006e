"""A checkout of the working tree in a temporary folder, and one real run of the smoke preset in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from marval import warm

IDENTITY = ["-c", "user.name=test", "-c", "user.email=test@example.org"]


class Checkout:
    """A git checkout of its own, with commands run as a user would."""

    def __init__(self, path: Path, warm: Path) -> None:
        self.path = path
        self.warm = warm  # socket of the warm process, which spares every command the imports
        self.shown = ""  # what the first run wrote to the terminal

    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", warm.VARIABLE: str(self.warm)}

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(command, cwd=self.path, env=self.environment(), capture_output=True, text=True)
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

    def marval(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-W", "ignore", "-m", "marval", *arguments, check=check)

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
    process = subprocess.Popen(
        [sys.executable, "-m", "marval", "warm", str(socket)], cwd=root, start_new_session=True
    )
    yield socket
    process.kill()
    process.wait()


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
    checkout.replace("params.yaml", "- digits", "- smoke")
    checkout.marval("runs")
    for command in (["init", "-q"], ["add", "-A"], [*IDENTITY, "commit", "-qm", "checkout"]):
        checkout.run("git", *command)
    return checkout


@pytest.fixture(scope="session")
def finished(fresh, tmp_path_factory) -> Checkout:
    """After one bare `snakemake`; tests that change anything take a copy."""
    checkout = fresh.copy(tmp_path_factory.mktemp("finished") / "marval")
    checkout.shown = checkout.run("snakemake").stderr
    return checkout


@pytest.fixture
def copy(finished, tmp_path) -> Checkout:
    return finished.copy(tmp_path / "marval")
