"""A preset: one reproduction at one scale, `workflow/presets/NAME.yaml`, typed and checked before anything runs."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import Discriminator, Field, Tag, ValidationError, model_validator

from marval.config import Config
from marval.costs.settings import BOTH, LatencyConfig, Mode
from marval.data.latents import EncodeConfig
from marval.data.sources import PrepareConfig
from marval.errors import UserError
from marval.masking import OrderLaw
from marval.methods.distillation import DistillTraining, DistillVariant
from marval.methods.reinforcement import ReinforceTraining, ReinforceVariant
from marval.methods.teacher import TeacherTraining
from marval.methods.tokenizer import TokenizerTraining
from marval.models.tokenizer import TokenizerConfig
from marval.noise.schedule import TRAINING_STEPS
from marval.stages.resources import Resources
from metrics.judges.settings import AnyJudgesConfig
from metrics.settings import EvaluationSettings

PRESETS = Path("workflow/presets")
REAL = "real"  # the variant that scores held-out real images as if they were samples
# registry entries behind `judges: {kind: published}`
PUBLISHED_JUDGES = ("inception", "adm-statistics", "clip-l", "clip-b", "image-reward", "pick-score")
TEACHER = "teacher"  # the model that MAR training gives


class OfficialTokenizer(Config):
    """Section `tokenizer` where published weights are used: which file of the registry, and its architecture."""

    official: str
    model: TokenizerConfig


class Teacher(TeacherTraining):
    """Section `teacher`: how it is trained, unless published weights take the place of training."""

    official: str | None = Field(None, description="file of the registry of weights; null: train it")


def _tokenizer_kind(section: Any) -> str:
    official = "official" in section if isinstance(section, dict) else isinstance(section, OfficialTokenizer)
    return "(official)" if official else "(trained)"


class SampleConfig(Config):
    """What all variants of a preset share when they are sampled."""

    images: int = Field(ge=10, description="for each seed, balanced over the classes")
    batch: int = Field(gt=0)
    temperature: float = Field(1.0, gt=0, le=2)
    chain_start: int = Field(
        TRAINING_STEPS - 1, gt=0, lt=TRAINING_STEPS, description="first t of the diffusion chain"
    )
    one_step_t: int = Field(ge=0, lt=TRAINING_STEPS, description="t of the single head evaluation")
    grid_columns: int = Field(10, gt=0, le=100)
    precision: Literal["fp32", "bf16"] = Field("fp32", description="of the networks' arithmetic")
    threads: int = Field(1, gt=0)


class SampleVariant(Config):
    """One way to make images: which model, how many diffusion steps for a token, guidance, AR steps, order."""

    model: str
    diffusion_steps: int = Field(ge=1, le=TRAINING_STEPS, description="1: the head once, converted to x0")
    guidance: float = Field(1.0, ge=0, le=20)
    ar_steps: int = Field(gt=0)
    order: OrderLaw = OrderLaw.RANDOM
    seeds: list[int] | None = Field(None, min_length=1, description="default: the model's")


class Distill(Config):
    """Section `distill`."""

    training: DistillTraining
    variants: dict[str, DistillVariant] = Field(min_length=1)


class Reinforce(Config):
    """Section `reinforce`."""

    training: ReinforceTraining
    variants: dict[str, ReinforceVariant]


class ShowcaseConfig(Config):
    """Section `showcase`: whose images grow and fill gaps in the report."""

    model: str
    seed: int = Field(0, ge=0)
    ar_steps: int = Field(gt=0)
    variant: str = Field(description="whose samples are held against the training images")


class SpeedConfig(Config):
    """Section `speed`: which variants are timed, in turn, at which batch sizes, by which samplers."""

    variants: list[str] = Field(min_length=1)
    batches: list[int] = Field(min_length=1)
    modes: list[Mode] = Field(BOTH, min_length=1)
    repetitions: int = Field(
        ge=3, le=1000, description="timed rounds; each times every variant in every mode once"
    )
    threads: int = Field(1, gt=0)


class LatencyPreset(Config):
    """A preset that times networks with random weights and has nothing else."""

    name: str
    description: str
    latency: LatencyConfig
    resources: Resources = Resources()
    published_files: ClassVar[list[str]] = []


class Preset(Config):
    """A reproduction, from data to report."""

    name: str
    description: str
    seeds: list[int] = Field(min_length=1)
    prompt: str = Field(pattern=r"\{name\}", description="template with {name} for the entity")
    prepare: PrepareConfig
    tokenizer: Annotated[
        Annotated[TokenizerTraining, Tag("(trained)")] | Annotated[OfficialTokenizer, Tag("(official)")],
        Discriminator(_tokenizer_kind),
    ]
    encode: EncodeConfig
    judges: AnyJudgesConfig
    teacher: Teacher
    distill: Distill
    reinforce: Reinforce
    sample: SampleConfig
    variants: dict[str, SampleVariant] = Field(min_length=1)
    evaluate: EvaluationSettings
    showcase: ShowcaseConfig
    speed: SpeedConfig
    resources: Resources = Resources()

    @model_validator(mode="after")
    def _names_agree(self) -> Preset:
        models = [TEACHER, *self.distill.variants, *self.reinforce.variants]
        if self.teacher.official and len(self.seeds) > 1:
            raise ValueError(f"seeds is {self.seeds}, but there is one official teacher: give one seed")
        for name, variant in self.variants.items():
            _known(f"variants.{name}.model", variant.model, models)
            if variant.ar_steps > self.teacher.model.tokens:
                raise ValueError(
                    f"variants.{name}.ar_steps is {variant.ar_steps}, more than the {self.teacher.model.tokens} tokens"
                )
            if extra := set(variant.seeds or []) - set(self.model_seeds(variant.model)):
                raise ValueError(
                    f"variants.{name}.seeds: {sorted(extra)} are not trained; `seeds` is {self.seeds}"
                )
        for name, tuned in self.reinforce.variants.items():
            if (tuned.rewarded_after or 0) > self.reinforce.training.ar_steps:
                raise ValueError(
                    f"reinforce.variants.{name}.rewarded_after is {tuned.rewarded_after}, more than "
                    f"reinforce.training.ar_steps, {self.reinforce.training.ar_steps}"
                )
            _known(f"reinforce.variants.{name}.start", tuned.start, list(self.distill.variants))
            if extra := set(self.model_seeds(name)) - set(self.model_seeds(tuned.start)):
                raise ValueError(
                    f"reinforce.variants.{name}.seeds: {tuned.start} is not trained with {sorted(extra)}"
                )
        _known("showcase.model", self.showcase.model, models)
        _known("showcase.variant", self.showcase.variant, list(self.variants))
        trained = [*self.distill.variants, *self.reinforce.variants]
        for name in trained:
            if extra := set(self.model_seeds(name)) - set(self.seeds):
                raise ValueError(
                    f"seeds of {name}: no teacher is trained with {sorted(extra)}; `seeds` is {self.seeds}"
                )
        for name in self.speed.variants:
            _known("speed.variants", name, list(self.variants))
        return self

    @property
    def published_files(self) -> list[str]:
        """Entries of the registry of weights that this preset starts from."""
        tokenizer = self.tokenizer.official if isinstance(self.tokenizer, OfficialTokenizer) else None
        judges = PUBLISHED_JUDGES if self.judges.kind == "published" else ()
        return [name for name in (tokenizer, self.teacher.official, *judges) if name]

    def model_seeds(self, model: str) -> list[int]:
        """Seeds with which a model is trained."""
        variants: dict[str, DistillVariant | ReinforceVariant] = {
            **self.distill.variants,
            **self.reinforce.variants,
        }
        variant = variants.get(model)
        return (variant.seeds if variant else None) or self.seeds

    def variant_seeds(self, variant: str) -> list[int]:
        """Seeds whose models make the images of a variant."""
        settings = self.variants[variant]
        return settings.seeds or self.model_seeds(settings.model)


AnyPreset = Preset | LatencyPreset


def stage_threads(preset: AnyPreset | None, stage: str) -> int:
    """CPU threads of a stage, from its settings: they may change the last bit of a result, so they are a parameter."""
    section: Any = getattr(preset, stage, None)
    section = getattr(section, "training", section)
    return getattr(section, "threads", 1)


def _known(key: str, name: str, valid: list[str]) -> None:
    if name not in valid:
        raise ValueError(f"{key} is {name!r}, which is not defined{_nearest(name, valid)}")


def _nearest(name: str, valid: list[str]) -> str:
    match = difflib.get_close_matches(name, valid, n=1)
    return f"; did you mean {match[0]!r}?" if match else f"; valid: {', '.join(sorted(valid))}"


def preset_path(name: str) -> Path:
    """The file of a preset; UserError with the nearest name if there is none."""
    path = PRESETS / f"{name}.yaml"
    if not path.is_file():
        names = sorted(p.stem for p in PRESETS.glob("*.yaml"))
        raise UserError(f"there is no preset {name!r} in {PRESETS}/{_nearest(name, names)}")
    return path


def read_yaml(path: Path) -> Any:
    """The content of a YAML file; UserError names the line of a syntax error."""
    try:
        return yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read: {' '.join(str(error).split())}") from error


def load_preset(name: str) -> AnyPreset:
    """Read and check a preset; UserError names the file, the key, the value and the nearest valid name."""
    path = preset_path(name)
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a mapping of sections: start from workflow/presets/digits.yaml")
    kind = LatencyPreset if "latency" in content else Preset
    try:
        preset: AnyPreset = kind.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{path}: {_explain(error, kind)}") from None
    if preset.name != name:
        raise UserError(f"{path}: name is {preset.name!r} but the file is {name}.yaml: make them the same")
    return preset


def _explain(error: ValidationError, kind: type[Config]) -> str:
    """The first problem in one line, and how many more there are."""
    # a misspelt key is also reported as a missing one: say what was written, not what was not
    first, *others = sorted(error.errors(), key=lambda problem: problem["type"] == "missing")
    location = _written(first["loc"])
    key = ".".join(str(part) for part in location)
    if first["type"] == "extra_forbidden":
        text = f"{key} is not a setting{_nearest(str(location[-1]), _siblings(kind, first['loc']))}"
    elif first["type"] == "missing":
        text = f"{key} is missing"
    elif first["type"] == "value_error":
        text = f"{key + ': ' if key else ''}{first['ctx']['error']}"
    elif first["type"].startswith("union_tag"):
        text = _no_alternative(key, first["input"], first["ctx"])
    else:
        message = first["msg"].removeprefix("Input ")
        text = f"{key} is {first['input']!r}, which {message}"
    return text + (f" (and {len(others)} more)" if others else "")


def _no_alternative(key: str, section: Any, context: dict[str, str]) -> str:
    """Where a section can be of several kinds, and the key that says which does not say so."""
    name = context["discriminator"].strip("'()")
    if not isinstance(section, dict) or name not in section:
        return f"{key}.{name} is missing"
    valid = re.findall(r"[\w-]+", context["expected_tags"])
    return f"{key}.{name} is {section[name]!r}{_nearest(str(section[name]), valid)}"


def _written(location: tuple) -> tuple:
    """The location of a problem without the tags of alternatives, which pydantic adds and nobody wrote."""
    return tuple(part for part in location if not str(part).startswith("("))


def _siblings(model: type, location: tuple) -> list[str]:
    """Names of the settings that are valid where an unknown one was found; `location` with pydantic's tags."""
    here: list[Any] = [model]
    for part in location[:-1]:
        found = [
            fields[part].annotation for kind in here if part in (fields := getattr(kind, "model_fields", {}))
        ]
        here = [alternative for kind in found for alternative in _alternatives(kind, location)] or here
    return sorted({name for kind in here for name in getattr(kind, "model_fields", {})})


def _alternatives(annotation: Any, location: tuple) -> list[Any]:
    """The classes that an annotation may stand for: of a tagged union the one whose tag is in the location."""
    if hasattr(annotation, "model_fields"):
        return [annotation]
    tags = [data.tag for data in getattr(annotation, "__metadata__", ()) if isinstance(data, Tag)]
    if tags and not set(tags) & set(location):
        return []
    return [a for inner in getattr(annotation, "__args__", ()) for a in _alternatives(inner, location)]
