"""Stage `published`: the judges of the literature, from their weights files; nothing is trained.

It leaves what the stage `judges` leaves: a description of every judge, the reference statistics, and no figures of quality,
which are the publications' own.
"""

from dataclasses import replace

from marval.artifacts import read_json, write_json
from marval.pipeline.run import Context
from marval.processes.group import here
from marval.weights import path_of, require
from metrics.judges.opened import open_folder
from metrics.judges.registry import PUBLISHED
from metrics.judges.section import STATISTICS
from metrics.published.folder import write_descriptions
from metrics.reference import read_reference, with_features

CROP = "adm-256"  # how ADM prepared the images of its statistics; the file does not say it


def run(context: Context) -> None:
    """Write the descriptions, the reference (ADM's statistics, and features of the images in its file), and quality.json."""
    names = read_json(context.files.class_names)
    wanted = [record.weights for record in PUBLISHED if record.weights]
    require([*wanted, STATISTICS])
    folder = context.output(context.files.judges)
    write_descriptions(folder, {name: path_of(name) for name in wanted}, names, context.preset.prompt)
    inception = open_folder(folder).to(here().device).features
    published = with_features(read_reference(path_of(STATISTICS)), inception)
    replace(published, crop=CROP, judge_sha256=inception.sha256).save(folder / "reference.npz")
    write_json(folder / "quality.json", [])
