"""What a run clears away before it begins."""

import os
import signal
import threading
from pathlib import Path

import pytest

from marval.pipeline import start


def test_folders_of_remembered_runs_without_a_file_go(tmp_path, monkeypatch):
    """A kill between the making of the folder and of its file leaves one, and DVC then fails on that stage for ever."""
    monkeypatch.chdir(tmp_path)
    empty, whole = (start.RUN_CACHE / name for name in ("69/697f", "3f/3fa6"))
    for folder in (empty, whole):
        folder.mkdir(parents=True)
    (whole / "d7726e").write_text("cmd: true\n")
    start.clear_remains()
    assert not empty.exists()
    assert [path.name for path in whole.iterdir()] == ["d7726e"]
    assert Path(".dvc").exists()


@pytest.fixture
def sigterm():
    """What other tests have found for SIGTERM is there again afterwards."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("sigterm")
@pytest.mark.timeout(60)
def test_sigterm_waits_for_no_lock_that_its_own_thread_holds():
    """As Snakemake's handler does, when it comes while jobs are selected."""
    lock, told = threading.Lock(), threading.Event()

    def handler(number, _):
        with lock:
            told.set()

    signal.signal(signal.SIGTERM, handler)
    start.take_sigterm_aside()
    with lock:
        os.kill(os.getpid(), signal.SIGTERM)
        assert not told.is_set()
    assert told.wait()


@pytest.mark.usefixtures("sigterm")
def test_sigterm_without_a_handler_stays_as_it_is():
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    start.take_sigterm_aside()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
