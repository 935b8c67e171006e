"""Stage `teacher`: train MAR on the latents."""

from marval.artifacts import write_csv
from marval.data.latents import LatentBatches
from marval.methods.teacher import TeacherMethod
from marval.stages.context import Context
from marval.stages.models import save_mar
from marval.training.checkpoints import CheckpointStore
from marval.training.loop import fit
from marval.training.seeding import seed_construction

LOG_EVERY = 20


def run(context: Context) -> None:
    """Write the averaged weights and the curve."""
    assert context.seed is not None
    config = context.preset.teacher
    data = LatentBatches.load(context.results / "latents/train.safetensors")
    seed_construction(context.seed)
    method = TeacherMethod(config, data)
    rows = fit(
        method, config.steps, context.seed, CheckpointStore(context.checkpoints), context.label, LOG_EVERY
    )
    save_mar(method.average.module, context.output(".safetensors"))
    write_csv(context.output(".csv"), rows)
