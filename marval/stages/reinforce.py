"""Stage `reinforce`: fine-tune a distilled student by the reward of whole images."""

from marval.artifacts import write_csv
from marval.methods.reinforcement import ReinforceMethod
from marval.stages.context import Context
from marval.stages.models import load_mar, load_tokenizer, save_mar
from marval.training.checkpoints import CheckpointStore
from marval.training.loop import fit
from metrics.judges import load as load_judge

LOG_EVERY = 1


def run(context: Context) -> None:
    """Write the tuned student and the curve."""
    assert context.variant is not None
    assert context.seed is not None
    section = context.preset.reinforce
    variant = section.variants[context.variant]
    student = load_mar(context.model_path(variant.start, context.seed))
    reward = load_judge(context.results / "judges/pick_score.json")
    method = ReinforceMethod(section.training, student, load_tokenizer(context.results), reward)
    store = CheckpointStore(context.checkpoints)
    rows = fit(method, variant.steps, context.seed, store, context.label, LOG_EVERY)
    save_mar(student, context.output(".safetensors"))
    write_csv(context.output(".csv"), rows)
