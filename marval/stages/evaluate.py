"""Stage `evaluate`: score the samples of one variant with every judge."""

from dataclasses import replace
from pathlib import Path

from marval.artifacts import write_json, write_npz
from marval.launch import gather, here, shard
from marval.stages.context import Context
from marval.stages.preset import REAL
from marval.stages.watch import REWARD
from metrics.evaluate import check_sizes, evaluate
from metrics.features import Features
from metrics.judges.opened import open_folder
from metrics.judging import Judged, Jury, judge_images
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
    jury = open_folder(context.results / "judges").to(here().device).jury(REWARD)
    if context.variant == REAL:  # held-out images are their own nearest ones
        jury = replace(jury, neighbours=None)
    judged = _judged(jury, samples, settings.batch)
    if not here().is_first:
        return
    rows = evaluate(samples, jury, settings, judged)
    path = {p.parent.name: p for p in context.declared.outputs}
    write_json(path["metrics"], rows)
    write_npz(path["image_scores"], **judged.scores)
    write_json(path["scores"], {row["metric"]: row["value"] for row in rows})


def _judged(jury: Jury, samples: Samples, batch: int) -> Judged:
    """Every process asks the judges about its share; all then know what each image got."""
    mine = shard(len(samples.images), batch)
    said = judge_images(samples.part(slice(mine.start, mine.stop)), jury, batch)
    features = {
        name: Features(gather(found.features), gather(found.logits)) for name, found in said.features.items()
    }
    return Judged(features, {name: gather(scores) for name, scores in said.scores.items()})


def _samples(context: Context) -> Path:
    return next(p for p in context.declared.dependencies if p.suffix == ".npz")
