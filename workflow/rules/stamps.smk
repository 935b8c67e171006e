# Stamp files: how Snakemake, which watches times of files, learns that the command, settings or code of a stage changed.
import hashlib
import os
from pathlib import Path

STAMPS = Path(".snakemake/stages")


class Changes:
    """What DVC finds changed; asked only when a stamp is missing or differs, or an input is lost."""

    def __init__(self, repo):
        self._repo = repo
        self._entries = None

    @property
    def entries(self):
        """address -> DVC's list of what changed; stages that it would not run again are not in it."""
        if self._entries is None:
            self._entries = self._repo.status()
        return self._entries

    def are_lost_inputs(self, address):
        """Whether the outputs of a stage are there, made with the present settings and code, though some inputs are gone."""
        return are_lost_inputs_only(self.entries.get(address, []))


def stamp(stage, made, changes):
    """A file that changes with command, settings and code of a stage; very old where DVC knows the state already."""
    state = hashlib.sha256(stage.cmd.encode())
    for dep in stage.deps:
        if hasattr(dep, "read_params"):
            state.update(repr(sorted(dep.read_params().items())).encode())
        elif not any(is_within(out, dep.def_path) for out in made):
            state.update(fingerprint(Path(dep.def_path)))
    path = STAMPS / stage.addressing
    if path.is_file() and path.read_text() == state.hexdigest():
        return str(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(state.hexdigest())
    if stage.addressing not in changes.entries:
        os.utime(path, (0, 0))
    return str(path)


def fingerprint(path):
    """Of code by content, of published weights by size and time: they have gigabytes."""
    by_content = path.parts[0] != "weights"
    files = sorted(p for p in path.rglob("*") if p.is_file() and p.suffix != ".pyc") if path.is_dir() else [path]
    state = hashlib.sha256()
    for file in files:
        state.update(f"{file}\0".encode() + (file.read_bytes() if by_content else repr(signature(file)).encode()))
    return state.digest()


def signature(file):
    found = file.stat()
    return found.st_size, found.st_mtime_ns
