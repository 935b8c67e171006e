"""Stage `reinforce`: fine-tune a distilled student by the reward of whole images."""

from __future__ import annotations

from dataclasses import asdict

from marval.artifacts import load_weights, write_csv, write_json
from marval.data.latents import LatentBatches
from marval.launch import here
from marval.methods.distillation import DistillMethod
from marval.methods.reinforcement import ReinforceMethod, ReinforceVariant
from marval.models.mar import MAR
from marval.stages.context import Context
from marval.stages.frames import Frames, drawer
from marval.stages.models import load_mar, load_tokenizer, save_mar
from marval.stages.preset import TEACHER, SampleVariant
from marval.stages.watch import REWARD, Watch
from marval.training.checkpoints import CheckpointStore
from marval.training.loop import fit
from metrics.hacking import watch as unsound_from
from metrics.judges.opened import open_folder

LOG_EVERY = 1


def pieces(context: Context) -> int:
    """How many processes can share the work."""
    return context.preset.reinforce.training.batch


def run(context: Context) -> None:
    """Write the tuned student, the curve with the unseen judges, where they stop agreeing, and samples over time."""
    assert context.variant is not None
    assert context.seed is not None
    seed, training = context.seed, context.preset.reinforce.training
    variant = context.preset.reinforce.variants[context.variant]
    student = load_mar(context.model_path(variant.start, seed)).to(here().device)
    tokenizer = load_tokenizer(context.results).to(here().device)
    judges = open_folder(context.results / "judges").to(here().device)
    pull = _pull(context, variant, student)
    method = ReinforceMethod(training, variant, student, tokenizer, judges.reward(REWARD), pull)
    look = SampleVariant(model=context.variant, diffusion_steps=1, ar_steps=training.ar_steps)
    watch = Watch(judges, tokenizer, context.preset.sample, look)
    draw = drawer(student, tokenizer, context.preset.sample, look, seed)
    frames = Frames(context.checkpoints, variant.steps, LOG_EVERY, draw)

    def observe(step: int) -> dict[str, float]:
        frames.observe(step)
        return {} if step % variant.observe_every and step != variant.steps else watch.look(student, seed)

    store = CheckpointStore(context.checkpoints)
    rows = fit(method, variant.steps, seed, store, context.label, LOG_EVERY, observe, training.scale)
    if not here().is_first:
        return
    save_mar(student, context.output(".safetensors"))
    write_csv(context.output(".csv"), rows)
    write_json(context.output("watch.json"), asdict(unsound_from(watch.judged(rows))))
    frames.write(context.output(".png"))


def _pull(context: Context, variant: ReinforceVariant, student: MAR) -> DistillMethod | None:
    """Distillation of the student that is tuned, with the auxiliary network as distillation left it."""
    if variant.distillation_pull == 0:
        return None
    assert context.seed is not None
    section = context.preset.distill
    data = LatentBatches.load(context.results / "latents/train")
    teacher = load_mar(context.model_path(TEACHER, context.seed)).to(here().device)
    pull = DistillMethod(section.training, section.variants[variant.start], teacher, data, student)
    folder = context.model_path(variant.start, context.seed).parent
    load_weights(pull.auxiliary, folder / f"auxiliary-{context.seed}.safetensors")
    return pull
