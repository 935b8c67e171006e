# From DVC's resolved stages to what the rules need. Functions only; the rules are in the Snakefile.
import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir)))
# stage commands say `dvc` and `python`: those of this very environment, also where it is not activated
os.environ.update(PATH=os.pathsep.join([str(Path(sys.executable).parent), os.getenv("PATH", os.defpath)]))

# one thread for a stage unless its settings say more: idle helper threads slow down the stages beside it
os.environ.setdefault("OMP_NUM_THREADS", "1")

from marval import warm
from marval.errors import UserError
from marval.stages import grid
from marval.stages.preset import load_preset, stage_threads

STAMPS = Path(".snakemake/stages")
DIRECTORIES = ("tables", "figures", "latents/train")  # ends of the outputs that are folders
MEMORY_MB = 1500  # of one miniature stage, measured peak 1.2 GB


@dataclass(frozen=True)
class Stage:
    """One stage of dvc.yaml as a rule."""

    address: str
    inputs: list
    outputs: list
    threads: int
    log: str
    benchmark: str
    memory_mb: int = MEMORY_MB

    @property
    def rule_name(self):
        return self.address.replace("@", "_").replace("-", "_")


def resolved_stages():
    """All stages of the active presets; a user's mistake ends Snakemake with one line."""
    try:
        grid.refresh()
        presets = {name: load_preset(name) for name in grid.active_presets()}
    except UserError as error:
        sys.exit(f"marval: error: {error}")
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        repo = Repo(".")
        stages = repo.index.stages
    except DvcException as error:
        sys.exit(f"marval: error: {' '.join(str(error).split())}: repair the file and run again")
    makers = [out.def_path for stage in stages for out in stage.outs]
    changed = ChangedStages(repo)
    return [describe(stage, makers, presets, changed) for stage in stages]


def describe(stage, makers, presets, changed):
    """The rule of one stage. Code and settings enter by a stamp file that is newer than the outputs when they changed."""
    kind, _, key = stage.addressing.partition("@")
    made = [out for dep in stage.deps for out in makers if is_within(out, dep.def_path)]
    preset = next((presets[p] for p in sorted(presets, key=len, reverse=True) if key == p or key.startswith(f"{p}-")), None)
    alone = kind == "speed"  # timings want the machine for themselves
    return Stage(
        address=stage.addressing,
        inputs=[*dict.fromkeys(made), stamp(stage, made, changed)],
        outputs=[out.def_path for out in stage.outs],
        threads=workflow.cores or 1 if alone else stage_threads(preset, kind),
        log=f"logs/dvc/{stage.addressing}.log",
        benchmark=f"logs/benchmarks/{stage.addressing}.tsv",
    )


def start_warm_process():
    """Local stages run as forks of one process that has the heavy packages imported; it ends with this one."""
    path = f".snakemake/warm-{os.getpid()}.socket"
    os.environ.update({warm.VARIABLE: path})
    subprocess.Popen([sys.executable, "-m", "marval", "warm", path], start_new_session=True)


def is_within(path, folder):
    return path == folder or path.startswith(f"{folder}/")


class ChangedStages:
    """The stages that DVC would run again; asked only when a stamp is missing or differs."""

    def __init__(self, repo):
        self._repo = repo
        self._names = None

    def __contains__(self, address):
        if self._names is None:
            self._names = set(self._repo.status())
        return address in self._names


def stamp(stage, made, changed):
    """A file that changes with command, settings and code of a stage; very old where DVC knows the state already."""
    state = hashlib.sha256(stage.cmd.encode())
    for dep in stage.deps:
        if hasattr(dep, "read_params"):
            state.update(repr(sorted(dep.read_params().items())).encode())
        elif not any(is_within(out, dep.def_path) for out in made):
            state.update(content_hash(Path(dep.def_path)))
    path = STAMPS / stage.addressing
    if path.is_file() and path.read_text() == state.hexdigest():
        return str(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(state.hexdigest())
    if stage.addressing not in changed:
        os.utime(path, (0, 0))
    return str(path)


def content_hash(path):
    files = sorted(p for p in path.rglob("*") if p.is_file() and p.suffix != ".pyc") if path.is_dir() else [path]
    state = hashlib.sha256()
    for file in files:
        state.update(f"{file}\0".encode() + (file.read_bytes() if file.is_file() else b""))
    return state.digest()


def marked(stage, out):
    """An output with Snakemake's flags: folders, and what its own report shows."""
    path = Path(out)
    flagged = directory(out) if out.endswith(tuple(f"/{name}" for name in DIRECTORIES)) else out
    if path.name == "report.html":
        return report(flagged, caption="workflow/report/report.rst", category="Report", subcategory=path.parent.name)
    if path.suffix == ".png" and path.parent.name == "samples":
        labels = {"variant": path.stem}
        return report(flagged, caption="workflow/report/samples.rst", category="Samples", subcategory=path.parent.parent.name, labels=labels)
    return flagged
