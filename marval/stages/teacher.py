"""Stage `teacher`: train MAR on the latents."""

from marval.artifacts import write_csv
from marval.data.latents import LatentBatches
from marval.methods.teacher import TeacherMethod
from marval.models.saved import save_mar
from marval.pipeline.preset import TEACHER
from marval.pipeline.run import Context
from marval.processes.group import here
from marval.training.checkpoints import CheckpointStore
from marval.training.loop import fit
from marval.training.seeding import seed_construction
from marval.training.snapshots import Snapshots, snapshot_steps

LOG_EVERY = 20


def parallelism(context: Context, seed: int) -> int:
    """How many processes can share the work."""
    return context.preset.teacher.batch


def run(context: Context, seed: int) -> None:
    """Write the averaged weights, those at a few moments, and the curve."""
    config, files = context.preset.teacher, context.files
    data = LatentBatches.load(files.latents)
    seed_construction(seed)
    method = TeacherMethod(config, data, here().device)
    average = method.average.module
    steps = snapshot_steps(config.steps, config.snapshots, LOG_EVERY)
    snapshots = Snapshots(context.checkpoints, average, steps)
    store = CheckpointStore(context.checkpoints)
    rows = fit(method, config.steps, seed, store, context.label, LOG_EVERY, snapshots.observe, config.scale)
    if not here().is_first:
        return
    save_mar(average, context.output(files.model(TEACHER, seed)))
    write_csv(context.output(files.curve(TEACHER, seed)), rows)
    snapshots.publish(context.output(files.snapshots(TEACHER, seed)))
