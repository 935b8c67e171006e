"""The warm process: same status, output and interruption as a command in a process of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# a stand-in for stage commands, served by the real server without the slow imports
SERVER = """
import os, signal, sys, time
from pathlib import Path
from marval import warm

def main(arguments):
    match arguments[0]:
        case "status":
            print("cwd", os.getcwd(), "value", os.environ["VALUE"], flush=True)
            print("complaint", file=sys.stderr, flush=True)
            return int(arguments[1])
        case "wait":
            try:
                print("pid", os.getpid(), flush=True)
                signal.pause()
            except KeyboardInterrupt:
                return 130
        case "crash":
            raise RuntimeError("a bug")
    return 0

warm.PACKAGES = warm.HEAVY = ()
print("ready", flush=True)
warm.serve(Path(sys.argv[1]), main)
"""
CLIENT = "import sys; from marval import warm; status = warm.delegate(sys.argv[1:]); sys.exit(99 if status is None else status)"


@pytest.fixture
def served(root, tmp_path):
    """Environment of clients, with the server running."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(root),
        "VALUE": "7",
        "MARVAL_WARM": str(tmp_path / "warm.socket"),
    }
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, environment["MARVAL_WARM"]],
        env=environment,
        cwd=root,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n"
    while not Path(environment["MARVAL_WARM"]).exists():
        assert server.poll() is None
    yield environment
    server.kill()
    server.wait()


def client(environment, cwd, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", CLIENT, *arguments], env=environment, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


@pytest.mark.parametrize("status", [0, 2])
def test_status_output_folder_and_environment_are_the_clients(served, tmp_path, status):
    process = client(served, tmp_path, "status", str(status))
    out, err = process.communicate()
    assert process.returncode == status
    assert out == f"cwd {tmp_path} value 7\n"
    assert err == "complaint\n"


def test_interrupt_reaches_the_child(served, tmp_path):
    process = client(served, tmp_path, "wait")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("pid")
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130


def test_child_of_a_killed_client_is_killed(served, tmp_path):
    process = client(served, tmp_path, "wait")
    assert process.stdout is not None
    child = int(process.stdout.readline().split()[1])
    watch = os.pidfd_open(child)
    process.kill()
    import select

    assert select.select([watch], [], [], 30)[0], "the child is still running"
    os.close(watch)


def test_crash_shows_its_traceback(served, tmp_path):
    process = client(served, tmp_path, "crash")
    _, err = process.communicate()
    assert process.returncode == 1
    assert "RuntimeError: a bug" in err


def test_children_run_side_by_side(served, tmp_path):
    waiting = client(served, tmp_path, "wait")
    assert waiting.stdout is not None
    assert waiting.stdout.readline()
    assert client(served, tmp_path, "status", "0").wait() == 0
    waiting.send_signal(signal.SIGINT)
    assert waiting.wait() == 130


def test_without_a_server_the_command_is_not_delegated(root, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(root), "MARVAL_WARM": str(tmp_path / "nobody.socket")}
    assert client(environment, tmp_path, "status", "0").wait() == 99
    del environment["MARVAL_WARM"]
    assert client(environment, tmp_path, "status", "0").wait() == 99
