"""Stage `distill`: one-step student by guided score implicit matching."""

from marval.artifacts import write_csv, write_tensors
from marval.data.latents import LatentBatches
from marval.methods.distillation import DistillMethod
from marval.models.saved import load_mar, save_mar
from marval.pipeline.preset import TEACHER
from marval.pipeline.run import Context
from marval.processes.group import here
from marval.training.checkpoints import CheckpointStore
from marval.training.loop import fit
from marval.training.snapshots import Snapshots, snapshot_steps

LOG_EVERY = 10


def parallelism(context: Context, variant: str, seed: int) -> int:
    """How many processes can share the work."""
    return context.preset.distill.training.batch


def run(context: Context, variant: str, seed: int) -> None:
    """Write the averaged student, the auxiliary network (regularised fine-tuning needs it), snapshots and the curve."""
    section, files = context.preset.distill, context.files
    training = section.training
    data = LatentBatches.load(files.latents)
    teacher = load_mar(files.model(TEACHER, context.preset.teachers[seed])).to(here().device)
    method = DistillMethod(
        training,
        section.variants[variant],
        teacher,
        data,
        context.preset.one_step_t,
        chain_start=context.preset.sample.chain_start,
    )
    average = method.average.module
    steps = snapshot_steps(training.steps, training.snapshots, LOG_EVERY)
    snapshots = Snapshots(context.checkpoints, average, steps)
    store = CheckpointStore(context.checkpoints)
    rows = fit(
        method, training.steps, seed, store, context.label, LOG_EVERY, snapshots.observe, training.scale
    )
    if not here().is_first:
        return
    save_mar(average, context.output(files.model(variant, seed)))
    write_tensors(context.output(files.auxiliary(variant, seed)), dict(method.auxiliary.state_dict()))
    write_csv(context.output(files.curve(variant, seed)), rows)
    snapshots.publish(context.output(files.snapshots(variant, seed)))
