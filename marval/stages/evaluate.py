"""Stage `evaluate`: score the samples of one variant with every judge."""

from marval.artifacts import write_json
from marval.stages.context import Context
from metrics.evaluate import evaluate
from metrics.judges import Cnn
from metrics.judges import load as load_judge
from metrics.reference import read_reference
from metrics.samples import read_samples

SCORERS = ("clip", "image_reward", "pick_score")


def run(context: Context) -> None:
    """Write the measurements, and the bare scores for `dvc metrics`."""
    judges = context.results / "judges"
    (samples,) = [p for p in context.declared.dependencies if p.suffix == ".npz"]
    cnn = load_judge(judges / "cnn.json")
    assert isinstance(cnn, Cnn)
    rows = evaluate(
        read_samples(samples),
        cnn,
        [load_judge(judges / f"{kind}.json") for kind in SCORERS],
        read_reference(judges / "reference.npz"),
        context.preset.evaluate,
    )
    write_json(next(p for p in context.declared.outputs if p.parent.name == "metrics"), rows)
    scores = {row["metric"]: row["value"] for row in rows}
    write_json(next(p for p in context.declared.outputs if p.parent.name == "scores"), scores)
