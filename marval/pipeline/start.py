"""What a run looks at before it starts: whether another one is at work, and what a killed one has left behind."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import sys
from collections.abc import Collection
from datetime import datetime
from itertools import chain
from pathlib import Path
from threading import Thread
from typing import TextIO

from marval.artifacts import replacing
from marval.errors import UserError
from marval.pipeline.graph import Stage
from marval.pipeline.hashes import read
from marval.pipeline.state import LOCK

FOLDER = Path(".snakemake")
RUNNING = FOLDER / "running"  # locked by the run that is at work; says which that is
SOCKETS = "warm-*.socket"
RWLOCK = Path(".dvc/tmp/rwlock")
RUN_CACHE = Path(".dvc/cache/runs")
KEPT_LOCK = Path(".dvc/tmp/dvc.lock.kept")  # dvc.lock as it was when a run last started
NOTHING_RUN = "schema: '2.0'\n"


def check_folder() -> None:
    """UserError where this is no git checkout, which DVC needs."""
    if not Path(".git").exists():
        raise UserError(
            f"{Path.cwd()} is not a git checkout, which DVC needs: get the project by `git clone`, or run `git init` here"
        )


def check_outputs(stage: Stage) -> None:
    """UserError for an output that is there and may not be written."""
    for path in stage.outputs:
        if path.exists() and not os.access(path, os.W_OK):
            raise UserError(
                f"{path} is write-protected, and {stage.address} has to run again: `chmod -R u+w {path}`, or move it away"
            )


def claim() -> TextIO:
    """The lock of the only run of this folder, kept until the process ends or closes it; UserError while there is another."""
    FOLDER.mkdir(exist_ok=True)
    stream = RUNNING.open("a+")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.seek(0)
        other = stream.read().strip() or "just started"
        stream.close()
        raise UserError(
            f"another run is at work in {Path.cwd()} ({other}): start this one again when that one has ended"
        ) from None
    stream.truncate(0)
    stream.write(f"process {os.getpid()}, since {datetime.now():%Y-%m-%d %H:%M:%S}\n")
    stream.flush()
    return stream


def take_sigterm_aside() -> None:
    """Run the handler that SIGTERM has in a thread of its own.

    Snakemake's waits for a lock. The main thread, in which handlers run, may hold it at that moment (it does whenever jobs are
    selected), and would wait for itself for ever.
    """
    handler = signal.getsignal(signal.SIGTERM)
    if callable(handler):
        signal.signal(signal.SIGTERM, lambda *given: Thread(target=handler, args=given, daemon=True).start())


def clear_remains() -> None:
    """Remove what killed runs left: sockets of warm processes, folders of remembered runs without a file, and of DVC's list of
    files in use what no process uses any more, or all of it where it is cut off.

    Only for who has the claim.
    """
    for socket in FOLDER.glob(SOCKETS):
        socket.unlink(missing_ok=True)
    # DVC makes the folder of a remembered run before the file in it, and cannot bear one without
    for folder in RUN_CACHE.glob("*/*"):
        with contextlib.suppress(OSError):  # it is not empty
            folder.rmdir()
    if (users := _users()) is None or any(map(_is_gone, users)):
        _free_files()


def drop_damaged(objects: Collection[str]) -> None:
    """Remove objects of DVC's cache whose content is not what their names say: DVC takes write-protected ones as they are.

    `objects`: md5s of outputs that are about to be restored. A stage of which an object is missing runs again.
    """
    if not objects:
        return
    from dvc.repo import Repo

    with Repo(".") as repo:
        for name in objects:
            place = Path(repo.cache.local.oid_to_path(name))
            parts = _parts(place) if name.endswith(".dir") else []
            for part in [place, *(Path(repo.cache.local.oid_to_path(md5)) for md5 in parts)]:
                if part.is_file() and read(part) != (part.parent.name + part.stem):
                    part.unlink()
                    sys.stderr.write(
                        f"marval: {os.path.relpath(part)} is damaged, and is removed: what it was is made again\n"
                    )


def _parts(place: Path) -> list[str]:
    """md5s of the files of a folder in the cache; none where its list is damaged, which goes by itself."""
    try:
        return [str(entry["md5"]) for entry in json.loads(place.read_text())]
    except (OSError, ValueError, TypeError, KeyError):
        return []


def keep_lock() -> None:
    """Keep a copy of dvc.lock, which has just been read: DVC writes it in place, in a second or more, and may be killed in it."""
    with replacing(KEPT_LOCK) as copy:
        shutil.copyfile(LOCK, copy) if LOCK.is_file() else copy.write_text(NOTHING_RUN)


def restore_lock() -> bool:
    """Put the copy back in place of a damaged dvc.lock; False if there is none. UserError while a run is at work.

    What has run since is not computed again: DVC finds it in its cache.
    """
    with claim():
        if not KEPT_LOCK.is_file():
            return False
        aside = KEPT_LOCK.with_suffix(".damaged")
        LOCK.replace(aside)
        shutil.copyfile(KEPT_LOCK, LOCK)
    sys.stderr.write(
        f"marval: {LOCK} is damaged and set aside as {aside}; the one of the last start takes its place\n"
    )
    return True


def _users() -> set[int] | None:
    """The processes that use files, by DVC's list; None where it cannot be read."""
    try:
        content = json.loads(RWLOCK.read_text())
        users = [*content.get("write", {}).values(), *chain(*content.get("read", {}).values())]
        return {int(user["pid"]) for user in users}
    except FileNotFoundError:
        return set()
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _is_gone(pid: int) -> bool:
    """Whether the process of this number is none that uses files; False where there is none, whose files DVC frees itself.

    DVC asks only whether there is a process of that number. That may be one that was killed and that nobody has waited for, as in
    a container without an init, or, after a restart of the machine, another one.
    """
    import psutil

    try:
        process = psutil.Process(pid)
        return process.status() == psutil.STATUS_ZOMBIE or process.create_time() > RWLOCK.stat().st_mtime + 1
    except (psutil.Error, OSError):
        return False


def _free_files() -> None:
    """Under the lock that guards the list: while a `dvc` holds that, it is at work on it."""
    from dvc.lock import LockError, make_lock
    from dvc.repo import Repo
    from dvc.rwlock import RWLOCK_LOCK

    with Repo(".") as repo:
        hardlink = repo.config["core"].get("hardlink_lock", False)
        guard = make_lock(
            str(RWLOCK.with_name(RWLOCK_LOCK)), tmp_dir=str(RWLOCK.parent), hardlink_lock=hardlink
        )
    try:
        with guard:
            if (users := _users()) is None:
                RWLOCK.unlink()
                sys.stderr.write(f"marval: {RWLOCK} was cut off by a kill, and is removed\n")
            else:
                _remove_users(set(filter(_is_gone, users)))
    except LockError:
        return  # in use, and about to be written


def _remove_users(gone: set[int]) -> None:
    content = json.loads(RWLOCK.read_text())
    writing = {path: user for path, user in content.get("write", {}).items() if user["pid"] not in gone}
    reading = {
        path: [user for user in users if user["pid"] not in gone]
        for path, users in content.get("read", {}).items()
    }
    reading = {path: users for path, users in reading.items() if users}
    with replacing(RWLOCK) as temporary:
        temporary.write_text(json.dumps({"write": writing, "read": reading}))
