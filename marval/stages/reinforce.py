"""Stage `reinforce`: fine-tune a distilled student by the reward of whole images."""

from marval.artifacts import write_csv
from marval.methods.reinforcement import ReinforceMethod
from marval.stages.context import Context
from marval.stages.models import load_mar, load_tokenizer, save_mar
from marval.stages.preset import SampleVariant
from marval.stages.watch import Watch
from marval.training.checkpoints import CheckpointStore
from marval.training.loop import fit
from metrics.judges import load as load_judge

LOG_EVERY = 1


def run(context: Context) -> None:
    """Write the tuned student and the curve, in which the unseen judges appear every few steps."""
    assert context.variant is not None
    assert context.seed is not None
    seed, training = context.seed, context.preset.reinforce.training
    variant = context.preset.reinforce.variants[context.variant]
    student = load_mar(context.model_path(variant.start, seed))
    tokenizer = load_tokenizer(context.results)
    judges = context.results / "judges"
    method = ReinforceMethod(training, student, tokenizer, load_judge(judges / "pick_score.json"))
    sampled = SampleVariant(model=context.variant, diffusion_steps=1, ar_steps=training.ar_steps)
    watch = Watch(judges, tokenizer, context.preset.sample, sampled)

    def observe(step: int) -> dict[str, float]:
        return {} if step % variant.observe_every and step != variant.steps else watch.look(student, seed)

    store = CheckpointStore(context.checkpoints)
    rows = fit(method, variant.steps, seed, store, context.label, LOG_EVERY, observe)
    save_mar(student, context.output(".safetensors"))
    write_csv(context.output(".csv"), rows)
