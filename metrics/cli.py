"""The commands behind `python -m metrics`."""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from metrics import compare as comparison
from metrics.cache import FeatureCache
from metrics.calibrate import adm_cases, embedded_cases
from metrics.distances import DistanceSettings
from metrics.errors import UserError
from metrics.evaluate import EvaluationSettings, ScoringJudge, evaluate, image_scores
from metrics.features import FeatureJudge
from metrics.judges.prompts import TEMPLATE
from metrics.reference import make_reference, read_reference, with_features
from metrics.samples import read_samples

FEATURE_JUDGE = "a miniature judge's .json, or the .pth with torch-fidelity's Inception weights"
# at 2048 features one Frechet distance takes seconds, and the interval of a set-level metric takes one for
# each half
INCEPTION_SETTINGS = {"half_samples": 6, "frechet_points": 5}


def run(arguments: list[str]) -> int:
    """Parse and run; returns the exit status. UserError is for the caller to print."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    return command(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m metrics", description="Score batches of generated images."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    score = commands.add_parser("evaluate", help="score an npz batch (arr_0, arr_1) or a folder of images")
    score.add_argument("samples", metavar="SAMPLES")
    score.add_argument(
        "--reference", required=True, metavar="STATS", help="statistics npz: own, ADM's or MAR's"
    )
    score.add_argument("--judge", required=True, metavar="FILE", help=FEATURE_JUDGE)
    score.add_argument("--scorer", action="append", default=[], metavar="KIND=PATH", help=SCORERS_HELP)
    score.add_argument(
        "--classes", metavar="JSON", help="list of class names by index, for the published scorers"
    )
    score.add_argument(
        "--template", default=TEMPLATE, help="prompt with {} for the class name (default: %(default)s)"
    )
    score.add_argument(
        "--order", choices=["shuffled-2020", "as-given"], default="shuffled-2020", help=ORDER_HELP
    )
    score.add_argument(
        "--crop", default="none", help="how the reference was cropped; recorded in the protocol"
    )
    score.add_argument("--cache", metavar="FOLDER", help="keep features there, by content")
    score.add_argument(
        "-o", "--output", metavar="JSON", help="result file; the scores of each image go beside it"
    )
    score.set_defaults(command=_evaluate)

    both = commands.add_parser("compare", help="differences of two result files, with intervals")
    both.add_argument("a", metavar="A")
    both.add_argument("b", metavar="B")
    both.set_defaults(command=_compare)

    check = commands.add_parser("calibrate", help="check against known answers; needs no file")
    check.add_argument("--adm-batch", metavar="NPZ", help="admnet_guided_upsampled_imagenet256.npz")
    check.add_argument("--adm-reference", metavar="NPZ", help="VIRTUAL_imagenet256_labeled.npz")
    check.add_argument("--inception", metavar="PTH", help="torch-fidelity's Inception weights")
    check.set_defaults(command=_calibrate)

    reference = commands.add_parser("statistics", help="make reference statistics of real images")
    reference.add_argument("images", metavar="FOLDER|NPZ")
    reference.add_argument("--judge", required=True, metavar="FILE", help=FEATURE_JUDGE)
    reference.add_argument("-o", "--output", required=True, metavar="NPZ")
    reference.set_defaults(command=_statistics)
    for command in (score, check, reference):
        command.add_argument(
            "--device", default="cpu", help="torch device of the networks (default: %(default)s)"
        )
    return parser


SCORERS_HELP = (
    "repeatable: judge=MINIATURE.json, clip-l=WEIGHTS (ViT-L/14), clip-b=WEIGHTS (ViT-B/32), image-reward=FOLDER, "
    "pick-score=FOLDER"
)
ORDER_HELP = (
    "order of the images in the inception score's splits: torch-fidelity's shuffle, or as given (ADM)"
)


def _evaluate(options: argparse.Namespace) -> int:
    samples = read_samples(options.samples)
    judge, speed = _feature_judge(options.judge, options.device)
    scorers = [_scorer(text, options) for text in options.scorer]
    if scorers and samples.labels is None:
        raise UserError(
            f"{samples.source}: no labels, so no prompts: add arr_1, use class folders, or drop --scorer"
        )
    settings = EvaluationSettings(
        distances=DistanceSettings(inception_order=options.order), crop=options.crop, **speed
    )
    cache = FeatureCache(options.cache) if options.cache else None
    scores = image_scores(samples, scorers, settings.batch)
    reference = read_reference(options.reference)
    reference.check_judge(judge)
    rows = evaluate(samples, judge, scorers, with_features(reference, judge), settings, cache, scores)
    if options.output:
        _write(Path(options.output), (json.dumps(rows, indent=2) + "\n").encode())
        if scores:
            _write_npz(Path(options.output).with_suffix(".scores.npz"), scores)
    for row in rows:
        interval = f"[{row['ci_low']:.5g}, {row['ci_high']:.5g}]"
        print(f"{row['metric']:27}{row['value']:<12.6g}{interval:26}{row['judge']}", file=sys.stdout)  # noqa: T201
    return 0


def _compare(options: argparse.Namespace) -> int:
    rows = comparison.compare(comparison.read_rows(options.a), comparison.read_rows(options.b))
    print(comparison.table(rows))  # noqa: T201
    return 0


def _calibrate(options: argparse.Namespace) -> int:
    cases = embedded_cases()
    published = (options.adm_batch, options.adm_reference, options.inception)
    if all(published):
        cases += adm_cases(
            options.adm_batch, options.adm_reference, _feature_judge(options.inception, options.device)[0]
        )
    elif any(published):
        raise UserError("ADM's calibration needs all of --adm-batch, --adm-reference and --inception")
    for case in cases:
        verdict = "ok" if case.passed else "FAILED"
        print(f"{verdict:8}{case.name:46}{case.got:<14.6g}expected {case.expected:.6g} +- {case.tolerance:g}")  # noqa: T201
    return 0 if all(case.passed for case in cases) else 1


def _statistics(options: argparse.Namespace) -> int:
    images = read_samples(options.images)
    judge, _ = _feature_judge(options.judge, options.device)
    make_reference(images.images, images.labels, judge).save(options.output)
    return 0


def _feature_judge(path: str, device: str) -> tuple[FeatureJudge, dict[str, int]]:
    """The judge and the settings that suit its size."""
    if path.endswith((".pth", ".pt")):
        from metrics.published.inception import Inception

        return Inception(path).to(device), INCEPTION_SETTINGS
    from metrics import judges

    judge = judges.load(path)
    if not isinstance(judge, judges.Cnn):
        raise UserError(
            f"{path}: a {judge.kind} judge has no features for these statistics: give a cnn judge"
        )
    return judge, {}


def _scorer(text: str, options: argparse.Namespace) -> ScoringJudge:
    kind, _, path = text.partition("=")
    if kind == "judge":
        from metrics import judges

        judge = judges.load(path)
        if not judge.metric:
            raise UserError(f"{path}: a {judge.kind} judge does not score prompts: give it as --judge")
        return judge.to(options.device)
    if kind not in PUBLISHED or not path:
        raise UserError(f"--scorer {text!r}: write KIND=PATH with KIND one of judge, {', '.join(PUBLISHED)}")
    if options.classes is None:
        raise UserError(f"--scorer {text!r} needs --classes, a JSON list of class names by index")
    if options.template.count("{}") != 1:
        raise UserError(f"--template {options.template!r} needs exactly one {{}} where the class name goes")
    return PUBLISHED[kind](path, _class_names(options.classes), options.template, options.device)


def _clip(model_name: str) -> Callable[[str, list[str], str, str], ScoringJudge]:
    def make(path: str, names: list[str], template: str, device: str) -> ScoringJudge:
        from metrics.published.clip import OpenClip

        return OpenClip.from_file(model_name, path, names, template).to(device)

    return make


def _image_reward(path: str, names: list[str], template: str, device: str) -> ScoringJudge:
    from metrics.published.image_reward import ImageRewardV1

    return ImageRewardV1.from_folder(path, names, template).to(device)


def _pick_score(path: str, names: list[str], template: str, device: str) -> ScoringJudge:
    from metrics.published.pick_score import PickScoreV1

    return PickScoreV1.from_folder(path, names, template).to(device)


PUBLISHED: dict[str, Callable[[str, list[str], str, str], ScoringJudge]] = {
    "clip-l": _clip("ViT-L-14-quickgelu"),
    "clip-b": _clip("ViT-B-32-quickgelu"),
    "image-reward": _image_reward,
    "pick-score": _pick_score,
}


def _class_names(path: str) -> list[str]:
    try:
        names: Any = json.loads(Path(path).read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise UserError(f"{path}: not readable as JSON: give a list of class names by index") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{path}: not a list of texts: give class names by index")
    return names


def _write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    os.replace(partial, path)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    os.replace(partial, path)
