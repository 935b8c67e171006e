"""Descriptions of published judges: NAME.json beside the reference, which say where the weights are and what they hash to."""

import json
from pathlib import Path
from typing import Any

from metrics.errors import UserError
from metrics.files import replacing
from metrics.judges.prompts import check_template
from metrics.judges.registry import published
from metrics.published.weights import weights_sha256

KIND = "published"


def write_descriptions(folder: Path, weights: dict[str, Path], class_names: list[str], template: str) -> None:
    """Write the description of each judge (`inception`, `clip-l`, …) from the path of its weights.

    UserError names all weights that are missing.
    """
    missing = [f"{name} ({path})" for name, path in weights.items() if not path.exists()]
    if missing:
        raise UserError(f"weights of judges are missing: {', '.join(missing)}: fetch them or put them there")
    for name, path in weights.items():
        description = {
            "kind": KIND,
            "judge": name,
            "weights": str(path),
            "sha256": weights_sha256(path),
            "class_names": class_names,
            "template": check_template(template),
        }
        file = folder / f"{published(name).name}.json"
        with replacing(file) as partial:
            partial.write_text(json.dumps(description, indent=2, ensure_ascii=False) + "\n")


def open_description(file: Path, description: dict[str, Any]) -> Any:
    """The judge of a description that was read from `file`; UserError where its weights are missing or other ones."""
    absent = {"judge", "weights", "sha256", "class_names", "template"} - set(description)
    if absent:
        raise UserError(f"{file}: no {', '.join(sorted(absent))} in it: describe the judges again")
    names = description["class_names"]
    texts = [description[key] for key in ("judge", "weights", "sha256", "template")]
    if not isinstance(names, list) or not all(isinstance(text, str) for text in (*texts, *names)):
        raise UserError(f"{file}: not a judge's description: describe the judges again")
    name, weights = description["judge"], Path(description["weights"])
    try:
        judge = published(name).implementation()
    except UserError as error:
        raise UserError(f"{file}: {error}") from error
    if not weights.exists():
        raise UserError(f"{weights}: the weights of {name} are missing ({file} names them): fetch them again")
    if weights_sha256(weights) != description["sha256"]:
        raise UserError(
            f"{weights}: the weights of {name} are not those that {file} describes (their sha256 differs): put the former ones "
            "back, or describe the judges again"
        )
    return judge.open(weights, description["class_names"], description["template"])
