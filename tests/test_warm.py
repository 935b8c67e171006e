"""The warm process: same status, output and interruption as a command in a process of its own."""

import os
import select
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# a stand-in for stage commands, served by the real server without the slow imports
SERVER = """
import os, signal, sys, time
from pathlib import Path
from marval.processes import warm

def main(arguments):
    match arguments[0]:
        case "status":
            print("cwd", os.getcwd(), "value", os.environ["VALUE"], flush=True)
            print("complaint", file=sys.stderr, flush=True)
            return int(arguments[1])
        case "wait" | "interrupted":
            try:
                print("pid", os.getpid(), flush=True)
                signal.pause()
            except KeyboardInterrupt:
                return 130
        case "leave":
            try:
                print("pid", os.getpid(), flush=True)
                signal.pause()
            except KeyboardInterrupt:
                print("leaving", flush=True)
                os.read(0, 1)  # until the test lets it go
                return 7
        case "dies of sigterm":
            ready = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL and not signal.pthread_sigmask(signal.SIG_BLOCK, ())
            return int(not ready)
        case "crash":
            raise RuntimeError("a bug")
    return 0

warm._preload = lambda _: print("ready", flush=True)  # called once the socket listens
warm.serve(Path(sys.argv[1]), main, os.getppid())
"""
EARLY = """
def main(arguments):
    signal.pause()

fork = os.fork
os.fork = lambda: fork() or signal.raise_signal(signal.SIGINT) or 0
"""
# starts the server, and ends with its own input
PARENT = """
import subprocess, sys
with subprocess.Popen([sys.executable, "-c", *sys.argv[1:]]) as server:
    sys.stdin.read()
    import os
    os._exit(0)
"""
CLIENT = """
import signal, socket, sys
from marval.processes import warm

if sys.argv[1] == "interrupted":
    send = socket.send_fds
    socket.send_fds = lambda *request: signal.raise_signal(int(sys.argv[2])) or send(*request)
status = warm.delegate(sys.argv[1:])
sys.exit(99 if status is None else status)
"""


@pytest.fixture
def client(tmp_path, monkeypatch):
    """Starts a client in `tmp_path`; no client outlives the test, whatever comes of it."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("VALUE", "7")
    monkeypatch.setenv("MARVAL_WARM", str(tmp_path / "warm.socket"))
    with ExitStack() as started:

        def start(*arguments):
            process = subprocess.Popen(
                [sys.executable, "-c", CLIENT, *arguments], cwd=tmp_path, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                text=True,
            )  # fmt: skip
            started.enter_context(process)
            started.callback(process.kill)
            return process

        yield start


@contextmanager
def serving(script):
    """A server, which answers the clients."""
    command = [sys.executable, "-c", script, os.environ["MARVAL_WARM"]]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == "ready\n"
            yield server
        finally:
            server.kill()


@pytest.fixture
def served(client):
    with serving(SERVER) as server:
        yield server


def await_end(pid):
    """Nothing is timed here: the limit is for what would hang."""
    try:
        watch = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([watch], [], [], 300)[0], f"process {pid} is still running"
    finally:
        os.close(watch)


@pytest.mark.parametrize("status", [0, 2])
def test_status_output_folder_and_environment_are_the_clients(served, client, tmp_path, status):
    process = client("status", str(status))
    out, err = process.communicate()
    assert process.returncode == status
    assert out == f"cwd {tmp_path} value 7\n"
    assert err == "complaint\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_reaches_the_child(served, client, number):
    process = client("wait")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("pid")
    process.send_signal(number)
    assert process.wait() == 130


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_of_a_client_that_is_still_asking_reaches_the_child(served, client, number):
    assert client("interrupted", str(int(number))).wait() == 130


def test_interrupt_of_a_child_that_is_not_ready_yet_ends_it(client):
    """The server's own fork gets it before it has its handlers."""
    with serving(SERVER.replace("warm._preload", EARLY + "warm._preload")):
        process = client("status", "0")
        await_end(process.pid)
        assert process.wait() == 130


