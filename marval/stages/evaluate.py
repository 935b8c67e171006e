"""Stage `evaluate`: score the samples of one variant with every judge."""

from dataclasses import replace

from marval.artifacts import write_json, write_npz
from marval.pipeline.files import INPAINTED, REAL
from marval.pipeline.run import Context
from marval.processes.group import gather, here, shard
from metrics.evaluate import check_sizes, evaluate
from metrics.features import Features
from metrics.judges.opened import open_folder
from metrics.judging import Judged, Jury, judge_images
from metrics.npz import read_npz
from metrics.samples import Samples, read_samples


def parallelism(context: Context, variant: str) -> int:
    """How many processes can share the work."""
    arrays, _ = read_npz(context.files.scored(variant), ("arr_1",), "make it again")
    return -(-len(arrays["arr_1"]) // context.preset.evaluate.batch)


def run(context: Context, variant: str) -> None:
    """Write the measurements, every image's raw scores, and the bare values for `dvc metrics`."""
    settings, samples = context.preset.evaluate, read_samples(context.files.scored(variant))
    check_sizes(samples, settings)
    reward = context.preset.reinforce.training.reward
    jury = open_folder(context.files.judges).to(here().device).jury(reward)
    if variant == REAL or variant.startswith(INPAINTED):  # held-out images are their own nearest ones
        jury = replace(jury, neighbours=None)
    judged = _judged(jury, samples, settings.batch)
    if not here().is_first:
        return
    rows = evaluate(samples, jury, settings, judged)
    write_json(context.output(f"metrics/{variant}.json"), rows)
    write_npz(context.output(f"image_scores/{variant}.npz"), **judged.scores)
    write_json(context.output(f"scores/{variant}.json"), {row["metric"]: row["value"] for row in rows})


def _judged(jury: Jury, samples: Samples, batch: int) -> Judged:
    """Every process asks the judges about its share; all then know what each image got."""
    mine = shard(len(samples.images), batch)
    own = judge_images(samples.part(slice(mine.start, mine.stop)), jury, batch)
    features = {
        name: Features(gather(found.features), gather(found.logits)) for name, found in own.features.items()
    }
    return Judged(features, {name: gather(scores) for name, scores in own.scores.items()})
