# From the stages of dvc.yaml to what the rules need. Functions only; the rules are in the Snakefile.
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir).parent))
# stage commands say `dvc` and `python`: those of this very environment, also where it is not activated
os.environ.update(PATH=os.pathsep.join([str(Path(sys.executable).parent), os.getenv("PATH", os.defpath)]))

# one thread for a stage unless its settings say more: idle helper threads slow down the stages beside it
os.environ.setdefault("OMP_NUM_THREADS", "1")

try:
    from marval.errors import UserError, of_files
    from marval.pipeline import items, start
    from marval.pipeline.files import settings_path
    from marval.pipeline.graph import active_graph
    from marval.pipeline.missing import message, nodes_of, outlook
    from marval.pipeline.preset import load_preset, resolved_settings, stage_processes, stage_threads
    from marval.pipeline.resources import resources_of
    from marval.pipeline.roles import warnings
    from marval.pipeline.state import DamagedLock, State
    from marval.processes import gpus, warm
except (ImportError, MemoryError) as error:
    sys.exit(
        f"marval: error: packages cannot be imported ({' '.join(str(error).split()) or 'out of memory'}): raise the limit of memory "
        "(`ulimit -v`), 4 GB will do; if there is none, `make setup` installs them anew"
    )

STAMPS = Path(".snakemake/stages")
ALONE = "alone"  # noted in dvc.yaml of stages that want the machine for themselves


@dataclass(frozen=True)
class StageRule:
    """One stage as a rule."""

    address: str
    inputs: list
    outputs: list
    threads: int
    priority: int
    log: str
    benchmark: str
    memory_mb: int
    minutes: int
    gpus: int
    cpus: int
    devices: object  # resources -> what stands before the command, to choose its GPUs

    @property
    def name(self):
        # two addresses never give one name: stages have no two _ in a row, presets, variants and seeds none at all
        return self.address.replace("@", "__").replace("-", "_")


def resolved_rules():
    """(rules of the active presets' stages that can run, what each of the others waits for); a user's mistake is one line."""
    global LOST  # what DVC will restore
    try:
        start.check_folder()
        items.refresh()
        presets = {name: load_preset(name) for name in items.active_presets()}
        graph = active_graph()
        settings = {name: resolved_settings(preset) for name, preset in presets.items()}
        state = recorded(graph, {settings_path(name): content for name, content in settings.items()})
        LOST = state.lost()
        found = outlook(nodes_of(graph, presets), state.is_settled)
        changed = state.to_run()
        idle = found.waiting.keys() | found.settled
        stages = [stage for stage in graph.stages.values() if stage.address not in idle]
        waiting = graph.waiting()
        rules = [rule_of(s, graph, presets, settings, s.address in changed, waiting) for s in stages]
    except UserError as error:
        sys.exit(f"marval: error: {error}")
    except OSError as error:
        exit_for_files(error)
    if workflow.is_main_process:
        announce(presets.values(), found.waiting, len(graph.stages))
    return rules, found.waiting


def exit_for_files(error):
    """End with one line about an error of the file system, where a person can mend it."""
    if (line := of_files(error)) is None:
        raise error
    sys.exit(f"marval: error: {line}")


def recorded(graph, contents):
    """The state of the stages; a dvc.lock that a kill has damaged is mended first."""
    try:
        return State(graph, contents)
    except DamagedLock:
        if not workflow.is_main_process or not start.restore_lock():
            raise
        return State(graph, contents)


