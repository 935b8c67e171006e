"""Stage `evaluate`: score the samples of one variant with every judge."""

from pathlib import Path

from marval.artifacts import write_json, write_npz
from marval.launch import gather, here, shard
from marval.stages.context import Context
from metrics.evaluate import check_sizes, evaluate
from metrics.features import Features
from metrics.judges import OpenedJudges, open_folder
from metrics.judging import Judged, judge_images
from metrics.npz import read_npz
from metrics.samples import Samples, read_samples


def pieces(context: Context) -> int:
    """How many processes can share the work."""
    arrays, _ = read_npz(_samples(context), ("arr_1",), "make it again")
    return -(-len(arrays["arr_1"]) // context.preset.evaluate.batch)


def run(context: Context) -> None:
    """Write the measurements, every image's raw scores, and the bare values for `dvc metrics`."""
    settings, samples = context.preset.evaluate, read_samples(_samples(context))
    check_sizes(samples, settings)
    judges = open_folder(context.results / "judges").to(here().device)
    judged = _judged(judges, samples, settings.batch)
    if not here().is_first:
        return
    rows = evaluate(samples, judges.features, judges.scorers, judges.reference, settings, judged)
    path = {p.parent.name: p for p in context.declared.outputs}
    write_json(path["metrics"], rows)
    write_npz(path["image_scores"], **judged.scores)
    write_json(path["scores"], {row["metric"]: row["value"] for row in rows})


def _judged(judges: OpenedJudges, samples: Samples, batch: int) -> Judged:
    """Every process asks the judges about its share; all then know what each image got."""
    mine = shard(len(samples.images), batch)
    part = samples.part(slice(mine.start, mine.stop))
    said = judge_images(part, judges.features, judges.scorers, batch)
    features = Features(gather(said.features.features), gather(said.features.logits))
    return Judged(features, {name: gather(scores) for name, scores in said.scores.items()})


def _samples(context: Context) -> Path:
    return next(p for p in context.declared.dependencies if p.suffix == ".npz")
