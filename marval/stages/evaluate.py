"""Stage `evaluate`: score the samples of one variant with every judge.

Samples that share seed and index were drawn for one image: the best of them by the training reward is kept, the others are gone.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from marval.artifacts import write_json, write_npz
from marval.pipeline.files import INPAINTED, REAL
from marval.pipeline.run import Context
from marval.processes.group import gather, here, shard
from metrics.best import best_of_each, images_of
from metrics.evaluate import check_sizes, evaluate
from metrics.features import Features
from metrics.judges.opened import open_folder
from metrics.judging import Judged, Jury, ScoringJudge, judge_images
from metrics.npz import read_npz
from metrics.samples import Samples, read_samples


def parallelism(context: Context, variant: str) -> int:
    """How many processes can share the work."""
    kept = len(set(_images(context.files.scored(variant)).tolist()))
    return -(-kept // context.preset.evaluate.batch)


def run(context: Context, variant: str) -> None:
    """Write the measurements, every image's raw scores, and the bare values for `dvc metrics`."""
    settings, path = context.preset.evaluate, context.files.scored(variant)
    samples, image = read_samples(path), _images(path)
    reward = context.preset.reinforce.training.reward
    judges = open_folder(context.files.judges).to(here().device)
    jury = judges.jury(reward)
    if image[-1] + 1 < len(image):
        samples = best_of_each(samples, image, _scores(judges.scorer(reward), samples, settings.batch))
    check_sizes(samples, settings)
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


def _scores(judge: ScoringJudge, samples: Samples, batch: int) -> NDArray[np.float32]:
    """Every process asks one judge about its share."""
    mine = shard(len(samples.images), batch)
    part = samples.part(slice(mine.start, mine.stop))
    assert part.labels is not None
    return gather(judge.score_images(part.images, part.labels, batch))


def _images(path: Path) -> NDArray[np.int64]:
    """The number of the image `(N,)` that each sample of a file was drawn for."""
    arrays, _ = read_npz(path, ("arr_1", "seed", "index"), "make it again")
    return images_of(arrays.get("seed"), arrays.get("index"), len(arrays["arr_1"]))
