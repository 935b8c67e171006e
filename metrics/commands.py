"""What the commands of `metrics` do. Each takes its parsed options and returns the exit status."""

import argparse
import json
import warnings
from pathlib import Path

import numpy as np

from metrics import compare as comparison
from metrics.cache import FeatureCache
from metrics.calibrate import adm_cases, embedded_cases
from metrics.errors import UserError
from metrics.evaluate import check_sizes, evaluate
from metrics.features import FeatureJudge
from metrics.files import read_json, replacing
from metrics.judges.files import load
from metrics.judges.prompts import TEMPLATE, check_template
from metrics.judges.registry import PUBLISHED
from metrics.judging import Jury, ScoringJudge, Yardstick, judge_images
from metrics.real import open_real
from metrics.reference import KEPT, make_reference, read_reference, with_features
from metrics.samples import Samples, read_samples
from metrics.settings import DistanceSettings, EvaluationSettings

REWARD = "pick_score"  # the paper's training reward: a gain on it proves nothing


def score(options: argparse.Namespace) -> int:
    """evaluate: the rows of one batch, and the raw scores of each image beside them."""
    samples = read_samples(options.samples)
    judge = feature_judge(options.judge, options.device)
    scorers = [scorer(text, options) for text in options.scorer]
    if scorers and samples.labels is None:
        raise UserError(
            f"{samples.source}: no labels, so no prompts: add arr_1, use class folders, or drop --scorer"
        )
    for asked in [judge, *scorers]:
        _check_labels(samples, getattr(asked, "class_names", None), asked.name)
    settings = EvaluationSettings(
        distances=DistanceSettings(inception_order=options.order), crop=options.crop
    )
    check_sizes(samples, settings)
    reference = read_reference(options.reference)
    reference.check_judge(judge)
    cache = FeatureCache(options.cache) if options.cache else None
    jury = Jury([Yardstick(judge, with_features(reference, judge))], scorers, REWARD)
    judged = judge_images(samples, jury, settings.batch, cache)
    rows = evaluate(samples, jury, settings, judged)
    if options.output:
        output = Path(options.output)
        with replacing(output) as partial:
            partial.write_text(json.dumps(rows, indent=2) + "\n")
        if judged.scores:
            with replacing(output.with_suffix(".scores.npz")) as partial, partial.open("wb") as file:
                np.savez(file, allow_pickle=False, **judged.scores)
    for row in rows:
        interval = f"[{row['ci_low']:.5g}, {row['ci_high']:.5g}]"
        print(f"{row['metric']:27}{row['value']:<12.6g}{interval:26}{row['judge']}")  # noqa: T201
    return 0


def _check_labels(samples: Samples, names: list[str] | None, judge: str) -> None:
    """UserError for labels of classes that a judge has no names of; the published Inception has classes of its own."""
    if (
        names is not None
        and samples.labels is not None
        and (largest := int(samples.labels.max())) >= len(names)
    ):
        raise UserError(
            f"{samples.source}: labels go up to {largest}, but {judge} has {len(names)} class names: give those of these images"
        )


def compare(options: argparse.Namespace) -> int:
    """compare: B - A for each metric of both."""
    rows = comparison.compare(comparison.read_rows(options.a), comparison.read_rows(options.b))
    print(comparison.table(rows))  # noqa: T201
    return 0


def calibrate(options: argparse.Namespace) -> int:
    """calibrate: known answers against measured ones; status 1 where one is missed."""
    cases = embedded_cases()
    published = (options.adm_batch, options.adm_reference, options.inception)
    if all(published):
        cases += adm_cases(
            options.adm_batch, options.adm_reference, feature_judge(options.inception, options.device)
        )
    elif any(published):
        raise UserError("ADM's calibration needs all of --adm-batch, --adm-reference and --inception")
    for case in cases:
        verdict = "ok" if case.passed else "FAILED"
        print(f"{verdict:8}{case.name:46}{case.got:<14.6g}expected {case.expected:.6g} +- {case.tolerance:g}")  # noqa: T201
    return 0 if all(case.passed for case in cases) else 1


def statistics(options: argparse.Namespace) -> int:
    """statistics: the reference file of real images; damaged ones are named and counted."""
    for name, value in (("--crop", options.crop), ("--keep", options.keep)):
        if value is not None and value < 1:
            raise UserError(f"{name} {value}: give a number from 1 up")
    real = open_real(options.images, options.crop)
    judge = feature_judge(options.judge, options.device)
    reference = make_reference(real, judge, keep=options.keep or KEPT)
    reference.save(options.output)
    for name in reference.left_out:
        warnings.warn(f"left out, damaged: {name}", stacklevel=1)
    kept = 0 if reference.features is None else len(reference.features)
    print(  # noqa: T201
        f"{options.output}: {reference.n} images (crop {reference.crop}; {len(reference.left_out)} damaged left out), "
        f"features of {kept} kept"
    )
    return 0


def feature_judge(path: str, device: str) -> FeatureJudge:
    """The judge of --judge."""
    if path.endswith((".pth", ".pt")):
        from metrics.published.inception import Inception

        return Inception(path).to(device)
    judge = load(path).to(device)
    if not hasattr(judge, "features"):
        raise UserError(f"{path}: {judge.name} has no features for these statistics: give a cnn judge")
    return judge


def scorer(text: str, options: argparse.Namespace) -> ScoringJudge:
    """The judge of one --scorer KIND=PATH."""
    kind, _, path = text.partition("=")
    if kind == "judge":
        judge = load(path)
        if not getattr(judge, "metric", ""):
            raise UserError(f"{path}: {judge.name} does not score prompts: give it as --judge")
        return judge.to(options.device)
    scorers = {record.weights: record for record in PUBLISHED if record.role == "scorer"}
    if kind not in scorers or not path:
        raise UserError(
            f"--scorer {text!r}: write KIND=PATH with KIND one of judge, {', '.join(map(str, scorers))}"
        )
    if options.classes is None:
        raise UserError(f"--scorer {text!r} needs --classes, a JSON list of class names by index")
    template = check_template(TEMPLATE if options.template is None else options.template)
    return (
        scorers[kind].implementation().open(path, _class_names(options.classes), template).to(options.device)
    )


def _class_names(path: str) -> list[str]:
    names = read_json(Path(path), "give a list of class names by index")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{path}: not a list of texts: give class names by index")
    return names
