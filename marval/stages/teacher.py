"""Stage `teacher`: train MAR on the latents."""

from marval.artifacts import write_csv
from marval.data.latents import LatentBatches
from marval.launch import here
from marval.methods.teacher import TeacherMethod
from marval.models.mar import MAR
from marval.stages.context import Context
from marval.stages.frames import Frames, drawer
from marval.stages.models import load_tokenizer, save_mar
from marval.stages.preset import TEACHER, SampleVariant
from marval.training.checkpoints import CheckpointStore
from marval.training.loop import fit
from marval.training.seeding import seed_construction

LOG_EVERY = 20
FRAME_STEPS = 8  # of the diffusion chain: enough to see how training goes


def pieces(context: Context) -> int:
    """How many processes can share the work."""
    return context.preset.teacher.batch


def run(context: Context) -> None:
    """Write the averaged weights, the curve and samples over time."""
    assert context.seed is not None
    config = context.preset.teacher
    data = LatentBatches.load(context.results / "latents/train")
    seed_construction(context.seed)
    method = TeacherMethod(config, data, here().device)
    average = method.average.module
    assert isinstance(average, MAR)
    look = SampleVariant(model=TEACHER, diffusion_steps=FRAME_STEPS, ar_steps=config.model.side)
    tokenizer = load_tokenizer(context.results).to(here().device)
    draw = drawer(average, tokenizer, context.preset.sample, look, context.seed)
    frames = Frames(context.checkpoints, config.steps, LOG_EVERY, draw)
    store = CheckpointStore(context.checkpoints)
    rows = fit(
        method, config.steps, context.seed, store, context.label, LOG_EVERY, frames.observe, config.scale
    )
    if not here().is_first:
        return
    save_mar(average, context.output(".safetensors"))
    write_csv(context.output(".csv"), rows)
    frames.write(context.output(".png"))
