"""Stage `evaluate`: score the samples of one variant with every judge."""

from pathlib import Path

from marval.artifacts import write_json, write_npz
from marval.pipeline.files import Files
from marval.pipeline.preset import REAL
from marval.pipeline.run import Context
from marval.processes.group import gather, here, shard
from metrics.evaluate import check_sizes, evaluate
from metrics.features import Features
from metrics.judges import OpenedJudges, open_folder
from metrics.judging import Judged, judge_images
from metrics.npz import read_npz
from metrics.samples import Samples, read_samples


def parallelism(context: Context, variant: str) -> int:
    """How many processes can share the work."""
    arrays, _ = read_npz(_samples(context.files, variant), ("arr_1",), "make it again")
    return -(-len(arrays["arr_1"]) // context.preset.evaluate.batch)


def run(context: Context, variant: str) -> None:
    """Write the measurements, every image's raw scores, and the bare values for `dvc metrics`."""
    settings, samples = context.preset.evaluate, read_samples(_samples(context.files, variant))
    check_sizes(samples, settings)
    judges = open_folder(context.files.judges).to(here().device)
    judged = _judged(judges, samples, settings.batch)
    if not here().is_first:
        return
    rows = evaluate(samples, judges.features, judges.scorers, judges.reference, settings, judged)
    write_json(context.output(f"metrics/{variant}.json"), rows)
    write_npz(context.output(f"image_scores/{variant}.npz"), **judged.scores)
    write_json(context.output(f"scores/{variant}.json"), {row["metric"]: row["value"] for row in rows})


def _judged(judges: OpenedJudges, samples: Samples, batch: int) -> Judged:
    """Every process asks the judges about its share; all then know what each image got."""
    mine = shard(len(samples.images), batch)
    part = samples.part(slice(mine.start, mine.stop))
    own = judge_images(part, judges.features, judges.scorers, batch)
    features = Features(gather(own.features.features), gather(own.features.logits))
    return Judged(features, {name: gather(scores) for name, scores in own.scores.items()})


def _samples(files: Files, variant: str) -> Path:
    return files.held_out if variant == REAL else files.samples(variant)
