"""Stage `reinforce`: fine-tune a distilled student by the reward of whole images."""

from __future__ import annotations

from marval.artifacts import load_weights, write_csv
from marval.data.latents import LatentBatches
from marval.methods.distillation import DistillMethod
from marval.methods.reinforcement import ReinforceMethod
from marval.methods.settings import ReinforceVariant
from marval.models.mar import MAR
from marval.models.saved import load_mar, load_tokenizer, save_mar
from marval.pipeline.preset import TEACHER
from marval.pipeline.run import Context
from marval.processes.group import here
from marval.training.checkpoints import CheckpointStore
from marval.training.loop import fit
from marval.training.snapshots import Snapshots, snapshot_steps
from metrics.judges.opened import open_folder

LOG_EVERY = 1


def parallelism(context: Context, variant: str, seed: int) -> int:
    """How many processes can share the work."""
    return context.preset.reinforce.training.batch


def run(context: Context, variant: str, seed: int) -> None:
    """Write the tuned student, its weights at a few moments, and the curve."""
    preset, files = context.preset, context.files
    training, tuned = preset.reinforce.training, preset.reinforce.variants[variant]
    student = load_mar(files.model(tuned.start, seed)).to(here().device)
    tokenizer = load_tokenizer(files.tokenizer, files.normaliser).to(here().device)
    reward = open_folder(files.judges).to(here().device).reward(training.reward)
    distillation = _distillation(context, tuned, student, seed)
    method = ReinforceMethod(training, tuned, student, tokenizer, reward, preset.one_step_t, distillation)
    snapshots = Snapshots(
        context.checkpoints, student, snapshot_steps(tuned.steps, tuned.snapshots, LOG_EVERY)
    )
    store = CheckpointStore(context.checkpoints)
    rows = fit(method, tuned.steps, seed, store, context.label, LOG_EVERY, snapshots.observe, training.scale)
    if not here().is_first:
        return
    save_mar(student, context.output(files.model(variant, seed)))
    write_csv(context.output(files.curve(variant, seed)), rows)
    snapshots.publish(context.output(files.snapshots(variant, seed)))


def _distillation(context: Context, tuned: ReinforceVariant, student: MAR, seed: int) -> DistillMethod | None:
    """Distillation of the student that is tuned, with the auxiliary network as it was left; None where it has no weight."""
    if tuned.distillation_weight == 0:
        return None
    section, files = context.preset.distill, context.files
    data = LatentBatches.load(files.latents)
    teacher = load_mar(files.model(TEACHER, context.preset.teachers[seed])).to(here().device)
    settings, preset = section.variants[tuned.start], context.preset
    method = DistillMethod(
        section.training, settings, teacher, data, preset.one_step_t, student, preset.sample.chain_start
    )
    load_weights(method.auxiliary, files.auxiliary(tuned.start, seed))
    return method