def test_sigterm_of_a_client_is_handed_on_once(served, client):
    """Slurm sends it again while the stage is leaving: a second interruption would keep it from that."""
    process = client("leave")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("pid")
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "leaving\n"
    process.send_signal(signal.SIGTERM)
    assert client("status", "0").wait() == 0  # by then a second word would have reached the child
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait() == 7


def test_sigterm_is_for_the_stages(served, client):
    """Where all processes get it, as at the end of a job, the server stays to tell how the stages have ended."""
    served.send_signal(signal.SIGTERM)
    assert client("dies of sigterm").wait() == 0
    assert served.poll() is None


def test_child_of_a_killed_client_is_killed(served, client):
    process = client("wait")
    assert process.stdout is not None
    child = int(process.stdout.readline().split()[1])
    process.kill()
    await_end(child)


def test_children_end_with_the_parent_of_the_server(client, tmp_path):
    """As a killed run's do, whatever has been killed first."""
    command = [sys.executable, "-c", PARENT, SERVER, os.environ["MARVAL_WARM"]]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        process = client("wait")
        assert process.stdout is not None
        child = int(process.stdout.readline().split()[1])
        parent.kill()
    await_end(child)
    assert process.wait() == 1
    assert "the warm process ended unexpectedly" in process.communicate()[1]


def test_a_server_whose_parent_goes_while_it_imports_imports_no_more(tmp_path):
    first = (  # asks who its parent is while that is there for sure
        "import os, select; parent = os.pidfd_open(os.getppid()); os.write(1, b'first\\n'); select.select([parent], [], [])"
    )
    (tmp_path / "first.py").write_text(first)
    (tmp_path / "second.py").write_text("import os; os.write(1, b'second\\n')")
    server = (
        "import os, sys; sys.path.append(sys.argv[2]); from pathlib import Path; from marval.processes import warm; "
        "warm.PACKAGES, warm.HEAVY = ('first', 'second'), (); warm.serve(Path(sys.argv[1]), print, os.getppid())"
    )
    socket = tmp_path / "socket"
    command = [sys.executable, "-c", PARENT, server, str(socket), str(tmp_path)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "first\n"
        assert socket.exists()
        parent.kill()
        assert parent.stdout.read() == ""
    assert not socket.exists()


def test_a_server_whose_parent_is_gone_before_it_starts_ends_at_once(tmp_path):
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    command = [sys.executable, "-m", "marval", "warm", str(tmp_path / "socket"), str(gone.pid)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (tmp_path / "socket").exists()


@pytest.mark.parametrize("said", [b"", b"\0\0", (9).to_bytes(4, "big"), (9).to_bytes(4, "big") + b"{"])
def test_a_client_killed_while_it_speaks_harms_nobody(served, client, said):
    with socket.socket(socket.AF_UNIX) as killed:
        killed.connect(os.environ["MARVAL_WARM"])
        killed.sendall(said)
    assert client("status", "0").wait() == 0
    assert served.poll() is None


def test_a_client_killed_with_its_child_harms_nobody(served, client):
    """The server hears of both at once, of the child first: it is stopped meanwhile."""
    process = client("wait")
    assert process.stdout is not None
    child = int(process.stdout.readline().split()[1])
    served.send_signal(signal.SIGSTOP)
    os.kill(child, signal.SIGKILL)
    await_end(child)
    process.kill()
    process.wait()
    served.send_signal(signal.SIGCONT)
    assert client("status", "0").wait() == 0
    assert served.poll() is None


def test_crash_shows_its_traceback(served, client):
    process = client("crash")
    _, err = process.communicate()
    assert process.returncode == 1
    assert "RuntimeError: a bug" in err


def test_children_run_side_by_side(served, client):
    waiting = client("wait")
    assert waiting.stdout is not None
    assert waiting.stdout.readline()
    assert client("status", "0").wait() == 0
    waiting.send_signal(signal.SIGINT)
    assert waiting.wait() == 130


def test_without_a_server_the_command_is_not_delegated(client, monkeypatch):
    assert client("status", "0").wait() == 99
    monkeypatch.delenv("MARVAL_WARM")
    assert client("status", "0").wait() == 99
