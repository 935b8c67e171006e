"""Stage `distill`: one-step student by guided score implicit matching."""

from marval.artifacts import write_csv, write_tensors
from marval.data.latents import LatentBatches
from marval.launch import here
from marval.methods.distillation import DistillMethod
from marval.models.mar import MAR
from marval.stages.context import Context
from marval.stages.frames import Frames, drawer
from marval.stages.models import load_mar, load_tokenizer, save_mar
from marval.stages.preset import TEACHER, SampleVariant
from marval.training.checkpoints import CheckpointStore
from marval.training.loop import fit

LOG_EVERY = 10


def pieces(context: Context) -> int:
    """How many processes can share the work."""
    return context.preset.distill.training.batch


def run(context: Context) -> None:
    """Write the averaged student, the auxiliary network (a later pull needs it), the curve and samples over time."""
    assert context.variant is not None
    assert context.seed is not None
    section, seed = context.preset.distill, context.seed
    data = LatentBatches.load(context.results / "latents/train")
    teacher = load_mar(context.model_path(TEACHER, seed)).to(here().device)
    method = DistillMethod(section.training, section.variants[context.variant], teacher, data)
    average = method.average.module
    assert isinstance(average, MAR)
    look = SampleVariant(model=context.variant, diffusion_steps=1, ar_steps=teacher.config.side)
    tokenizer = load_tokenizer(context.results).to(here().device)
    draw = drawer(average, tokenizer, context.preset.sample, look, seed)
    frames = Frames(context.checkpoints, section.training.steps, LOG_EVERY, draw)
    store = CheckpointStore(context.checkpoints)
    steps, scale = section.training.steps, section.training.scale
    rows = fit(method, steps, seed, store, context.label, LOG_EVERY, frames.observe, scale)
    if not here().is_first:
        return
    save_mar(average, context.output(f"seed-{seed}.safetensors"))
    write_tensors(context.output(f"auxiliary-{seed}.safetensors"), dict(method.auxiliary.state_dict()))
    write_csv(context.output(".csv"), rows)
    frames.write(context.output(".png"))
