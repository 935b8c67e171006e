"""Stage `evaluate`: score the samples of one variant with every judge."""

from marval.artifacts import write_json, write_npz
from marval.stages.context import Context
from marval.stages.preset import SCORERS
from metrics.evaluate import evaluate, image_scores
from metrics.judges import Cnn
from metrics.judges import load as load_judge
from metrics.reference import read_reference
from metrics.samples import read_samples


def run(context: Context) -> None:
    """Write the measurements, every image's raw scores, and the bare values for `dvc metrics`."""
    judges = context.results / "judges"
    samples = read_samples(next(p for p in context.declared.dependencies if p.suffix == ".npz"))
    cnn = load_judge(judges / "cnn.json")
    assert isinstance(cnn, Cnn)
    scorers = [load_judge(judges / f"{kind}.json") for kind in SCORERS]
    reference = read_reference(judges / "reference.npz")
    scores = image_scores(samples, scorers, context.preset.evaluate.batch)
    rows = evaluate(samples, cnn, scorers, reference, context.preset.evaluate, scores=scores)
    path = {p.parent.name: p for p in context.declared.outputs}
    write_json(path["metrics"], rows)
    write_npz(path["image_scores"], **scores)
    write_json(path["scores"], {row["metric"]: row["value"] for row in rows})
