# From DVC's resolved stages to what the rules need. Functions only; the rules are in the Snakefile.
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir)))
# stage commands say `dvc` and `python`: those of this very environment, also where it is not activated
os.environ.update(PATH=os.pathsep.join([str(Path(sys.executable).parent), os.getenv("PATH", os.defpath)]))

# one thread for a stage unless its settings say more: idle helper threads slow down the stages beside it
os.environ.setdefault("OMP_NUM_THREADS", "1")

from marval import gpus, warm
from marval.errors import UserError
from marval.stages import grid
from marval.stages.missing import Node, are_lost_inputs_only, message, missing_inputs, outlook
from marval.stages.preset import load_preset, stage_threads
from marval.stages.resources import Resources as Usage  # `Resources` is Snakemake's


include: "stamps.smk"


TIMINGS = ("speed", "latency")  # stages that want the machine for themselves
DIRECTORIES = ("tables", "figures", "train")  # names of the outputs that are folders


@dataclass(frozen=True)
class Stage:
    """One stage of dvc.yaml as a rule."""

    address: str
    inputs: list
    outputs: list
    threads: int
    log: str
    benchmark: str
    memory_mb: int
    minutes: int
    gpus: int
    cpus: int
    devices: object  # resources -> what stands before the command, to choose its GPUs

    @property
    def rule_name(self):
        return self.address.replace("@", "_").replace("-", "_")


def resolved_stages():
    """(stages of the active presets that can run, what each of the others waits for); a user's mistake is one line."""
    try:
        grid.refresh()
        presets = {name: load_preset(name) for name in grid.active_presets()}
    except UserError as error:
        sys.exit(f"marval: error: {error}")
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        repo = Repo(".", _wait_for_lock=True)
        stages = repo.index.stages
    except DvcException as error:
        sys.exit(f"marval: error: {' '.join(str(error).split())}: repair the file and run again")
    makers = {out.def_path: stage.addressing for stage in stages for out in stage.outs}
    changes = Changes(repo)
    nodes = [Node(s.addressing, frozenset(made_by(s, makers).values()), lost(s, makers, presets)) for s in stages]
    found = outlook(nodes, changes.are_lost_inputs)
    if workflow.is_main_process:
        announce(found.waiting, len(stages))
    idle = found.waiting.keys() | found.settled
    return [describe(s, makers, presets, changes) for s in stages if s.addressing not in idle], found.waiting


def made_by(stage, makers):
    """Outputs of other stages that a stage reads -> the stage that makes each."""
    return {out: maker for dep in stage.deps for out, maker in makers.items() if is_within(out, dep.def_path)}


def lost(stage, makers, presets):
    """What a stage needs from outside that is not there."""
    preset = preset_of(stage, presets)
    if preset is None:
        return ()
    inputs = [dep.def_path for dep in stage.deps if not hasattr(dep, "read_params")]
    made = made_by(stage, makers)
    outside = [Path(path) for path in inputs if not any(is_within(out, path) for out in made)]
    return missing_inputs(kind_of(stage), preset, outside)


def kind_of(stage):
    return stage.addressing.partition("@")[0]


def preset_of(stage, presets):
    """The preset of a stage; None for a stage of all presets."""
    key = stage.addressing.partition("@")[2]
    names = sorted(presets, key=len, reverse=True)  # one name may begin like another
    return next((presets[name] for name in names if key == name or key.startswith(f"{name}-")), None)


def describe(stage, makers, presets, changes):
    """The rule of one stage. Code and settings enter by a stamp file that is newer than the outputs when they changed."""
    kind, preset, made = kind_of(stage), preset_of(stage, presets), made_by(stage, makers)
    threads = stage_threads(preset, kind)
    usage = (preset.resources if preset else Usage()).of(kind)
    return Stage(
        address=stage.addressing,
        inputs=[*made, stamp(stage, made, changes)],
        outputs=[out.def_path for out in stage.outs],
        threads=workflow.cores or 1 if kind in TIMINGS else threads,
        log=f"logs/dvc/{stage.addressing}.log",
        benchmark=f"logs/benchmarks/{stage.addressing}.tsv",
        memory_mb=int(1000 * usage.memory_gb),
        minutes=int(60 * usage.hours),
        gpus=usage.gpus or 0,
        cpus=usage.cpus or threads,
        devices=partial(devices, hidden=usage.gpus == 0),
    )


GPUS = gpus.visible() if workflow.is_main_process else []  # on a cluster the job's GPUs are given by the cluster
os.environ.update({gpus.VARIABLE: ",".join(GPUS)})


def devices(wildcards, resources, hidden):
    """What stands before a stage's command where there are GPUs: it gets its own; with `hidden` none."""
    if GPUS and resources.gpu:
        return f"python -m marval.gpus {resources.gpu}"
    return "CUDA_VISIBLE_DEVICES=" if GPUS and hidden else ""


def start_warm_process():
    """Local stages run as forks of one process that has the heavy packages imported; it ends with this one.

    Who has named such a process in the environment keeps it.
    """
    if warm.VARIABLE in os.environ:
        return
    path = f".snakemake/warm-{os.getpid()}.socket"
    os.environ.update({warm.VARIABLE: path})
    subprocess.Popen([sys.executable, "-m", "marval", "warm", path], start_new_session=True)


def announce(lacking, total):
    """Say what is missing, before anything runs."""
    if lacking:
        sys.stderr.write(f"{message(lacking, total)}\n\n")


def end_incomplete(lacking, done):
    """The end of a run that made all it could: what is still missing, and the status of a failure.

    Who asked for certain files has got them.
    """
    if lacking and not workflow.dag_settings.targets:
        total = len(done) + len(lacking)
        sys.stderr.write(f"\n{message(lacking, total)}\nmarval: everything else is made; the same command goes on from here\n")
        sys.exit(1)


def is_within(path, folder):
    return path == folder or path.startswith(f"{folder}/")


def marked(stage, out):
    """An output with Snakemake's flags: folders, and what its own report shows."""
    path = Path(out)
    flagged = directory(out) if path.name in DIRECTORIES else out
    if path.name == "report.html":
        return report(flagged, caption="workflow/report/report.rst", category="Report", subcategory=path.parent.name)
    if path.suffix == ".png" and path.parent.name == "samples":
        labels = {"variant": path.stem}
        return report(flagged, caption="workflow/report/samples.rst", category="Samples", subcategory=path.parent.parent.name, labels=labels)
    return flagged
