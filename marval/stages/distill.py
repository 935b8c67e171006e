"""Stage `distill`: one-step student by guided score implicit matching."""

from marval.artifacts import write_csv
from marval.data.latents import LatentBatches
from marval.methods.distillation import DistillMethod
from marval.stages.context import Context
from marval.stages.models import load_mar, save_mar
from marval.stages.preset import TEACHER
from marval.training.checkpoints import CheckpointStore
from marval.training.loop import fit

LOG_EVERY = 10


def run(context: Context) -> None:
    """Write the averaged student and the curve."""
    assert context.variant is not None
    assert context.seed is not None
    section = context.preset.distill
    data = LatentBatches.load(context.results / "latents/train.safetensors")
    teacher = load_mar(context.model_path(TEACHER, context.seed))
    method = DistillMethod(section.training, section.variants[context.variant], teacher, data)
    store = CheckpointStore(context.checkpoints)
    rows = fit(method, section.training.steps, context.seed, store, context.label, LOG_EVERY)
    save_mar(method.average.module, context.output(".safetensors"))
    write_csv(context.output(".csv"), rows)
