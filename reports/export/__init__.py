"""A preset's results as one folder that stands alone: report, claims and what they follow from, cards, RO-Crate metadata.

    CRATE/results/PRESET/   the results as they are, without what only training needs (weights, latents, images of training)
    CRATE/workflow/         the workflow, the preset and the paper's numbers, as they were when the crate was made
    CRATE/cards/            a card for each trained model, and one for the data
    CRATE/README.md         what it is, and how to verify it
    CRATE/compute.csv       hardware, time and operations, in the order of CVPR's compute reporting form
    CRATE/ro-crate-metadata.json

`verify` needs no torch and no part of the suite but this package.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from reports.errors import UserError
from reports.export.cards import cards
from reports.export.compute import compute
from reports.export.crate import KEPT, LEFT_OUT, METADATA, README, metadata
from reports.output import write_json, write_text
from reports.results import Results

PROJECT = Path(__file__).parents[2]
WORKFLOW = ("workflow/Snakefile", "dvc.yaml", "params.yaml", "reports/paper.yaml")


def export(results: Results, output: Path) -> Path:
    """Write the crate to `output`, a folder or a file that ends with .zip, and return it.

    Raises UserError where there is no report, or where `output` holds something that is no crate.
    """
    for name in ("claims.json", "report.html"):
        if not (results.root / name).is_file():
            raise UserError(
                f"{results.label(results.root / name)} is missing: run `make reproduce PRESET={results.preset}` first"
            )
    if output.suffix == ".zip":
        with tempfile.TemporaryDirectory(dir=output.parent) as folder:
            crate = Path(folder) / output.stem
            _write(results, crate)
            shutil.make_archive(str(output.with_suffix("")), "zip", crate)
        return output
    if output.exists() and any(output.iterdir()) and not (output / METADATA).is_file():
        raise UserError(f"{output} is not empty and is no crate: name another folder with -o")
    shutil.rmtree(output, ignore_errors=True)
    _write(results, output)
    return output


def _write(results: Results, crate: Path) -> None:
    root = crate / "results" / results.preset
    for path in sorted(results.root.rglob("*")):
        name = path.relative_to(results.root)
        wanted = name.parts[0] not in LEFT_OUT or name.as_posix() in KEPT
        if path.is_file() and wanted and not name.name.startswith("."):
            _copy(path, root / name)
    presets = sorted((PROJECT / "workflow/presets").glob("*.yaml"))
    for path in (*(PROJECT / name for name in WORKFLOW), *presets):
        if path.is_file():
            _copy(path, crate / "workflow" / path.name)
    for model, text in cards(results).items():
        write_text(crate / "cards" / f"{model}.md", text)
    write_text(crate / "compute.csv", compute(results).to_csv(index=False, lineterminator="\n"))
    write_text(crate / README, _readme(results))
    write_json(crate / METADATA, metadata(crate, results))


def _readme(results: Results) -> str:
    return f"""# MARVAL reproduced on {results.preset}

The claims of arXiv 2511.15190 as the preset {results.preset} tests them, with every result that they follow from. Open
`results/{results.preset}/report.html` to read it. `cards/` describes models and data, `compute.csv` the cost, `workflow/` has the
workflow, its settings and the paper's numbers. Trained weights and training images are left out; the records have their hashes.

To verify hashes and verdicts, in a checkout of marval: `make verify CRATE=PATH`, with the path of this folder.
"""


def _copy(path: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, to)