def rule_of(stage, graph, presets, settings, changed, waiting):
    """One stage for Snakemake. Times of its inputs do not count; a stamp that is newer than all outputs says that it has changed.

    What the longest chain waits for goes first, so that no core is idle in the end; and before that what wants the machine for itself,
    where it has it anyway.
    """
    section = presets[stage.preset].resources if stage.preset else {}
    usage = resources_of(section, stage.kind)
    own = settings.get(stage.preset, {})
    threads = stage_threads(own, stage.kind) * stage_processes(own, stage.kind)
    if changed:
        start.check_outputs(stage)
    made = [*graph.inputs(stage), *graph.other_files(stage)]
    return StageRule(
        address=stage.address,
        # an ancient input keeps Snakemake from looking whether anything else is new
        inputs=[
            *(str(path) if changed else ancient(str(path)) for path in made),
            stamp(stage.address, changed),
        ],
        outputs=[str(path) for path in stage.outputs],
        threads=workflow.cores or 1 if stage.meta.get(ALONE) else threads,
        priority=waiting[stage.address] + (len(waiting) if stage.meta.get(ALONE) else 0),
        log=f"logs/dvc/{stage.address}.log",
        benchmark=f"logs/benchmarks/{stage.address}.tsv",
        memory_mb=int(1000 * usage.memory_gb),
        minutes=int(60 * usage.hours),
        gpus=usage.gpus or 0,
        cpus=usage.cpus or threads,
        devices=partial(devices, hidden=usage.gpus == 0),
    )


def stamp(address, changed):
    """A file that is new where DVC would run the stage, in time and in content (Snakemake looks at both), and very old elsewhere."""
    path = STAMPS / address
    if workflow.is_main_process or not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(time.time_ns()))
        if not changed:
            os.utime(path, (0, 0))
    return str(path)


# on a cluster the job's GPUs are given by the cluster
GPUS = gpus.visible() if workflow.is_main_process else []
os.environ.update({gpus.VARIABLE: ",".join(GPUS)})


def devices(wildcards, resources, hidden):
    """What stands before a stage's command where there are GPUs: it gets its own; with `hidden` none."""
    if GPUS and resources.gpu:
        return f"python -m marval.processes.gpus {resources.gpu}"
    return "CUDA_VISIBLE_DEVICES=" if GPUS and hidden else ""


def start_warm_process():
    """Local stages run as forks of one process that has the heavy packages imported; it ends with this one."""
    if warm.is_wanted(GPUS):
        path = f".snakemake/warm-{os.getpid()}.socket"
        os.environ.update({warm.VARIABLE: path})
        subprocess.Popen(
            [sys.executable, "-m", "marval", "warm", path, str(os.getpid())], start_new_session=True
        )


def start_alone():
    """Keep a second run out, and clear away what a killed one has left; a user's mistake is one line."""
    global CLAIM  # held until this process ends
    try:
        CLAIM = start.claim()
        start.clear_remains()
        start.drop_damaged(LOST)
        start.keep_lock()
    except UserError as error:
        sys.exit(f"marval: error: {error}")
    except OSError as error:
        exit_for_files(error)


def announce(presets, lacking, total):
    """Say what is missing and what cannot be judged, before anything runs."""
    for preset in presets:
        sys.stderr.writelines(f"marval: {line}\n" for line in warnings(preset))
    if lacking:
        sys.stderr.write(f"{message(lacking, total)}\n\n")


def end_incomplete(lacking, done):
    """The end of a run that made all it could: what is still missing, and the status of a failure.

    Who asked for certain files has got them.
    """
    if lacking and not workflow.dag_settings.targets:
        total = len(done) + len(lacking)
        sys.stderr.write(
            f"\n{message(lacking, total)}\nmarval: everything else is made; the same command goes on from here\n"
        )
        sys.exit(1)


def marked(out):
    """An output with Snakemake's flags: folders (what has no suffix), and what its own report shows."""
    path = Path(out)
    flagged = out if path.suffix else directory(out)
    if path.name == "report.html":
        return report(flagged, caption="report/report.rst", category="Report", subcategory=path.parent.name)
    if path.suffix == ".png" and path.parent.name == "samples":
        labels = {"variant": path.stem}
        return report(
            flagged,
            caption="report/samples.rst",
            category="Samples",
            subcategory=path.parent.parent.name,
            labels=labels,
        )
    return flagged
