"""Stage `published`: the judges of the literature, from their weights files; nothing is trained.

It leaves what the stage `judges` leaves: a description of every judge, the reference statistics, and no figures of quality,
which are the publications' own.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from marval.artifacts import read_json, write_json
from marval.data.images import ImageSet, open_training
from marval.pipeline.run import Context
from marval.processes.group import here
from marval.progress import Progress
from marval.weights import path_of, require
from metrics.judges.files import load
from metrics.judges.opened import open_folder
from metrics.judges.registry import PUBLISHED
from metrics.judges.section import STATISTICS
from metrics.published.folder import write_descriptions
from metrics.real import Batch
from metrics.reference import make_reference, read_reference, with_features

CROP = "adm-256"  # how ADM prepared the images of its statistics; the file does not say it
DRAWN = 50_000  # training images for the judges without published statistics: as many as are generated, as in dgm-eval
SEED = 13


def run(context: Context) -> None:
    """Write the descriptions, the reference of each feature judge, and quality.json.

    The first judge's is ADM's statistics and features of the images in its file; the others' are made of training images.
    """
    names = read_json(context.files.class_names)
    wanted = [record.weights for record in PUBLISHED if record.weights]
    require([*wanted, STATISTICS])
    folder = context.output(context.files.judges)
    write_descriptions(folder, {name: path_of(name) for name in wanted}, names, context.preset.prompt)
    inception = open_folder(folder).to(here().device).features
    published = with_features(read_reference(path_of(STATISTICS)), inception)
    replace(published, crop=CROP, judge_sha256=inception.sha256).save(folder / "reference.npz")
    train = open_training(context.files.data, context.preset.prepare)
    chosen = np.random.default_rng(SEED).permutation(len(train))[:DRAWN]
    for record in PUBLISHED:
        if record.role == "features" and record.measures is not None:
            label, source = f"{context.label} {record.name}", str(context.files.data)
            images = DrawnImages(train, np.sort(chosen), label, source, context.preset.prepare.crop)
            judge = load(folder / f"{record.name}.json").to(here().device)
            make_reference(images, judge).save(folder / record.reference_file)
    write_json(folder / "quality.json", [])


@dataclass
class DrawnImages:
    """Some of the training images, read when their batch comes; `label` is for progress. See metrics.real.RealImages."""

    train: ImageSet
    chosen: np.ndarray
    label: str
    source: str
    crop: str
    left_out: list[str] = field(default_factory=list)  # none: what is damaged is no training image

    def batches(self, size: int) -> Iterator[Batch]:
        """In the order of the training images, `size` at a time."""
        with Progress(self.label, len(self.chosen), "image") as progress:
            for start in range(0, len(self.chosen), size):
                part = self.chosen[start : start + size]
                yield self.train.images(part), self.train.labels[part]
                progress.advance(len(part))
